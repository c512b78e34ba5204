"""Training examples: a view of a pair, crops of it at full size, their target, and labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from egmt_jax.data.target_picture import target_picture
from egmt_jax.entities import Vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.io.images import chroma
from egmt_jax.io.pairs import Pair
from egmt_jax.io.valid import continued
from egmt_jax.models.egmt import CELL, CHROMA, CONTEXT_SIDE, HAS_INFRARED, INFRARED, LUMA

SCALES = (0.8, 1.2)
"""Range of the random factor on the reduction of a view, relative to that of inference."""

COLOUR_SHARE = 0.8
"""Share of colour pairs whose view keeps the chroma; the others train the view of a grey pair."""

SLIVER = 0.25
"""Share of an entity's mask that a window must show for the entity to count as present."""

LABELLED_SHARE = 0.6
"""Share of a pair that a view must show to have the labels of the pair."""

ENTITY_CROPS = 0.5
"""Share of crops that are chosen to show an entity, for most entities are small."""

MOST_CACHED = 2**30
"""Bytes of target pictures that are kept per data set."""

SURROUND = 8
"""Pixels by which the surround of an entity extends beyond its mask."""

FADING_AREA = (0.1, 0.3)
"""Shares of the picture between which guidance of an entity fades to none: an entity that fills the
picture, such as a road or the sky, has no surround to stand out from."""


class Targets:
    """Target pictures of pairs and the salience of their entities, kept for later epochs.

    Args:
      contrast: see `target_picture`.
    """

    def __init__(self, contrast: float):
        self._contrast = contrast
        self._kept: dict[str, tuple[UInt8[np.ndarray, "h w"], dict[str, float]]] = {}
        self._bytes = 0

    def of(self, pair: Pair) -> tuple[UInt8[np.ndarray, "h w"], dict[str, float]]:
        """The target picture, and the signed salience of each entity with a mask."""
        found = self._kept.get(pair.id)
        if found is None:
            luma, infrared = (
                x.astype(np.float32) / np.float32(255.0) for x in (pair.luma, pair.infrared[..., 0])
            )
            target = target_picture(luma, infrared, pair.has_infrared, self._contrast)
            masks = {name: mask for name, mask in (pair.masks or {}).items() if mask.any()}
            saliences = {
                name: salience(mask, luma, infrared, target) for name, mask in masks.items()
            }
            found = np.rint(np.float32(255.0) * target).astype(np.uint8), saliences
            if self._bytes < MOST_CACHED:
                self._kept[pair.id] = found
                self._bytes += target.size
        return found


def salience(mask: UInt8[np.ndarray, "h w"], *images: Float32[np.ndarray, "h w"]) -> float:
    """By how much guidance should raise an entity in its target, signed, in [-0.25, 0.25].

    The larger contrast of the entity against its surround in one of the images counts, and its
    direction is that of the last image, the target picture: so guidance adds to what is seen.
    """
    inside = mask.astype(np.float32) / np.float32(255.0)
    area = float(inside.mean())
    side = 2 * SURROUND + 1
    around = cv2.blur(inside, (side, side)) * (1.0 - inside)

    def contrast(image):
        return float(np.average(image, weights=inside) - np.average(image, weights=around + 1e-9))

    contrasts = [contrast(image) for image in images]
    largest = max(contrasts, key=abs)
    direction = np.tanh((2.0 * contrasts[-1] + largest) / 0.03)
    fading = np.clip((FADING_AREA[1] - area) / (FADING_AREA[1] - FADING_AREA[0]), 0.0, 1.0)
    return float(fading * direction * min(0.06 + 0.4 * abs(largest), 0.25))


def multi_hot(names: Sequence[str], vocabulary: Vocabulary) -> Float32[np.ndarray, " k"]:
    """1 for each of the names, else 0; raises UserError for a name outside the vocabulary."""
    labels = np.zeros(len(vocabulary), np.float32)
    labels[[vocabulary.id_of(name) for name in names]] = 1.0
    return labels


def enlarge_to(side: int, pair: Pair) -> Pair:
    """The pair, continued by reflection if it is smaller than `side` pixels a side."""
    height, width = pair.visible.shape[:2]
    if min(height, width) >= side:
        return pair
    padding = [(0, max(side - height, 0)), (0, max(side - width, 0))]

    def padded(image):
        return np.pad(image, padding + [(0, 0)] * (image.ndim - 2), mode="symmetric")

    return dataclasses.replace(
        pair,
        visible=padded(pair.visible),
        infrared=padded(pair.infrared),
        masks=pair.masks and {name: padded(mask) for name, mask in pair.masks.items()},
        has_infrared=None if pair.has_infrared is None else padded(pair.has_infrared),
    )


def make_example(
    pair: Pair,
    target: tuple[UInt8[np.ndarray, "h w"], Mapping[str, float]],
    vocabulary: Vocabulary,
    view: int,
    crop: int,
    crops: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """One example of a batch, see `pipeline.training_batches`; `target` is that of `Targets.of`.

    The context of a fusion is computed from the view, at the scale of inference, varied by `SCALES`
    and mirrored at random. A pair that is longer than the view shows a window of itself.
    """
    height, width = pair.visible.shape[:2]
    factor = max(height, width, CONTEXT_SIDE) / CONTEXT_SIDE * rng.uniform(*SCALES)
    shape = [max(crop, min(side, int(view * factor))) for side in (height, width)]
    factor = max(factor, max(shape) / view)
    top, left = (int(rng.integers(s - t + 1)) for s, t in zip((height, width), shape, strict=True))
    flip = -1 if rng.random() < 0.5 else 1
    rows, columns = (max(1, round(side / factor)) for side in shape)

    def window(image):
        image = image[top : top + shape[0], left : left + shape[1]]
        return np.ascontiguousarray(image[:, ::flip])

    def reduced(image):
        return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)

    luma, infrared, has_infrared = window(pair.luma), pair.infrared[..., 0], None
    if pair.has_infrared is not None:
        infrared = np.rint(continued(infrared.astype(np.float32), pair.has_infrared))
        infrared, has_infrared = infrared.astype(np.uint8), window(pair.has_infrared)
    infrared = window(infrared)
    canvas = np.zeros((view, view, 5), np.float32)
    part = canvas[:rows, :columns]
    part[..., LUMA], part[..., INFRARED] = reduced(luma), reduced(infrared)
    canvas /= np.float32(255.0)
    if pair.visible.shape[2] == 3 and rng.random() < COLOUR_SHARE:
        part[..., CHROMA] = chroma(reduced(window(pair.visible)))
    part[..., HAS_INFRARED] = 1.0
    if has_infrared is not None:
        part[..., HAS_INFRARED] = reduced(has_infrared.astype(np.float32))

    whole = {name: mask for name, mask in (pair.masks or {}).items() if mask.any()}
    masks = {name: window(mask) for name, mask in whole.items()}
    shares = {name: np.count_nonzero(masks[name]) / np.count_nonzero(whole[name]) for name in whole}
    shows_most = shape[0] * shape[1] >= LABELLED_SHARE * height * width
    labels, labelled = _labels(pair, shares, shows_most, vocabulary)
    ordered = dict.fromkeys([*(name for name in pair.entities if name in masks), *masks])
    names = [name for name in ordered if shares[name] > 0.0][:MOST_ENTITIES]
    ids = np.full(MOST_ENTITIES, -1, np.int32)
    ids[: len(names)] = [vocabulary.id_of(name) for name in names]
    saliences = np.zeros(MOST_ENTITIES, np.float32)
    saliences[: len(names)] = [target[1][name] for name in names]
    guide = multi_hot([name for name in names if name in pair.entities], vocabulary)
    coverage = np.zeros((view // CELL, view // CELL, MOST_ENTITIES), np.float32)
    for slot, name in enumerate(names):
        plane = np.zeros((view, view), np.float32)
        plane[:rows, :columns] = reduced(masks[name])
        cells = plane.reshape(view // CELL, CELL, view // CELL, CELL)
        coverage[..., slot] = cells.mean(axis=(1, 3)) / np.float32(255.0)

    corners = [_corner([masks[name] for name in names], shape, crop, rng) for _ in range(crops)]

    def cut(image):
        return np.stack([image[y : y + crop, x : x + crop] for y, x in corners])

    planes = np.zeros((crops, crop, crop, MOST_ENTITIES), np.uint8)
    for slot, name in enumerate(names):
        planes[..., slot] = cut(masks[name])
    return {
        "view": canvas,
        "extent": np.asarray((rows, columns), np.int32),
        "factor": np.float32(factor),
        "origin": np.asarray(corners, np.int32),
        "visible": cut(luma)[..., None],
        "infrared": cut(infrared)[..., None],
        "target": cut(window(target[0]))[..., None],
        "entity_ids": ids,
        "salience": saliences,
        "guide": guide,
        "labels": labels,
        "labelled": labelled,
        "coverage": coverage,
        "masks": planes,
        "masked": np.bool_(pair.masks is not None),
    }


def _labels(
    pair: Pair, shares: Mapping[str, float], shows_most: bool, vocabulary: Vocabulary
) -> tuple[Float32[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
    """Labels of a view, and for which entities they are known.

    What is absent from the pair is absent from the view; what is present is known to be in the
    view, or not, by the `shares` of the masks that it shows, or because it shows most of the pair.
    Where nobody looked for everything, the entities of a pair are its labels, as in the paper.
    """
    names = pair.entities if pair.present is None else pair.present
    labels = multi_hot(names, vocabulary)
    known = np.full(labels.shape, pair.present is not None or bool(names))
    for name in () if shows_most else names:
        entity, share = vocabulary.id_of(name), shares.get(name, SLIVER / 2)
        labels[entity] = share >= SLIVER
        known[entity] = share == 0.0 or share >= SLIVER
    return labels, known


def _corner(
    masks: list[UInt8[np.ndarray, "h w"]], shape: list[int], crop: int, rng: np.random.Generator
) -> tuple[int, int]:
    """First row and column of a crop; some crops contain a random pixel of a random entity."""
    last = [side - crop for side in shape]
    corner = [int(rng.integers(side + 1)) for side in last]
    if masks and rng.random() < ENTITY_CROPS:
        points = np.argwhere(masks[rng.integers(len(masks))])
        if len(points):
            inside = rng.integers(crop // 4, 3 * crop // 4, 2)
            corner = (points[rng.integers(len(points))] - inside).tolist()
    row, column = (min(max(c, 0), side) for c, side in zip(corner, last, strict=True))
    return row, column
