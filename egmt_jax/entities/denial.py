"""Finds things that a caption says are absent: "no people", "free of cars", "cars are not visible".

A denial covers one noun phrase, or several joined by "or", "nor" and commas. It ends at the next
preposition, verb or article: "no people in front of the building" keeps the building. Things that
are hard to see are present: "barely visible", "unseen in the visible image".
"""

from collections.abc import Mapping

from egmt_jax.entities.lexicon import load_lexicon

Spans = Mapping[int, tuple[int, str | None]]
"""Start -> (end, entity or None) of the phrases of a caption that name something."""

_ADJECTIVES = 4  # at most between a denial and its noun: "no clear bright walking person"


def denied_starts(tokens: list[str], spans: Spans) -> set[int]:
    """Starts of the spans that a caption denies."""
    grammar = load_lexicon().grammar
    signs = ("denials", "denials with of", "absent", "be not")
    if all(grammar[kind].isdisjoint(tokens) for kind in signs):  # most captions deny nothing
        return set()
    inside = {index for start, (end, _) in spans.items() for index in range(start, end)}
    padded = [*tokens, *"...."]  # so that the tokens after a denial exist
    denied: set[int] = set()
    for index in set(range(len(tokens))) - inside:  # "no-entry sign", "no parking sign" are things
        denied |= _denied_after(index, padded, spans) | _denied_before(index, padded, spans)
    return denied


def _denied_after(index: int, tokens: list[str], spans: Spans) -> set[int]:
    """Starts of what "no", "without", "free of" or "not a" at an index denies."""
    grammar, word, start = load_lexicon().grammar, tokens[index], index + 1
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
    return _noun_phrases(start, tokens, spans)


def _noun_phrases(position: int, tokens: list[str], spans: Spans) -> set[int]:
    """Starts of the things in "cars", "large cars or people", "cars, vans or people"."""
    grammar, starts = load_lexicon().grammar, set()
    ends = grammar["clause words"] | grammar["prepositions"] | grammar["determiners"] | {"and"}
    joins, adjectives = True, 0
    while adjectives <= _ADJECTIVES:
        if joins:
            while tokens[position] in grammar["openers"] and position not in spans:
                position += 1
            joins, adjectives = False, 0
        if position in spans:
            starts.add(position)
            position = spans[position][0]
            if tokens[position] == "and" and position + 1 in spans:
                position += 1
            if position in spans:  # "building windows", "cars and people"
                continue
            if tokens[position] not in ("or", "nor", ","):
                break
        word = tokens[position]
        if word == ",":  # of a list that ends with "or"?
            rest = tokens[position + 1 : position + 8]
            word = next((word for word in rest if word in ends or word in ("or", "nor")), "and")
        if word in ends:
            break
        joins = word in ("or", "nor")
        adjectives += 1
        position += 1
    return starts


def _denied_before(index: int, tokens: list[str], spans: Spans) -> set[int]:
    """Starts of the subject of "are absent", "is not visible", "cannot be seen" at an index."""
    grammar, word, following = load_lexicon().grammar, tokens[index], index + 1
    kind = "seen"
    if word in grammar["be"] and tokens[following] == "not":
        following += 1
    elif word in grammar["be"]:
        kind = "absent"
    elif word in grammar["be not"] or tokens[index : index + 2] == ["can", "not"]:
        following += word == "can"
        following += tokens[following] == "be"
    else:
        return set()
    view = following + 2 + (tokens[following + 2] == "the")  # "in the dark": the thing is present
    elsewhere = tokens[following + 1] in ("in", "from") and tokens[view] in grammar["other view"]
    if tokens[following] not in grammar[kind] or elsewhere:
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
