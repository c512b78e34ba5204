"""One natural sentence per modality about what can be seen in that modality."""

import dataclasses
import re

import numpy as np

# Surface forms of every entity: singular and plural, the plain name first.
NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "person": (("person", "people"), ("pedestrian", "pedestrians")),
    "cyclist": (("cyclist", "cyclists"),),
    "dog": (("dog", "dogs"),),
    "car": (("car", "cars"),),
    "van": (("van", "vans"),),
    "truck": (("truck", "trucks"),),
    "bus": (("bus", "buses"),),
    "motorcycle": (("motorcycle", "motorcycles"),),
    "bicycle": (("bicycle", "bicycles"), ("bike", "bikes")),
    "umbrella": (("umbrella", "umbrellas"),),
    "traffic light": (("traffic light", "traffic lights"),),
    "traffic sign": (("traffic sign", "traffic signs"),),
    "traffic cone": (("traffic cone", "traffic cones"),),
    "street lamp": (("street lamp", "street lamps"), ("streetlight", "streetlights")),
    "bollard": (("bollard", "bollards"),),
    "trash can": (("trash can", "trash cans"),),
    "bench": (("bench", "benches"),),
    "pole": (("pole", "poles"),),
    "power line": (("power line", "power lines"),),
    "gate": (("gate", "gates"),),
    "fence": (("fence", "fences"),),
    "wall": (("wall", "walls"),),
    "house": (("house", "houses"),),
    "window": (("window", "windows"),),
    "building": (("building", "buildings"),),
    "palm tree": (("palm tree", "palm trees"),),
    "tree": (("tree", "trees"),),
    "bush": (("bush", "bushes"),),
    "crosswalk": (("crosswalk", "crosswalks"),),
    "lane marking": (("lane marking", "lane markings"),),
    "curb": (("curb", "curbs"),),
    "hill": (("hill", "hills"),),
    "path": (("path", "paths"),),
    "sidewalk": (("sidewalk", "sidewalks"),),
    "grass": (("grass", "grass"),),
    "road": (("road", "roads"),),
    "cloud": (("cloud", "clouds"),),
    "sky": (("sky", "sky"),),
}
_ALWAYS_PLURAL = frozenset({"window", "lane marking", "power line", "hill", "cloud"})
_SINGLE = frozenset({"road", "path", "wall", "fence"})
_MASS = frozenset({"grass", "sky"})
ACTORS = ("person", "cyclist", "dog", "car", "van", "truck", "bus", "motorcycle", "bicycle")
_RIDES = frozenset({"car", "van", "truck", "bus", "motorcycle", "bicycle"})
_COLOURED = _RIDES | {
    "umbrella",
    "traffic cone",
    "trash can",
    "traffic sign",
    "traffic light",
    "building",
    "house",
}
_WHERE = {
    "road": ("on a road", "along a road"),
    "path": ("on a path", "along a path"),
    "sidewalk": ("on a sidewalk", "along a sidewalk"),
    "crosswalk": ("on a crosswalk", "across a crosswalk"),
    "grass": ("on grass", "on the grass"),
}
_NUMBERS = ("no", "a", "two", "three", "four")


@dataclasses.dataclass(frozen=True)
class Sighting:
    """What captions may say about one entity.

    Attributes:
      kind: the entity's name.
      count: instances in sight.
      colour: a colour or dress word of the largest instance, or "".
      state: what the largest instance does, or "".
      position: "on the left", "on the right", "ahead" or "".
      ground: kind of the ground beneath the largest instance, or "".
      seen: whether it can be told from its surroundings in (visible, infrared).
      grey: mean grey level in the infrared, 0-255.
      rise: how many grey levels it is above its surroundings in the infrared.
    """

    kind: str
    count: int
    colour: str
    state: str
    position: str
    ground: str
    seen: tuple[bool, bool]
    grey: float
    rise: float


def mentioned(caption: str) -> set[str]:
    """Entities a caption names, longest names first ("palm tree" is no "tree")."""
    text, found = caption.lower(), set()
    forms = [(form, kind) for kind, pairs in NAMES.items() for pair in pairs for form in pair]
    for form, kind in sorted(forms, key=lambda item: -len(item[0])):
        text, times = re.subn(rf"\b{form}\b", "#", text)
        if times:
            found.add(kind)
    return found


def write_captions(
    rng: np.random.Generator, sightings: list[Sighting], time: str
) -> tuple[str, str]:
    """Captions of the visible and of the infrared image; together they name every sighting.

    Args:
      rng: chooses the words.
      sightings: the scene's entities, most salient first, each seen in one modality at least.
      time: "day", "dusk" or "night".

    Returns:
      The visible and the infrared caption.
    """
    visible = [s for s in sightings if s.seen[0]]
    # What both show need be told only once, but what moves is told twice.
    infrared = [
        s for s in sightings
        if s.seen[1] and (not s.seen[0] or s.kind in ACTORS or rng.random() < 0.55)
    ]  # fmt: skip
    return _visible(rng, visible, time), _infrared(rng, infrared, time)


def _word(rng, sighting: Sighting, plural: bool) -> str:
    pairs = NAMES[sighting.kind]
    pair = pairs[0] if rng.random() < 0.75 else pairs[int(rng.integers(len(pairs)))]
    return pair[plural]


def _phrase(rng, sighting: Sighting, adjective: str = "") -> tuple[str, bool]:
    """A noun phrase and whether it is plural."""
    kind, count = sighting.kind, sighting.count
    plural = kind in _ALWAYS_PLURAL or (count > 1 and kind not in _MASS | _SINGLE)
    word = _word(rng, sighting, plural)
    if kind == "sky":
        return "the sky", False
    if kind == "grass":
        return " ".join(filter(None, (adjective, word))), False
    words = " ".join(filter(None, (adjective, word)))
    if kind in _ALWAYS_PLURAL or (plural and kind in ("sidewalk", "curb")):
        return words, True
    if plural:
        number = (
            _NUMBERS[count]
            if count < 4
            else str(rng.choice(["several", "many"] if count > 5 else ["several"]))
        )
        if kind in ("building", "tree", "palm tree", "bush", "house") and rng.random() < 0.7:
            number = ""
        return " ".join(filter(None, (number, words))), True
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}", False


def _join(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _look(rng, sighting: Sighting, time: str) -> str:
    """An adjective for the visible image."""
    kind = sighting.kind
    if sighting.count == 1 and kind in _COLOURED and rng.random() < 0.8:
        return sighting.colour
    if kind in ("lane marking", "crosswalk") and rng.random() < 0.6:
        return sighting.colour
    if kind in ("window", "street lamp") and sighting.state == "lit":
        return "lit"
    if kind == "tree" and sighting.state == "bare":
        return "bare"
    if kind in ("tree", "bush", "grass") and rng.random() < 0.4:
        return "green" if time == "day" else "dark"
    return ""


def _act(rng, sighting: Sighting, time: str, grounds: list[str]) -> str:
    """A clause about something that lives or moves; takes the ground it is on from `grounds`."""
    adjective = _look(rng, sighting, time)
    if sighting.state == "parked" and sighting.kind in _RIDES and rng.random() < 0.5:
        adjective = f"parked {adjective}".strip()
    phrase, plural = _phrase(rng, sighting, adjective)
    if (
        sighting.kind in ("person", "cyclist")
        and not plural
        and sighting.colour
        and rng.random() < 0.7
    ):
        phrase += f" in {sighting.colour} clothes"
    place = sighting.position
    if sighting.ground in grounds and rng.random() < 0.85:
        grounds.remove(sighting.ground)
        where = str(rng.choice(_WHERE[sighting.ground]))
        place = f"{where} {place}" if place and rng.random() < 0.4 else where
    verbs = {
        "walking": ("walks", "walk"), "standing": ("stands", "stand"), "riding": ("rides", "ride"),
        "moving": ("drives", "drive"), "parked": ("stands", "stand"),
    }  # fmt: skip
    verb = verbs.get(sighting.state, ("is", "are"))[plural]
    if verb in ("is", "are") and not place:
        place = "in view"
    return " ".join(filter(None, (phrase, verb, place)))


def _visible(rng, sightings: list[Sighting], time: str) -> str:
    when = {
        "day": ("in daylight", "in bright daylight", "during the day"),
        "dusk": ("at dusk", "in dim light", "in the fading light of the evening"),
        "night": ("at night", "in the dark", "in dim light at night"),
    }[time]  # fmt: skip
    when = str(rng.choice(when))
    if not sightings:
        return str(
            rng.choice(
                [
                    "The scene is almost black and nothing can be made out.",
                    "A very dark scene with nothing discernible.",
                ]
            )
        )
    actors = [s for s in sightings if s.kind in ACTORS]
    rest = [s for s in sightings if s.kind not in ACTORS]
    grounds = [s.kind for s in rest if s.kind in _WHERE]
    clauses = []
    for actor in actors[:2]:
        clauses.append(_act(rng, actor, time, grounds))
    told = {s.kind for s in rest if s.kind in _WHERE} - set(grounds)
    others = [*actors[2:], *(s for s in rest if s.kind not in told)]
    others.sort(key=lambda s: s.kind in ("hill", "cloud", "sky"))  # what is far comes last
    phrases = [_phrase(rng, s, _look(rng, s, time))[0] for s in others]
    if not clauses:
        lead, others = phrases[0], phrases[1:]
        if rest[0].kind in ("road", "path") and others:
            verb = str(rng.choice(["runs past", "leads past", "passes"]))
            return f"{_capital(lead)} {verb} {_join(others)} {when}."
        if len(phrases) > 1 and rng.random() < 0.4:
            return f"{_capital(_join(phrases))} are seen {when}."
        opening = str(rng.choice(["An empty scene", "A view", "A quiet scene"]))
        return f"{opening} {when} with {_join(phrases)}."
    sentence = " and ".join(clauses) if rng.random() < 0.6 else ", while ".join(clauses)
    if not phrases:
        return f"{_capital(sentence)} {when}."
    tail = _join(phrases)
    form = int(rng.integers(4))
    if form == 0:
        return f"{_capital(sentence)} {when}, with {tail}."
    if form == 1:
        return f"{_capital(when)}, {sentence}, and {tail} can be seen."
    if form == 2:
        return f"{_capital(sentence)}, with {tail} {when}."
    return f"{_capital(sentence)} {when}. {_capital(tail)} can be seen."


def _glow(sighting: Sighting, rng) -> str:
    """What an entity looks like in the infrared."""
    if sighting.kind == "sky":
        return "black" if sighting.grey < 35 else "dark" if sighting.grey < 90 else "grey"
    if sighting.rise > 45 or (sighting.grey > 200 and sighting.rise > 12):
        return str(rng.choice(["bright white", "bright", "hot and bright"]))
    if sighting.rise > 15:
        return str(rng.choice(["bright", "warm", "pale"]))
    if sighting.rise < -18:
        return str(rng.choice(["dark", "dark and cold", "black"]))
    return str(rng.choice(["grey", "mid grey", "faint"]))


def _infrared(rng, sightings: list[Sighting], time: str) -> str:
    if not sightings:
        return str(
            rng.choice(
                [
                    "The image is flat and grey and shows nothing distinct.",
                    "Everything blends into an even grey.",
                ]
            )
        )
    clauses = []
    for sighting in sightings[:2]:
        phrase, plural = _phrase(rng, sighting)
        if sighting.kind not in (*ACTORS, "sky") and not plural:
            phrase = (
                "the " + phrase.split(" ", 1)[-1] if phrase.startswith(("a ", "an ")) else phrase
            )
        place = sighting.position if sighting.kind in ACTORS and rng.random() < 0.5 else ""
        look = _glow(sighting, rng)
        if sighting.kind in ("person", "cyclist", "dog") and sighting.rise > 15:
            verb = (
                str(rng.choice(["glow", "shine", "stand out"]))
                if plural
                else str(rng.choice(["glows", "shines", "stands out"]))
            )
            clause = f"{phrase} {verb} {look} {place}".strip()
            if not sighting.seen[0]:
                hidden = [", hardly seen in the visible image"]
                if time != "day":
                    hidden.append(", lost in the dark of the visible image")
                clause += str(rng.choice(hidden))
        else:
            clause = f"{phrase} {'are' if plural else 'is'} {look} {place}".strip()
        clauses.append(clause)
    groups: dict[str, list[tuple[str, bool]]] = {}
    for sighting in sightings[2:]:
        groups.setdefault(_glow(sighting, rng), []).append(_phrase(rng, sighting))
    tails = []
    for look, phrases in groups.items():
        plural = len(phrases) > 1 or phrases[0][1]
        tails.append(f"{_join([p for p, _ in phrases])} {'are' if plural else 'is'} {look}")
    head = _capital(
        " and ".join(clauses) if len(clauses) < 2 or "," not in clauses[0] else "; ".join(clauses)
    )
    if not tails:
        return f"{head}."
    link = str(rng.choice([", while ", "; ", ", and "]))
    return f"{head}{link}{_join(tails)}."
