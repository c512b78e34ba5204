"""The closed vocabulary: canonical entity names in a fixed order; synonyms are in the lexicon."""

import dataclasses
import difflib
import functools
import importlib.resources
import json

from egmt_jax.entities.lexicon import Words, load_lexicon, tokenise
from egmt_jax.errors import UserError

MOST_ENTITIES = 8  # that guide a fusion


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """K canonical entity names; the index of a name is its id."""

    names: tuple[str, ...]  # most frequent first
    counts: tuple[int, ...]  # of annotated pairs that show each name
    ranks: tuple[float, ...]  # mean positions in the annotated lists, 0 (first) to 1 (last)
    version: str  # changes whenever `names` does; feature tables carry it

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return tuple(tokenise(name)) in self._ids

    def id_of(self, name: str) -> int:
        """The id of a name, synonym or plural of either, in any case; UserError if unknown."""
        if name not in self:
            raise UserError(self.unknown(name))
        return self._ids[tuple(tokenise(name))]

    def canonical(self, name: str) -> str:
        """The canonical name of a name, as for `id_of`."""
        return self.names[self.id_of(name)]

    def unknown(self, name: str) -> str:
        """The error message for an unknown name, with the three names of most similar spelling."""
        synonyms = load_lexicon().synonyms
        spellings = {word: known for known in self.names for word in (known, *synonyms[known])}
        close = difflib.get_close_matches(name.lower(), spellings, n=9, cutoff=0.0)
        nearest = ", ".join(list(dict.fromkeys(spellings[word] for word in close))[:3])
        return f"entity {name!r} is not in the vocabulary (nearest known: {nearest})"

    @functools.cached_property
    def _ids(self) -> dict[Words, int]:
        ids = {name: index for index, name in enumerate(self.names)}
        aliases = load_lexicon().aliases
        return {words: ids[name] for words, name in aliases.items() if name in ids}


@functools.cache
def load_vocabulary() -> Vocabulary:
    """The packaged vocabulary."""
    text = importlib.resources.files(__package__).joinpath("vocabulary.json").read_text("utf-8")
    content = json.loads(text)
    columns = ([entity[key] for entity in content["entities"]] for key in ("name", "count", "rank"))
    names, counts, ranks = map(tuple, columns)
    return Vocabulary(names, counts, ranks, content["version"])
