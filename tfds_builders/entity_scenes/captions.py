"""One sentence per image that names what can be seen in it."""

import dataclasses

import numpy as np

_MASS = frozenset({"grass", "sky"})
_PLURAL = {"person": "people", "bus": "buses", "bush": "bushes", "bench": "benches"}
_WHEN = {
    "day": ("in daylight", "during the day"),
    "dusk": ("at dusk", "in the fading light of the evening"),
    "night": ("at night", "in the dark"),
}


@dataclasses.dataclass(frozen=True)
class Sighting:
    """What captions say about one entity.

    Attributes:
      name: as in the vocabulary.
      count: instances.
      seen: whether it differs from its surroundings in the (visible, infrared) image.
      rise: grey levels above its surroundings in the infrared image.
    """

    name: str
    count: int
    seen: tuple[bool, bool]
    rise: float


def write_captions(
    rng: np.random.Generator, sightings: list[Sighting], time: str
) -> tuple[str, str]:
    """Captions of the visible and the infrared image; together they name every sighting."""
    when = str(rng.choice(_WHEN[time]))
    visible = [s for s in sightings if s.seen[0]]
    infrared = [s for s in sightings if s.seen[1] and (not s.seen[0] or rng.random() < 0.7)]
    if visible:
        opening = str(rng.choice(["A scene {} shows {}.", "{}, one sees {}.", "{}: {}."]))
        text = opening.format(when, _join([_phrase(s) for s in visible]))
    else:
        text = f"The image {when} is almost black."
    groups: dict[str, list[Sighting]] = {}
    for sighting in infrared:
        groups.setdefault(_look(rng, sighting.rise), []).append(sighting)
    clauses = []
    for look, group in groups.items():
        plural = len(group) > 1 or (group[0].count > 1 and group[0].name not in _MASS)
        clauses.append(f"{_join([_phrase(s) for s in group])} {'are' if plural else 'is'} {look}")
    return _sentence(text), _sentence(("; ".join(clauses) or "an even grey view") + ".")


def _look(rng: np.random.Generator, rise: float) -> str:
    if rise > 40:
        return str(rng.choice(["bright white", "hot and bright"]))
    return "warm" if rise > 12 else "cold and dark" if rise < -12 else "grey"


def _phrase(sighting: Sighting) -> str:
    name = sighting.name
    if name in _MASS:
        return "the sky" if name == "sky" else name
    if sighting.count > 1:
        return f"several {_PLURAL.get(name, name + 's')}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _join(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
