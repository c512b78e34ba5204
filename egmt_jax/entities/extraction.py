"""The extractor that needs no model: things named in two captions, absent ones left out."""

import functools

from egmt_jax.entities.lexicon import Lexicon, load_lexicon, tokenise
from egmt_jax.entities.vocabulary import load_vocabulary

MOST = 8

# Every list below is of words, matched on tokens. A phrase of the lexicon goes before them, so that
# "no-entry sign" and "no parking sign" deny nothing.
_NO = frozenset({"no", "without", "neither", "nor", "lacks", "lacking", "not"})
_OF = frozenset({"devoid", "free", "absence", "empty", "lack"})  # "free of cars"
_SIGN = frozenset({"sign", "signs", "trace", "traces", "hint", "evidence", "sight"})
_HARMLESS = frozenset({"longer", "more", "fewer", "less", "doubt", "only"})  # "no more than"
_ARTICLES = frozenset({"a", "an", "any", "one", "single", "other"})
_DETERMINERS = frozenset(
    "the its their his her this that these those some several many few two three four five six "
    "another both all each".split()
)
_PREPOSITIONS = frozenset(
    "in on at by near beside behind under over above below before beyond between among along "
    "across around past through from to toward towards against into onto inside outside with "
    "within off ahead of for next".split()
)
_CLAUSE = frozenset(
    "is are was were be been has have had can could may might does do did appear appears show "
    "shows stand stands glow glows shine shines remain remains lie lies walk walks run runs rise "
    "rises but while though although whereas except save than as where which who because so yet "
    ". ; : ! ? ( )".split()
)
_ABSENT = frozenset({"absent", "missing", "nowhere", "gone"})
_SEEN = frozenset({"visible", "seen", "present", "discernible", "there", "apparent"})
_TRIGGERS = _NO | _OF | _ABSENT | frozenset({"isn't", "aren't", "cannot", "can't"})


def extract(caption_visible: str, caption_infrared: str) -> list[str]:
    """Entities of the vocabulary that two captions of one pair name.

    What one caption denies ("no people") is kept where the other one names it. Salience puts first
    what annotators put first: things named early, by both captions, and of a kind that annotators
    rank high (`Vocabulary.ranks`). Where more than eight are named, the least salient are dropped.

    Args:
      caption_visible: English text about the visible image; may be empty.
      caption_infrared: English text about the infrared image; may be empty.

    Returns:
      0 to 8 canonical names without duplicates, most salient first.
    """
    lexicon, ranks = load_lexicon(), _ranks()
    places: dict[str, list[int | None]] = {}
    for side, caption in enumerate((caption_visible, caption_infrared)):
        for place, (entity, denied) in enumerate(mentions(caption, lexicon)):
            if not denied and entity in ranks:
                both = places.setdefault(entity, [None, None])
                if both[side] is None:
                    both[side] = place
    salience = {entity: _salience(ranks[entity], *both) for entity, both in places.items()}
    return sorted(salience, key=salience.__getitem__)[:MOST]


@functools.cache
def _ranks() -> dict[str, float]:
    vocabulary = load_vocabulary()
    return dict(zip(vocabulary.names, vocabulary.ranks, strict=True))


def _salience(rank: float, visible: int | None, infrared: int | None) -> float:
    """Smaller is more salient; the weights were chosen on the annotated lists (nine tenths)."""
    place = visible if visible is not None else infrared + 5
    named_by_both = visible is not None and infrared is not None
    return rank + 0.09 * place - 0.2 * named_by_both - 0.1 * (infrared == 0)


def mentions(caption: str, lexicon: Lexicon) -> list[tuple[str, bool]]:
    """Entities named in one caption.

    Args:
      caption: any English text.
      lexicon: words for things.

    Returns:
      (entity, whether the caption says it is absent), in order, repetitions included.
    """
    tokens = tokenise(caption)
    spans: dict[int, tuple[int, str | None]] = {}
    position = 0
    while position < len(tokens):
        for rest, entity in lexicon.phrases.get(tokens[position], ()):
            end = position + 1 + len(rest)
            if not rest or tuple(tokens[position + 1 : end]) == rest:
                spans[position] = (end, entity)
                position = end
                break
        else:
            position += 1
    denied: set[int] = set()
    if not _TRIGGERS.isdisjoint(tokens):
        denied = _denied_after(tokens, spans) | _denied_before(tokens, spans)
    return [(entity, start in denied) for start, (_, entity) in spans.items() if entity is not None]


def _denied_after(tokens: list[str], spans: dict[int, tuple[int, str | None]]) -> set[int]:
    """Starts of the spans that a "no", "without" or "free of" before them denies."""
    denied: set[int] = set()
    inside = {index for start, (end, _) in spans.items() for index in range(start, end)}
    tokens = [*tokens, ".", ".", "."]
    for index, token in enumerate(tokens):
        following = index + 1
        if index in inside or tokens[min(following, len(tokens) - 1)] in _HARMLESS:
            continue
        if token in _OF and tokens[following] == "of":
            following += 1
        elif token not in _NO:
            continue
        elif token == "not" and tokens[following] not in _ARTICLES and following not in spans:
            continue
        if tokens[following] in _SIGN and tokens[following + 1] == "of":
            following += 2
        denied |= _noun_phrases(tokens, spans, following)
    return denied


def _noun_phrases(
    tokens: list[str], spans: dict[int, tuple[int, str | None]], position: int
) -> set[int]:
    """Starts of the spans in "cars", "large cars or people", "cars, vans or people" at a position."""
    starts: set[int] = set()
    while tokens[position] in _ARTICLES or tokens[position] == "the":
        position += 1
    while True:
        token = tokens[position]
        if position in spans:
            starts.add(position)
            position = spans[position][0]
            if position in spans or tokens[position] in ("or", "nor", ","):
                continue
            if tokens[position] == "and" and position + 1 in spans:
                position += 1
                continue
            return starts
        if token == ",":
            listed = tokens[position + 1 : position + 7]
            ends = [t for t in listed if t in ("or", "nor", "and") or t in _CLAUSE]
            if not ends or ends[0] not in ("or", "nor"):
                return starts
        elif token in _CLAUSE or token in _PREPOSITIONS or token in _DETERMINERS or token == "and":
            return starts
        position += 1
        if token in ("or", "nor", ","):
            while tokens[position] in _ARTICLES:
                position += 1


def _denied_before(tokens: list[str], spans: dict[int, tuple[int, str | None]]) -> set[int]:
    """Starts of the spans that are the subject of "are absent" or "cannot be seen"."""
    denied: set[int] = set()
    tokens = [*tokens, ".", ".", "."]
    for index in range(len(tokens) - 3):
        if tokens[index] in ("is", "are", "was", "were"):
            word = index + 1
            seen = _ABSENT
            if tokens[word] == "not":
                word, seen = word + 1, _SEEN
        elif tokens[index] in ("isn't", "aren't", "cannot", "can't"):
            word, seen = index + 1, _SEEN
            if tokens[word] == "be":
                word += 1
        elif tokens[index] == "can" and tokens[index + 1 : index + 3] == ["not", "be"]:
            word, seen = index + 3, _SEEN
        else:
            continue
        # "not visible in the dark" and "absent from the visible image" say that it is there.
        if tokens[word] not in seen or (
            tokens[word + 1] in ("in", "from")
            and tokens[word + 2] not in ("sight", "both", "either")
        ):
            continue
        subject: set[int] = set()
        joined = False
        for position in range(index - 1, -1, -1):
            token = tokens[position]
            if position in spans:
                subject.add(position)
            elif token in _CLAUSE or (token == "," and not joined):
                break
            elif token in _PREPOSITIONS:
                subject.clear()  # "people near the building": the building is not the subject
            joined = joined or token in ("and", "or")
        denied |= subject
    return denied
