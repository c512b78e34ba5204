"""Words for things: phrases with their plurals, grouped by the entity they name."""

import dataclasses
import functools
import importlib.resources
import json
import re
from collections.abc import Mapping

# Words, with inner hyphens and apostrophes, or one mark of punctuation.
_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[.,;:!?()]")


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """The content of `lexicon.json`, prepared for matching.

    Attributes:
      phrases: first word -> ((remaining words, entity or None), ...), longest first; None marks a
        phrase that names no entity although a word in it does ("bus stop").
      aliases: phrase -> entity for names that stand alone: an option, a label, an answer.
      synonyms: entity -> its synonyms and aliases in the singular.
      grammar: kind -> function words, for `denial.py`.
    """

    phrases: Mapping[str, tuple[tuple[tuple[str, ...], str | None], ...]]
    aliases: Mapping[str, str]
    synonyms: Mapping[str, tuple[str, ...]]
    grammar: Mapping[str, frozenset[str]]


def tokenise(text: str) -> list[str]:
    """Lower-cased words without the possessive 's, and punctuation marks, in order."""
    words = _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return [word.removesuffix("'s") for word in words]


def plural(phrase: str) -> str:
    """The regular English plural of a phrase's last word."""
    if re.search(r"(s|x|z|ch|sh)$", phrase):
        return phrase + "es"
    if re.search(r"[^aeiou]y$", phrase):
        return phrase[:-1] + "ies"
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
        phrases |= dict.fromkeys(_forms(phrase))
    for name, words in content["things"].items():
        sentence_words = words.get("synonyms", [])
        synonyms[name] = (*sentence_words, *words.get("aliases", []))
        for phrase in (name, *sentence_words, *words.get("parts", [])):
            phrases |= dict.fromkeys(_forms(phrase), name)
        for phrase in (name, *synonyms[name]):
            aliases |= dict.fromkeys(map(" ".join, _forms(phrase)), name)
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
        grammar={kind: frozenset(words.split()) for kind, words in content["grammar"].items()},
    )


def _forms(phrase: str) -> list[tuple[str, ...]]:
    """The words of a phrase's singular and plural."""
    return [tuple(tokenise(form)) for form in (phrase, plural(phrase))]
