"""Words for things: phrases with their plurals, and the entity that each one names."""

import dataclasses
import functools
import importlib.resources
import json
import re
from collections.abc import Mapping

Words = tuple[str, ...]

# Words, with inner hyphens and apostrophes, or one mark of punctuation.
_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[.,;:!?()]")


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """The content of `lexicon.json`, prepared for matching."""

    phrases: Mapping[Words, str | None]  # None: no entity, although a word is one ("bus stop")
    longest: Mapping[str, int]  # first word -> number of words of the longest phrase
    aliases: Mapping[Words, str]  # for names that stand alone: an option, a label, an answer
    synonyms: Mapping[str, Words]  # entity -> synonyms and aliases in the singular
    grammar: Mapping[str, frozenset[str]]  # kind -> function words, for `denial.py`


def tokenise(text: str) -> list[str]:
    """Lower-cased words without the possessive 's, and punctuation marks, in order."""
    words = _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return [word.removesuffix("'s") for word in words]


def plural(phrase: str) -> str:
    """The regular English plural of a phrase's last word."""
    if re.search(r"(s|x|z|ch|sh)$", phrase):
        return phrase + "es"
    return re.sub(r"(?<=[^aeiou])y$", "ie", phrase) + "s"


@functools.cache
def load_lexicon() -> Lexicon:
    """The packaged lexicon with plurals filled in."""
    text = importlib.resources.files(__package__).joinpath("lexicon.json").read_text("utf-8")
    content = json.loads(text)
    aliases: dict[Words, str] = {}
    synonyms: dict[str, Words] = {}
    phrases: dict[Words, str | None]
    phrases = {form: None for phrase in content["other"] for form in _forms(phrase)}
    for name, words in content["things"].items():
        in_text = words.get("synonyms", [])
        synonyms[name] = (*in_text, *words.get("aliases", []))
        for phrase in (name, *in_text, *words.get("parts", [])):
            phrases |= dict.fromkeys(_forms(phrase), name)
        for phrase in (name, *synonyms[name]):
            aliases |= dict.fromkeys(_forms(phrase), name)
    grammar = {kind: frozenset(words.split()) for kind, words in content["grammar"].items()}
    longest = {phrase[0]: len(phrase) for phrase in sorted(phrases, key=len)}
    return Lexicon(phrases, longest, aliases, synonyms, grammar)


def _forms(phrase: str) -> list[Words]:
    """The words of a phrase's singular and plural."""
    return [tuple(tokenise(form)) for form in (phrase, plural(phrase))]
