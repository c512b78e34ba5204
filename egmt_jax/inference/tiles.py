"""The geometry of images of any size: canvases, reduction on the host, tiles with margins."""

import functools
import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from egmt_jax.io.images import chroma
from egmt_jax.models.egmt import CHROMA, CONTEXT_SIDE, HAS_INFRARED, INFRARED, LUMA
from egmt_jax.models.layers import area_weights, linear_weights

OVERHEAD = 2_000  # cost of one more tile, in pixels rendered

Image = Shaped[np.ndarray, "h w"]  # one channel: uint8, or float32 in [0, 1]
Tile = tuple[tuple[int, int], tuple[slice, slice]]  # first pixel; part of the image it gives


def to_unit_range(image: Image) -> Float32[np.ndarray, "h w"]:
    """Converts uint8; float32 passes through."""
    return image.astype(np.float32) / np.float32(255.0) if image.dtype == np.uint8 else image


def to_canvas(
    visible: Image, infrared: Image, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, "1 y x"]]:
    """Both images, float32 [1, Y, X, 1], at the top left of `shape`, and where there are pixels."""
    missing = [(0, full - side) for full, side in zip(shape, visible.shape, strict=True)]
    first, second = (
        np.pad(to_unit_range(x), missing)[None, ..., None] for x in (visible, infrared)
    )
    return first, second, np.pad(np.ones(visible.shape, bool), missing)[None]


def reduce_image(image: Image) -> tuple[Float32[np.ndarray, "y x"], float]:
    """Area averages on the host, as `egmt_jax.models.layers.reduce_to` computes them on the device.

    Returns at most `CONTEXT_SIDE` pixels a side, in [0, 1], and the factor, at least 1.
    """
    long = max(*image.shape, CONTEXT_SIDE)
    down, across = (_reduction(pixels, long) for pixels in image.shape)
    return down @ (to_unit_range(image) @ across.T), long / CONTEXT_SIDE


def view_canvas(
    visible: Shaped[np.ndarray, "h w *c"],
    luma: Image,
    infrared: Image,
    has_infrared: Bool[np.ndarray, "h w"] | None,
) -> tuple[Float32[np.ndarray, "1 s s 5"], Bool[np.ndarray, "1 s s"], float]:
    """What the context sees of a pair, as `egmt_jax.models.make_view`, on a square canvas.

    Returns the view, its real pixels, and the factor of its reduction.
    """
    (small, factor), (small_infrared, _) = map(reduce_image, (luma, infrared))
    rows, columns = small.shape
    view = np.zeros((1, CONTEXT_SIDE, CONTEXT_SIDE, 5), np.float32)
    part = view[0, :rows, :columns]
    part[..., LUMA], part[..., INFRARED] = small, small_infrared
    if visible.ndim == 3 and visible.shape[2] >= 3:
        working = visible[..., :3]
        if visible.dtype.kind == "f":
            working = working.astype(np.float32)
        size = (columns, rows)
        part[..., CHROMA] = chroma(cv2.resize(working, size, interpolation=cv2.INTER_AREA))
    part[..., HAS_INFRARED] = 1.0
    if has_infrared is not None:
        part[..., HAS_INFRARED], _ = reduce_image(has_infrared.astype(np.float32))
    valid = np.zeros((1, CONTEXT_SIDE, CONTEXT_SIDE), bool)
    valid[:, :rows, :columns] = True
    return view, valid, factor


@functools.lru_cache(maxsize=16)
def _reduction(pixels: int, long: int) -> Float32[np.ndarray, "cells pixels"]:
    cells = -(-pixels * CONTEXT_SIDE // long)
    return area_weights(pixels, pixels, np.float32(long / CONTEXT_SIDE), cells, np)


def enlarge(
    grid: Float[np.ndarray, "y x"], cell_size: float, size: tuple[int, int]
) -> Float32[np.ndarray, "h w"]:
    """Interpolates values at the centres of cells of `cell_size` pixels linearly to `size`."""

    def weights(pixels: int, cells: int) -> np.ndarray:
        positions = (np.arange(pixels, dtype=np.float32) + 0.5) / np.float32(cell_size) - 0.5
        return linear_weights(positions, np.float32(cells - 1), cells, np)

    down, across = (weights(*axis) for axis in zip(size, grid.shape, strict=True))
    return down @ grid.astype(np.float32) @ across.T


def layout(
    size: tuple[int, int], shapes: Sequence[tuple[int, int]], margin: int
) -> tuple[tuple[int, int], list[Tile]]:
    """Covers an image of `size` with overlapping tiles of the cheapest of `shapes`.

    Shapes are longer than two margins: pixels that are not used where a tile borders on another.

    Returns:
      The shape of every tile (the image may end inside), and the tiles.
    """

    def cover(side: int, length: int) -> list[tuple[int, slice]]:
        step = length - 2 * margin
        count = max(1, math.ceil((side - 2 * margin) / step))
        starts = [0, *(k * step + margin for k in range(1, count)), side]
        return [(k * step, slice(starts[k], starts[k + 1])) for k in range(count)]

    def cost(shape: tuple[int, int]) -> int:
        count = math.prod(len(cover(*axis)) for axis in zip(size, shape, strict=True))
        return count * (math.prod(shape) + OVERHEAD)

    best = min(shapes, key=cost)
    pairs = itertools.product(*(cover(*axis) for axis in zip(size, best, strict=True)))
    return best, [((top, left), (rows, columns)) for (top, rows), (left, columns) in pairs]


def fitting(size: tuple[int, int], longest: int, margin: int, cell: int) -> tuple[int, int]:
    """The shape of tiles that cover images of `size` with the fewest pixels.

    Sides are multiples of `cell`, and without margins at most `longest`.
    """

    def side_of(side: int) -> int:
        parts = math.ceil(side / longest)
        # The outer tiles have one margin only; the inner ones decide the length.
        length = side if parts == 1 else math.ceil((side - 2 * margin) / parts) + 2 * margin
        return max(math.ceil(length / cell) * cell, 2 * margin + cell)

    return side_of(size[0]), side_of(size[1])
