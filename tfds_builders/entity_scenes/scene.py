"""One made-up scene: a visible and an infrared image, its entities, their masks, two captions."""

import dataclasses
from collections.abc import Collection

import cv2
import numpy as np

from tfds_builders.entity_scenes.canvas import SUPERSAMPLING, Camera, Canvas, Instance, Lamp
from tfds_builders.entity_scenes.captions import ACTORS, NAMES, Sighting, write_captions
from tfds_builders.entity_scenes.conditions import TIMES, Conditions, draw_conditions
from tfds_builders.entity_scenes.layouts import Place
from tfds_builders.entity_scenes.places import draw_plan
from tfds_builders.entity_scenes.sensors import Exposure

KINDS = tuple(NAMES)
MIN_SIDE = 32
MIN_ENTITIES, MAX_ENTITIES = 2, 8

# An entity is present where it covers MIN_SHARE of the picture (and MIN_PIXELS) and, in one
# modality at least, differs from its surroundings or within itself by MIN_CONTRAST grey levels.
MIN_SHARE = 0.0006
MIN_PIXELS = 6
MIN_CONTRAST = 10.0

_LIVING = frozenset({"person", "cyclist", "dog"})
_VEHICLES = frozenset({"car", "van", "truck", "bus", "motorcycle", "bicycle"})
_BACKDROP = frozenset({"road", "sidewalk", "path", "grass", "curb", "sky", "cloud", "hill"})
_LARGE = frozenset({"building", "house", "tree", "palm tree", "bush", "wall"})
_ATTEMPTS = 60


@dataclasses.dataclass(frozen=True)
class Scene:
    """A registered pair with what is in it.

    Attributes:
      visible: uint8 [H, W, 3] RGB.
      infrared: uint8 [H, W, 1].
      entities: 2 to 8 names, most salient first.
      masks: bool [N, H, W], where each entity is seen; they do not overlap.
      caption_visible: names the entities that can be told in the visible image.
      caption_infrared: names entities that can be told in the infrared image.
      time: "day", "dusk" or "night".
    """

    visible: np.ndarray
    infrared: np.ndarray
    entities: tuple[str, ...]
    masks: np.ndarray
    caption_visible: str
    caption_infrared: str
    time: str


def render_scene(
    rng: np.random.Generator,
    width: int,
    height: int,
    time: str | None = None,
    require: Collection[str] = (),
) -> Scene:
    """Renders one scene; all chance comes from `rng`, so equal generators give equal scenes.

    Args:
      rng: source of all chance.
      width: pixels, 32 at least.
      height: pixels, 32 at least.
      time: "day", "dusk" or "night"; drawn by chance if None.
      require: entities that must be among the scene's entities.

    Returns:
      The scene.

    Raises:
      ValueError: the size is too small, a time or an entity is unknown, or the required entities
        cannot be brought together in one place.
    """
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"scenes are {MIN_SIDE}x{MIN_SIDE} pixels at least, not {width}x{height}")
    if time is not None and time not in TIMES:
        raise ValueError(f"time: {time!r} is none of {', '.join(TIMES)}")
    required = frozenset(require)
    if required - set(KINDS):
        raise ValueError(f"require: no entity is called {', '.join(sorted(required - set(KINDS)))}")
    for _ in range(_ATTEMPTS):
        scene = _render(rng, width, height, time, required)
        if len(scene.entities) >= MIN_ENTITIES and required <= set(scene.entities):
            return scene
    raise ValueError(
        f"require: {', '.join(sorted(required))} were not seen together in {_ATTEMPTS} scenes"
    )


def _render(rng, width: int, height: int, time: str | None, required: frozenset[str]) -> Scene:
    plan = draw_plan(rng, required)
    conditions = draw_conditions(rng, time)
    canvas = Canvas(_camera(rng, width, height))
    _paint_backdrop(canvas, conditions)
    Place(canvas, rng, conditions, plan).paint()
    if conditions.dark and rng.random() < 0.5:  # our own headlights
        canvas.lamps.append(Lamp((0.0, 0.7, 0.0), (8.0, 7.6, 6.8), (0.0, -0.08, 1.0), 18.0))
    layers = canvas.read()
    canvas.begin("cloud", 1e6)
    exposure = Exposure(canvas, layers, conditions, rng)
    exposure.add_clouds(
        _cloud_cover(rng, conditions, height, width, "cloud" in required), canvas.current
    )
    visible, infrared = exposure.visible(), exposure.infrared()
    masks, sightings = _sight(canvas.instances, layers.instance, visible, infrared, required)
    captions = write_captions(rng, sightings, conditions.time)
    return Scene(
        visible=visible,
        infrared=infrared,
        entities=tuple(s.kind for s in sightings),
        masks=masks,
        caption_visible=captions[0],
        caption_infrared=captions[1],
        time=conditions.time,
    )


def _camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    width, height = width * SUPERSAMPLING, height * SUPERSAMPLING
    return Camera(
        width=width,
        height=height,
        focal=rng.uniform(0.85, 1.35) * max(width, 1.1 * height),
        horizon=height * rng.uniform(0.34, 0.54),
        centre=width * rng.uniform(0.38, 0.62),
        eye=rng.uniform(1.35, 2.2),
        bend=float(rng.normal(0, 0.0012)) if rng.random() < 0.6 else 0.0,
    )


def _paint_backdrop(canvas: Canvas, conditions: Conditions) -> None:
    """Fills the canvas with sky; its colour shows at the edges of what stands before it."""
    canvas.begin("sky", 1e6)
    width, height = canvas.camera.width, canvas.camera.height
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    mean = 0.5 * (conditions.sky_low + conditions.sky_top)
    rgb = 255.0 * np.clip(mean, 0, 1) ** 0.45 if conditions.time == "day" else (60, 60, 66)
    canvas.polygon(frame, tuple(rgb), conditions.air - 10 - 12 * conditions.clear)


def _cloud_cover(rng, conditions: Conditions, height: int, width: int, forced: bool) -> np.ndarray:
    coarse = rng.standard_normal((9, 7), np.float32)
    fine = rng.standard_normal((22, 15), np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    field += 0.45 * cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC)
    finest = rng.standard_normal((60, 40), np.float32)
    field += 0.2 * cv2.resize(finest, (width, height), interpolation=cv2.INTER_CUBIC)
    broken = rng.random() < 0.5 and conditions.clear > 0.5
    bias = -0.6 if broken or forced else -4.0
    return np.clip(0.5 + 1.3 * (field + np.float32(bias)), 0, 1).astype(np.float32)


def _sight(
    instances: list[Instance],
    labels: np.ndarray,
    visible: np.ndarray,
    infrared: np.ndarray,
    required: frozenset[str],
) -> tuple[np.ndarray, list[Sighting]]:
    """The entities that two images show, most salient first, with their masks bool [N, H, W]."""
    height, width = labels.shape
    table = np.full(256, 255, np.uint8)
    table[: len(instances)] = [KINDS.index(i.kind) for i in instances]
    kinds = cv2.LUT(labels, table)
    least = max(MIN_SHARE * kinds.size, MIN_PIXELS)
    areas = np.bincount(kinds.ravel(), minlength=256)
    pixels = np.bincount(labels.ravel(), minlength=256)
    sigma = max(width / 320, 0.7)
    greys = [
        cv2.GaussianBlur(image, (0, 0), sigma)
        for image in (cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), infrared[..., 0])
    ]
    found = []
    for index in np.flatnonzero(areas[: len(KINDS)] >= least):
        kind, mask = KINDS[index], kinds == index
        (grey_v, contrast_v, _), (grey_i, contrast_i, rise) = _contrasts(mask, greys)
        seen = (contrast_v >= MIN_CONTRAST and grey_v > 4, contrast_i >= MIN_CONTRAST)
        if not any(seen):
            continue
        share = areas[index] / kinds.size
        weight = _weight(kind) * share**0.35 * (0.4 + min(max(contrast_v, contrast_i) / 60, 1.0))
        sighting = _describe(kind, index, instances, pixels, labels, least, seen, grey_i, rise)
        found.append((kind in required, weight, sighting, mask))
    found.sort(key=lambda item: -item[1])
    kept = sorted(
        sorted(found, key=lambda item: not item[0])[:MAX_ENTITIES], key=lambda item: -item[1]
    )
    masks = np.stack([item[3] for item in kept]) if kept else np.zeros((0, height, width), bool)
    return masks, [item[2] for item in kept]


def _weight(kind: str) -> float:
    if kind in _LIVING:
        return 4.0
    if kind in _VEHICLES:
        return 2.6
    if kind in _BACKDROP:
        return 0.3 if kind == "sky" else 0.55
    if kind == "window":
        return 0.7
    return 0.9 if kind in _LARGE else 1.6


def _contrasts(mask: np.ndarray, greys: list[np.ndarray]) -> list[tuple[float, float, float]]:
    """Mean level inside, contrast, and rise over the surroundings, for each image."""
    reach = max(mask.shape[1] // 50, 2)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (
        slice(max(rows[0] - reach, 0), rows[-1] + reach + 1),
        slice(max(columns[0] - reach, 0), columns[-1] + reach + 1),
    )
    inside = mask[box].view(np.uint8)
    ring = cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) - inside
    results = []
    for grey in greys:
        crop = grey[box]
        mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(crop, mask=inside))
        around = cv2.mean(crop, mask=ring)[0] if ring.any() else mean
        results.append((mean, max(abs(mean - around), 0.8 * deviation), mean - around))
    return results


def _describe(kind, index, instances, pixels, labels, least, seen, grey, rise) -> Sighting:
    mine = [i for i, instance in enumerate(instances) if instance.kind == kind]
    mine = sorted((i for i in mine if pixels[i]), key=lambda i: -pixels[i])
    largest = instances[mine[0]]
    count = max(sum(int(pixels[i] >= 0.6 * least) for i in mine), 1)
    position = ground = ""
    if kind in ACTORS:
        mask = labels == mine[0]
        columns, low = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))[-1]
        middle = (columns[0] + columns[-1]) / (2 * labels.shape[1])
        if count == 1:
            left, right = middle < 0.36, middle > 0.64
            position = "on the left" if left else "on the right" if right else "ahead"
        if low + 1 < labels.shape[0]:
            foot = int(np.median(np.flatnonzero(mask[low])))
            ground = instances[labels[low + 1, foot]].kind
    return Sighting(
        kind=kind,
        count=count,
        colour=largest.colour,
        state=largest.state,
        position=position,
        ground=ground,
        seen=seen,
        grey=grey,
        rise=rise,
    )
