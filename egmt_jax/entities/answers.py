"""Reads what language models answer when asked for the things in a caption or an image."""

import re
from collections.abc import Sequence

from egmt_jax.entities.extraction import denied_entities, extract, mentions
from egmt_jax.entities.lexicon import load_lexicon
from egmt_jax.entities.vocabulary import MOST_ENTITIES, load_vocabulary

LEAST_ENTITIES = 2
# Answers come as "a car, two people and a road", as lines, or numbered.
_SEPARATOR = re.compile(r"[,;|/\n•]|\band\b|\b\d+[.)]")
_LEADING = re.compile(r"^(?:(?:a|an|the|some|several|many|one|two|three|\d+)\s+)+", re.IGNORECASE)


def parse_answer(answer: str) -> tuple[list[str], list[str]]:
    """Reads an answer, or several joined by line ends.

    Args:
      answer: names of things, separated by commas, semicolons, "and", lines or numbers.

    Returns:
      Canonical names of the vocabulary, and phrases without any; both in order, without duplicates.
      A phrase stands for the name or synonym it is ("people"), otherwise for the things mentioned
      in it ("two parked cars").
    """
    vocabulary, lexicon = load_vocabulary(), load_lexicon()
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for piece in _SEPARATOR.split(answer.lower()):
        phrase = _LEADING.sub("", piece.strip(" \t.:!?-*\"'()[]")).strip()
        if phrase in vocabulary:
            found = [vocabulary.canonical(phrase)]
        else:
            found = [entity for entity, _ in mentions(phrase, lexicon) if entity in vocabulary]
        known |= dict.fromkeys(found)
        if phrase and not found:
            unknown[phrase] = None
    return list(known), list(unknown)


def merge_entities(
    answers: Sequence[str], caption_visible: str, caption_infrared: str
) -> tuple[list[str], list[str]]:
    """Makes one entity list from a detector's answers about the two captions of a pair.

    Names that the captions only deny ("no people") are dropped. The order is that of `extract`,
    then that of the answers. If fewer than two names are left, those of `extract` are added.

    Args:
      answers: about the visible and the infrared caption.
      caption_visible: of the visible image.
      caption_infrared: of the infrared image.

    Returns:
      At most 8 canonical names, most salient first, and the phrases outside the vocabulary.
    """
    known, unknown = parse_answer("\n".join(answers))
    denied = denied_entities(caption_visible, caption_infrared)
    detected = [name for name in known if name not in denied]
    extracted = extract(caption_visible, caption_infrared)
    entities = [name for name in extracted if name in detected]
    entities += [name for name in detected if name not in extracted]
    if len(entities) < LEAST_ENTITIES:
        entities += [name for name in extracted if name not in entities]
    return entities[:MOST_ENTITIES], unknown
