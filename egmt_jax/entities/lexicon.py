"""Words for things: phrases with their plurals, grouped by the entity they name."""

import dataclasses
import functools
import importlib.resources
import json
import re

# Words, with inner hyphens and apostrophes, or one mark of punctuation.
_TOKEN = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*|[.,;:!?()]")


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """Phrases by their first word, for matching from left to right, the longest first.

    Attributes:
      phrases: first word -> ((remaining words, entity or None), ...), longest first; None marks
        a phrase that names no entity although a word in it does ("bus stop").
      aliases: phrase -> entity, for names standing alone; holds the phrases of sentences too.
      synonyms: entity -> its synonyms and aliases in the singular.
    """

    phrases: dict[str, tuple[tuple[tuple[str, ...], str | None], ...]]
    aliases: dict[str, str]
    synonyms: dict[str, tuple[str, ...]]


def tokenise(text: str) -> list[str]:
    """Lower-cased words without the possessive 's, and punctuation marks, in order."""
    return [
        token[:-2] if token.endswith(("'s", "’s")) else token
        for token in _TOKEN.findall(text.lower())
    ]


def plural(phrase: str) -> str:
    """The regular English plural of a phrase's last word."""
    if re.search(r"(s|x|z|ch|sh)$", phrase):
        return phrase + "es"
    if re.search(r"[^aeiou]y$", phrase):
        return phrase[:-1] + "ies"
    if re.search(r"[lr]f$", phrase):
        return phrase[:-1] + "ves"
    return phrase + "s"


@functools.cache
def load_lexicon() -> Lexicon:
    """The packaged lexicon with plurals filled in."""
    text = importlib.resources.files(__package__).joinpath("lexicon.json").read_text("utf-8")
    content = json.loads(text)
    phrases: dict[tuple[str, ...], str | None] = {}
    aliases: dict[str, str] = {}
    synonyms: dict[str, tuple[str, ...]] = {}
    for phrase in content["other"]:
        for form in (phrase, plural(phrase)):
            phrases[tuple(form.split())] = None
    for name, words in content["things"].items():
        synonyms[name] = (*words["synonyms"], *words["aliases"])
        for phrase in (name, *words["synonyms"]):
            for form in (phrase, plural(phrase)):
                phrases[tuple(tokenise(form))] = name
        for phrase in (name, *synonyms[name]):
            for form in (phrase, plural(phrase)):
                aliases[" ".join(tokenise(form))] = name
    by_first: dict[str, list[tuple[tuple[str, ...], str | None]]] = {}
    for (first, *rest), name in phrases.items():
        by_first.setdefault(first, []).append((tuple(rest), name))
    return Lexicon(
        phrases={
            first: tuple(sorted(rests, key=lambda item: -len(item[0])))
            for first, rests in by_first.items()
        },
        aliases=aliases,
        synonyms=synonyms,
    )
