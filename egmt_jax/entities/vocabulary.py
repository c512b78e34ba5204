"""The closed vocabulary: canonical entity names in a fixed order; synonyms are in the lexicon."""

import dataclasses
import difflib
import functools
import importlib.resources
import json

from egmt_jax.entities.lexicon import load_lexicon, tokenise
from egmt_jax.errors import UserError

MOST_ENTITIES = 8
"""Entities that guide a fusion at most."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """K canonical entity names; the index of a name is its id.

    Attributes:
      names: K names, most frequent first.
      counts: per name, the number of annotated pairs that show it.
      ranks: per name, its mean position in the annotated lists, 0 (first) to 1 (last).
      version: changes whenever `names` does; feature tables carry it.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    ranks: tuple[float, ...]
    version: str

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def id_of(self, name: str) -> int:
        """The id of a name, synonym or plural of either; case and spacing do not matter.

        Raises:
          UserError: the vocabulary lacks the name; the message lists the nearest known ones.
        """
        found = self._find(name)
        if found is None:
            raise UserError(
                f"entity {name!r} is not in the vocabulary; nearest known: "
                f"{', '.join(self.nearest(name))}"
            )
        return found

    def canonical(self, name: str) -> str:
        """The canonical name of a name, synonym or plural. Raises as `id_of`."""
        return self.names[self.id_of(name)]

    def nearest(self, name: str, most: int = 3) -> list[str]:
        """The canonical names with the most similar spelling, nearest first, no duplicates."""
        synonyms = load_lexicon().synonyms
        spellings = {word: name for name in self.names for word in (name, *synonyms[name])}
        close = difflib.get_close_matches(name.lower(), spellings, n=3 * most, cutoff=0.0)
        return list(dict.fromkeys(spellings[word] for word in close))[:most]

    def _find(self, name: str) -> int | None:
        words = " ".join(tokenise(name))
        return self._index.get(load_lexicon().aliases.get(words, words))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}


@functools.cache
def load_vocabulary() -> Vocabulary:
    """The packaged vocabulary."""
    path = importlib.resources.files(__package__).joinpath("vocabulary.json")
    content = json.loads(path.read_text("utf-8"))
    entities = content["entities"]
    return Vocabulary(
        names=tuple(entity["name"] for entity in entities),
        counts=tuple(entity["count"] for entity in entities),
        ranks=tuple(entity["rank"] for entity in entities),
        version=content["version"],
    )
