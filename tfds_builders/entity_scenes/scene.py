"""One rendered scene: a visible and an infrared image, its entities, their masks, two captions."""

import collections
import dataclasses
from collections.abc import Collection

import cv2
import numpy as np

from egmt_jax.entities.vocabulary import MOST_ENTITIES
from tfds_builders.entity_scenes.canvas import SUPERSAMPLING, Canvas
from tfds_builders.entity_scenes.captions import Sighting, write_captions
from tfds_builders.entity_scenes.layout import Layout, draw_camera, places_for
from tfds_builders.entity_scenes.sensors import expose
from tfds_builders.entity_scenes.things import KINDS, NUMBERS, TABLE
from tfds_builders.entity_scenes.weather import TIMES, draw_weather

MIN_SIDE = 32
MIN_ENTITIES = 2

# A thing is present where it covers MIN_SHARE of the picture (and MIN_PIXELS) and, in at least one
# image, differs from its surroundings or within itself by MIN_CONTRAST grey levels.
MIN_SHARE = 0.0008
MIN_PIXELS = 6
MIN_CONTRAST = 10.0
_ATTEMPTS = 60
# Salience of things in a zone, relative to others of their size and contrast.
_WEIGHTS = {"sky": 0.3, "ground": 0.6, "built": 0.8, "back": 0.9, "run": 1.0, "with": 1.0,
            "edge": 1.8, "lane": 2.6, "walk": 4.0}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Scene:
    """A registered pair with what is in it.

    Attributes:
      visible: uint8 [H, W, 3] RGB.
      infrared: uint8 [H, W, 1].
      present: names of all things in view, most salient first.
      masks: bool [len(present), H, W], where each thing is seen; they do not overlap.
      caption_visible: names the entities that can be seen in the visible image.
      caption_infrared: names entities that can be seen in the infrared image.
      time: "day", "dusk" or "night".
    """

    visible: np.ndarray
    infrared: np.ndarray
    present: tuple[str, ...]
    masks: np.ndarray
    caption_visible: str
    caption_infrared: str
    time: str

    @property
    def entities(self) -> tuple[str, ...]:
        """2 to 8 names, the first of `present`; the captions name them."""
        return self.present[:MOST_ENTITIES]


def render_scene(
    rng: np.random.Generator,
    width: int,
    height: int,
    time: str | None = None,
    required: Collection[str] = (),
) -> Scene:
    """Renders one scene: a function of its arguments and the state of `rng`.

    Args:
      rng: source of all randomness.
      width: pixels, at least 32.
      height: pixels, at least 32.
      time: "day", "dusk" or "night"; drawn if None.
      required: names that must be among the scene's entities.

    Raises:
      ValueError: the size is too small, a time or a name is unknown, or no place can show all
        required things.
    """
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"scenes have at least {MIN_SIDE}x{MIN_SIDE} pixels, not {width}x{height}")
    if time is not None and time not in TIMES:
        raise ValueError(f"time: {time!r} is none of {', '.join(TIMES)}")
    names = ", ".join(sorted(required))
    if unknown := set(required) - set(KINDS):
        raise ValueError(f"required: unknown {', '.join(sorted(unknown))}")
    if len(set(required)) > MOST_ENTITIES or not places_for(required):
        raise ValueError(f"required: no place shows {names} together")
    for _ in range(_ATTEMPTS):
        scene = _render(rng, width, height, time, frozenset(required))
        if len(scene.entities) >= MIN_ENTITIES and set(required) <= set(scene.entities):
            return scene
    raise ValueError(f"required: {names} were not in view together in {_ATTEMPTS} scenes")


def _render(rng, width: int, height: int, time: str | None, required: frozenset[str]) -> Scene:
    weather = draw_weather(rng, time)
    canvas = Canvas(draw_camera(rng, width, height))
    canvas.begin(NUMBERS["sky"], 1e6)
    rgb = (120, 140, 170) if weather.time == "day" else (60, 60, 66)
    canvas.fill(0, rgb, weather.air - 10 - 12 * weather.clear)
    layout = Layout(canvas, rng, weather, required)
    layout.paint()
    layers = canvas.read()
    camera, cloudy = canvas.camera.scaled(1 / SUPERSAMPLING), "cloud" in layout.wanted
    visible, infrared = expose(rng, layers, camera, weather, canvas.lamps, cloudy)
    masks, sightings = _sightings(layers.kind, visible, infrared, layout.counts, required)
    captions = write_captions(rng, sightings[:MOST_ENTITIES], weather.time)
    present = tuple(s.name for s in sightings)
    return Scene(visible, infrared, present, masks, *captions, weather.time)


def _sightings(
    kinds: np.ndarray,
    visible: np.ndarray,
    infrared: np.ndarray,
    counts: collections.Counter[str],
    required: frozenset[str],
) -> tuple[np.ndarray, list[Sighting]]:
    """What can be seen, most salient and required things first, with masks bool [N, H, W]."""
    sigma = max(kinds.shape[1] / 320, 0.7)
    greys = [
        cv2.GaussianBlur(image, (0, 0), sigma)
        for image in (cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), infrared[..., 0])
    ]
    areas = np.bincount(kinds.ravel(), minlength=len(KINDS))
    found = []
    for number in np.flatnonzero(areas >= max(MIN_SHARE * kinds.size, MIN_PIXELS)):
        thing, mask = TABLE[number], kinds == number
        (contrast_v, _), (contrast_i, rise) = _contrasts(mask, greys)
        seen = (contrast_v >= MIN_CONTRAST, contrast_i >= MIN_CONTRAST)
        if any(seen):
            contrast = 0.4 + min(max(contrast_v, contrast_i) / 60, 1.0)
            salience = _WEIGHTS[thing.zone] * (areas[number] / kinds.size) ** 0.35 * contrast
            sighting = Sighting(thing.name, counts[thing.name], seen, rise)
            found.append((thing.name in required, salience, sighting, mask))
    found.sort(key=lambda item: (-item[0], -item[1]))
    masks = np.array([mask for *_, mask in found], bool).reshape(-1, *kinds.shape)
    return masks, [sighting for _, _, sighting, _ in found]


def _contrasts(mask: np.ndarray, greys: list[np.ndarray]) -> list[tuple[float, float]]:
    """For each image: contrast to the surroundings or within, and rise over the surroundings."""
    reach = max(mask.shape[1] // 50, 2)
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    box = (
        slice(max(top - reach, 0), top + height + reach),
        slice(max(left - reach, 0), left + width + reach),
    )
    inside = mask[box].view(np.uint8)
    ring = cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) - inside
    results = []
    for grey in (grey[box] for grey in greys):
        mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(grey, mask=inside))
        around = cv2.mean(grey, mask=ring)[0] if ring.any() else mean
        results.append((max(abs(mean - around), 0.8 * deviation), mean - around))
    return results
