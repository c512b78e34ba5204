"""The table of all things: where they stand, how large, how coloured and how warm they are."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfds_builders.entity_scenes import sprites
from tfds_builders.entity_scenes.canvas import Rgb
from tfds_builders.entity_scenes.weather import Weather

PLACES = ("street", "country", "park")

_ASPHALT = ((70, 71, 74), (92, 92, 94), (108, 104, 100))
_STONE = ((150, 145, 136), (172, 166, 154), (132, 128, 122))
_FACADES = ((150, 84, 66), (188, 176, 152), (204, 200, 192), (128, 124, 120), (168, 132, 96))
_GREENS = ((62, 92, 40), (78, 104, 44), (48, 80, 46), (96, 104, 52))
_METAL = ((96, 100, 100), (64, 66, 68), (128, 130, 132))
_CLOTHES = ((28, 29, 34), (40, 42, 52), (54, 48, 44), (30, 38, 62), (198, 196, 190),
            (176, 184, 196), (170, 40, 40), (190, 120, 40), (46, 96, 150))  # fmt: skip
_PAINT = ((226, 226, 224), (222, 222, 220), (165, 168, 172), (104, 107, 112), (30, 31, 34),
          (34, 35, 38), (165, 26, 28), (34, 62, 130), (176, 160, 128))  # fmt: skip
_LINES = ((222, 222, 216), (216, 176, 60))
_WOOD = ((104, 84, 66), (128, 98, 64))
_BINS = ((44, 82, 56), (60, 62, 66), (40, 66, 120))
_BRIGHT = ((226, 226, 224), (214, 168, 30), (176, 40, 34), (38, 70, 150), (50, 110, 70))


@dataclasses.dataclass(frozen=True)
class Thing:
    """One kind of thing.

    Attributes:
      name: as in the vocabulary.
      zone: where it is: "sky", "ground", "built", "run" (along the road), "lane", "walk", "edge"
        (of the road), "back" (behind the walkway) or "with" (another thing).
      chance: of meeting it in each of `PLACES`.
      colours: one of them is drawn.
      sun: degrees above the air in full sun.
      night: degrees above the air on a clear night. Heavy, dark things store the sun; thin metal
        and leaves that face a clear sky fall below the air.
      height: metres, of those with an `apparent` size.
      apparent: smallest and largest share of the picture's height that it takes up.
      most: instances in a scene.
      parts: of things that face the camera, or a function that draws them from a generator.
      living: whether a body warms it.
      texture: relative strength in the visible image, degrees in the infrared one.
    """

    name: str
    zone: str
    chance: tuple[float, float, float]
    colours: tuple[Rgb, ...]
    sun: float
    night: float
    height: float = 0.0
    apparent: tuple[float, float] = (0.1, 0.3)
    most: int = 1
    parts: Sequence | Callable | None = None
    living: bool = False
    texture: tuple[float, float] = (0.05, 0.4)

    def draw_parts(self, rng: np.random.Generator) -> Sequence[sprites.Part]:
        """The parts of one instance; none for a thing that is no sprite."""
        return self.parts(rng) if callable(self.parts) else self.parts or ()

    def temperature(self, rng: np.random.Generator, weather: Weather) -> float:
        """Draws the temperature of one instance in degrees Celsius."""
        cooling = self.night * (0.35 + 0.65 * weather.clear if self.night < 0 else 1.0)
        heat = weather.air + weather.sunny * self.sun + (1.0 - weather.sunny) * cooling
        heat += rng.normal(0.0, 0.8)
        return heat + rng.uniform(0.45, 0.75) * max(32.0 - heat, 3.0) if self.living else heat


TABLE = (
    # name, zone, chance in street, country and park, colours, sun, night,
    # height, apparent, most, parts
    Thing("sky", "sky", (1, 1, 1), ((60, 60, 66),), 0, -20, texture=(0, 0.3)),
    Thing("cloud", "sky", (0.3, 0.4, 0.35), ((200, 200, 200),), 0, -10, texture=(0, 0.3)),
    Thing("road", "ground", (1, 1, 0), _ASPHALT, 15, 3.5, texture=(0.12, 0.5)),
    Thing("path", "ground", (0, 0, 1), _STONE, 10, 0.5, texture=(0.16, 0.6)),
    Thing("grass", "ground", (0.12, 1, 1), _GREENS, 4, -4.5, texture=(0.3, 1.1)),
    Thing("sidewalk", "ground", (1, 0.25, 0), _STONE, 10, 1.2, texture=(0.12, 0.5)),
    Thing("curb", "ground", (0.6, 0.3, 0), ((186, 184, 176), (200, 176, 90)), 12, 5.5),
    Thing("lane marking", "ground", (0.65, 0.65, 0), _LINES, 12.5, 2.5, texture=(0.15, 0.4)),
    Thing("crosswalk", "ground", (0.4, 0.1, 0), _LINES[:1], 12.5, 2.5, texture=(0.15, 0.4)),
    Thing("building", "built", (0.95, 0.15, 0.45), _FACADES, 7, 5, texture=(0.09, 0.7)),
    Thing("window", "with", (0.85, 0.1, 0.4), ((58, 70, 82),), -2, -1.5, texture=(0.15, 0.5)),
    Thing("wall", "run", (0.12, 0.2, 0.25), _STONE, 10, 3.5, texture=(0.16, 0.9)),
    Thing("fence", "run", (0.15, 0.35, 0.25), (*_WOOD, *_LINES[:1], (60, 62, 64)), 4, -3),
    Thing("guardrail", "run", (0.06, 0.35, 0), ((160, 164, 166), (188, 190, 190)), 8, -4.5),
    Thing("person", "walk", (0.55, 0.3, 0.65), _CLOTHES, 4, 0, 1.75, (0.13, 0.5), 3,
          sprites.person, living=True),
    Thing("cyclist", "walk", (0.25, 0.2, 0.25), _CLOTHES, 4, 0, 1.75, (0.16, 0.45), 1,
          sprites.cyclist, living=True),
    Thing("dog", "walk", (0.06, 0.12, 0.35), (*_WOOD, (44, 38, 34)), 4, 0, 0.95, (0.1, 0.26), 1,
          sprites.dog, living=True),
    Thing("umbrella", "with", (0.18, 0.1, 0.25), _BRIGHT, 5, -3, parts=sprites.umbrella),
    Thing("bicycle", "edge", (0.25, 0.1, 0.3), (*_PAINT, *_BRIGHT), 4, -3, 1.0, (0.12, 0.34), 2,
          sprites.bicycle),
    Thing("motorcycle", "edge", (0.2, 0.1, 0.08), _PAINT, 7, -2.5, 1.1, (0.12, 0.34), 1,
          sprites.motorcycle),
    Thing("car", "lane", (0.75, 0.55, 0), _PAINT, 9, -3, 1.5, (0.1, 0.38), 3),
    Thing("van", "lane", (0.2, 0.15, 0), _PAINT[:4], 8, -3, 2.1, (0.16, 0.45)),
    Thing("truck", "lane", (0.12, 0.22, 0), _PAINT[:3] + _BRIGHT, 8, -3, 3.1, (0.2, 0.5)),
    Thing("bus", "lane", (0.2, 0.1, 0), _BRIGHT, 8, -3, 3.1, (0.22, 0.5)),
    Thing("tree", "back", (0.35, 0.75, 0.85), _GREENS, 2, 0.3, 7.0, (0.3, 0.85), 4,
          sprites.tree, texture=(0.3, 1.2)),
    Thing("palm tree", "back", (0.1, 0.2, 0.1), _GREENS, 4, 0.8, 7.5, (0.3, 0.75), 3,
          sprites.palm_tree, texture=(0.3, 1.2)),
    Thing("bush", "back", (0.25, 0.5, 0.55), _GREENS, 3, -1.8, 1.2, (0.1, 0.3), 3,
          sprites.bush, texture=(0.3, 1.2)),
    Thing("street lamp", "edge", (0.5, 0.25, 0.4), _METAL, 4, -2, 6.2, (0.3, 0.75), 2,
          sprites.street_lamp),
    Thing("pole", "edge", (0.3, 0.4, 0.05), _WOOD, 4, -1, 8.0, (0.4, 0.95), 2, sprites.pole),
    Thing("traffic light", "edge", (0.35, 0.06, 0), ((28, 30, 28),), 5, -0.5, 3.4, (0.22, 0.6), 2,
          sprites.traffic_light),
    Thing("traffic sign", "edge", (0.4, 0.4, 0.05), _METAL, 2.5, -4.5, 2.85, (0.22, 0.6), 2,
          sprites.traffic_sign),
    Thing("traffic cone", "edge", (0.25, 0.2, 0.06), ((232, 84, 26),), 4, -3, 0.75, (0.07, 0.2), 4,
          sprites.TRAFFIC_CONE),
    Thing("bollard", "edge", (0.3, 0.06, 0.3), (*_STONE, *_METAL), 7, -2.5, 0.9, (0.09, 0.24), 4,
          sprites.bollard),
    Thing("trash can", "edge", (0.2, 0.1, 0.35), _BINS, 6, -2, 1.06, (0.1, 0.3), 2,
          sprites.TRASH_CAN),
    Thing("bench", "edge", (0.08, 0, 0.5), _WOOD, 5, -2.5, 0.95, (0.11, 0.28), 2, sprites.BENCH),
)  # fmt: skip
THINGS = {thing.name: thing for thing in TABLE}
KINDS = tuple(THINGS)
NUMBERS = {name: number for number, name in enumerate(KINDS)}
NEEDS = {"window": "building", "umbrella": "person", "curb": "road", "lane marking": "road"}
"""Things that come only with another thing."""
