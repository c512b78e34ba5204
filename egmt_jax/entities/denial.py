"""Finds things that a caption says are absent: "no people", "free of cars", "cars are not visible".

A denial covers one noun phrase, or several joined by "or", "nor" and commas. It ends at the next
preposition, verb or article: "no people in front of the building" keeps the building. Things that
are hard to see are present: "barely visible", "unseen in the visible image".
"""

from collections.abc import Mapping

Spans = Mapping[int, tuple[int, str | None]]
Grammar = Mapping[str, frozenset[str]]

# "no clear bright walking person": words allowed between a denial and what it denies.
_ADJECTIVES = 4
_END = (".", ".", ".", ".")
_CAN_NOT = ["can", "not"]


def denied_starts(tokens: list[str], spans: Spans, grammar: Grammar) -> set[int]:
    """Starts of the spans that a caption denies.

    Args:
      tokens: of the caption.
      spans: start -> (end, entity or None) of the phrases that name something.
      grammar: the lexicon's function words.
    """
    inside = {index for start, (end, _) in spans.items() for index in range(start, end)}
    tokens = [*tokens, *_END]
    denied: set[int] = set()
    for index in range(len(tokens) - len(_END)):
        if index not in inside:  # "no-entry sign", "no parking sign" are things
            denied |= _denied_after(index, tokens, spans, grammar)
            denied |= _denied_before(index, tokens, spans, grammar)
    return denied


def _denied_after(index: int, tokens: list[str], spans: Spans, grammar: Grammar) -> set[int]:
    """Starts of what "no", "without", "free of" or "not a" at an index denies."""
    word, start = tokens[index], index + 1
    following = tokens[start]
    if word in grammar["denials with of"] and following == "of":
        start += 1
    elif word == "not":  # "not a car", "not cars but vans"; "not far from" denies nothing
        if start not in spans and following not in ("a", "an", "any", "one"):
            return set()
    elif word not in grammar["denials"] or following in grammar["harmless after denial"]:
        return set()
    if tokens[start] in grammar["signs with of"] and tokens[start + 1] == "of":
        start += 2
    return _noun_phrases(start, tokens, spans, grammar)


def _noun_phrases(position: int, tokens: list[str], spans: Spans, grammar: Grammar) -> set[int]:
    """Starts of the things in "cars", "large cars or people", "cars, vans or people"."""
    starts: set[int] = set()
    ends = grammar["clause words"] | grammar["prepositions"] | grammar["determiners"]
    joins, adjectives = True, 0
    while True:
        if joins:
            while tokens[position] in grammar["openers"] and position not in spans:
                position += 1
            joins, adjectives = False, 0
        word = tokens[position]
        if position in spans:
            starts.add(position)
            position = spans[position][0]
            word = tokens[position]
            if position in spans:  # "building windows"
                continue
            if word == "and" and position + 1 in spans:
                position += 1
                continue
            if word not in ("or", "nor", ","):
                return starts
        if word in ("or", "nor") or (word == "," and _continues(position, tokens, ends)):
            joins = True
        elif word in ends or word in (",", "and"):
            return starts
        adjectives += 1
        if adjectives > _ADJECTIVES:
            return starts
        position += 1


def _continues(comma: int, tokens: list[str], ends: frozenset[str]) -> bool:
    """Whether a comma is part of a list that ends with "or"."""
    for word in tokens[comma + 1 : comma + 8]:
        if word in ("or", "nor"):
            return True
        if word == "and" or word in ends:
            return False
    return False


def _denied_before(index: int, tokens: list[str], spans: Spans, grammar: Grammar) -> set[int]:
    """Starts of the subject of "are absent", "is not visible", "cannot be seen" at an index."""
    word, following = tokens[index], index + 1
    if word in ("is", "are", "was", "were"):
        kind = "absent"
        if tokens[following] == "not":
            kind, following = "seen", following + 1
    elif word in ("isn't", "aren't", "cannot", "can't") or tokens[index : index + 2] == _CAN_NOT:
        kind = "seen"
        following += word == "can"
        following += tokens[following] == "be"
    else:
        return set()
    if tokens[following] not in grammar[kind] or _other_view(following + 1, tokens, grammar):
        return set()
    subject: set[int] = set()
    joined = False
    for position in range(index - 1, -1, -1):
        word = tokens[position]
        if position in spans:
            subject.add(position)
        elif word in grammar["clause words"] or (word == "," and not joined):
            break
        elif word in grammar["prepositions"]:
            subject.clear()  # "people near the building are absent": not the building
        joined = joined or word in ("and", "or")
    return subject


def _other_view(position: int, tokens: list[str], grammar: Grammar) -> bool:
    """Whether "in the dark" or "from the visible image" follows: then the thing is present."""
    if tokens[position] not in ("in", "from"):
        return False
    position += 1 + (tokens[position + 1] == "the")
    return tokens[position] in grammar["other view"]
