"""Five kinds of places, and the chance of meeting each entity there."""

import dataclasses
from collections.abc import Set

import numpy as np

# Chance that a place is dealt each entity, before `choose_things` thins them out.
PLACES: dict[str, dict[str, float]] = {
    "street": {
        "road": 1.0, "sidewalk": 0.8, "building": 0.92, "curb": 0.4, "lane marking": 0.45,
        "crosswalk": 0.3, "tree": 0.3, "bush": 0.15, "street lamp": 0.45, "traffic light": 0.3,
        "traffic sign": 0.35, "traffic cone": 0.25, "bollard": 0.3, "trash can": 0.25, "pole": 0.2,
        "power line": 0.15, "car": 0.8, "van": 0.22, "truck": 0.1, "bus": 0.2, "motorcycle": 0.2,
        "person": 0.5, "cyclist": 0.25, "bicycle": 0.25, "umbrella": 0.25,
    },
    "avenue": {
        "road": 1.0, "grass": 0.75, "sidewalk": 0.3, "curb": 0.5, "lane marking": 0.6, "hill": 0.6,
        "palm tree": 0.55, "tree": 0.4, "bush": 0.5, "house": 0.4, "wall": 0.45, "fence": 0.4,
        "pole": 0.35, "power line": 0.45, "street lamp": 0.35, "traffic sign": 0.35,
        "traffic cone": 0.3, "car": 0.7, "van": 0.2, "truck": 0.3, "bus": 0.15, "person": 0.25,
        "cyclist": 0.25, "trash can": 0.2,
    },
    "park": {
        "path": 1.0, "grass": 1.0, "tree": 0.65, "bush": 0.5, "bench": 0.9, "street lamp": 0.35,
        "bollard": 0.5, "trash can": 0.4, "building": 0.35, "wall": 0.25, "fence": 0.3,
        "gate": 0.35, "person": 0.55, "cyclist": 0.25, "bicycle": 0.35, "dog": 0.5,
        "umbrella": 0.35,
    },
    "junction": {
        "road": 1.0, "sidewalk": 0.85, "building": 0.85, "lane marking": 0.35, "crosswalk": 0.6,
        "traffic light": 0.6, "traffic sign": 0.35, "street lamp": 0.3, "traffic cone": 0.25,
        "bollard": 0.3, "tree": 0.25, "palm tree": 0.25, "pole": 0.15, "car": 0.65, "van": 0.3,
        "truck": 0.25, "bus": 0.35, "motorcycle": 0.4, "person": 0.45, "cyclist": 0.3,
        "bicycle": 0.25, "umbrella": 0.3,
    },
    "field": {
        "grass": 1.0, "path": 0.55, "house": 0.6, "hill": 0.6, "tree": 0.55, "bush": 0.5,
        "fence": 0.55, "gate": 0.45, "wall": 0.3, "pole": 0.2, "power line": 0.35, "person": 0.6,
        "dog": 0.35, "truck": 0.2, "car": 0.2,
    },
}  # fmt: skip
_SHARES = {"street": 0.27, "avenue": 0.25, "park": 0.19, "junction": 0.16, "field": 0.13}
_GROUND = frozenset({"road", "path", "grass", "sidewalk", "building"})
_EVERYWHERE = frozenset({"sky", "cloud"})
_NEEDS = {"power line": "pole", "umbrella": "person", "curb": "road", "lane marking": "road"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where the road or path runs through one place, and what the place is dealt.

    Attributes:
      name: a key of `PLACES`.
      things: entities to lay out.
      centre: where the road or path is, in metres to the right of the camera.
      half: half its width in metres.
      walkway: metres from its edge to what is built beside it.
      cross: depth of a crossing road, in metres.
    """

    name: str
    things: frozenset[str]
    centre: float
    half: float
    walkway: float
    cross: float

    @property
    def left(self) -> float:
        """The left edge of the road or path."""
        return self.centre - self.half

    @property
    def right(self) -> float:
        """The right edge of the road or path."""
        return self.centre + self.half

    @property
    def open_country(self) -> bool:
        """Whether a path, not a road, leads through."""
        return self.name in ("park", "field")

    def has(self, kind: str) -> bool:
        """Whether the place was dealt the entity."""
        return kind in self.things


def draw_plan(rng: np.random.Generator, require: Set[str]) -> Plan:
    """Draws a place that holds every required entity, and its measures.

    Raises:
      ValueError: no kind of place can hold them all.
    """
    name = choose_place(rng, require)
    things = frozenset(choose_things(rng, name, require))
    if name in ("park", "field"):
        half, centre = rng.uniform(1.1, 2.4), rng.uniform(-1.2, 1.2)
    else:
        half = 3.4 * int(rng.integers(1, 3)) + rng.uniform(0.0, 1.2)
        lateral = (-1.7, rng.uniform(-0.5, 0.5) - 0.8 * half, 0.9 * half)
        centre = lateral[int(rng.integers(3))]
    return Plan(name, things, centre, half, rng.uniform(1.8, 4.0), rng.uniform(13, 24))


def choose_place(rng: np.random.Generator, require: Set[str]) -> str:
    """Draws a kind of place that can hold every required entity.

    Raises:
      ValueError: no kind of place can hold them all.
    """
    fitting = [name for name in PLACES if require <= _holds(name)]
    if not fitting:
        raise ValueError(f"no kind of place can hold all of {', '.join(sorted(require))}")
    shares = np.array([_SHARES[name] for name in fitting])
    return fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))]


def _holds(name: str) -> Set[str]:
    things = PLACES[name].keys() | _EVERYWHERE
    return things | {"window"} if things & {"building", "house"} else things


def choose_things(rng: np.random.Generator, name: str, require: Set[str]) -> set[str]:
    """Draws what a place is dealt: the ground it stands on and three to six things besides.

    More would crowd out some of the eight entities that a scene may list.

    Args:
      rng: source of chance.
      name: a key of `PLACES`.
      require: entities that are dealt in any case.

    Returns:
      Names of entities; what is dealt is not always seen.
    """
    chances = PLACES[name]
    draws = rng.random(len(chances))
    dealt = [k for (k, chance), draw in zip(chances.items(), draws, strict=True) if draw < chance]
    ground = {kind for kind in dealt if kind in _GROUND}
    things = [kind for kind in dealt if kind not in _GROUND]
    rng.shuffle(things)
    chosen = ground | set(things[: int(rng.integers(3, 7))]) | require
    chosen |= {_NEEDS[kind] for kind in chosen & _NEEDS.keys()}
    if "window" in require and not chosen & {"building", "house"}:
        chosen.add("building" if "building" in chances else "house")
    return chosen
