"""The geometry of images of any size: canvases, reduction on the host, tiles with margins."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from egmt_jax.models.egmt import CONTEXT_SIDE
from egmt_jax.models.layers import area_weights, linear_weights

STRIP = 512
"""Rows that are converted to float32 at a time while a large image is reduced."""

OVERHEAD = 2_000
"""Cost of one more tile, in pixels rendered."""


def to_unit_range(image: Shaped[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """float32 in [0, 1] from uint8; float32 passes through."""
    return image.astype(np.float32) / np.float32(255.0) if image.dtype == np.uint8 else image


def to_canvas(
    visible: Shaped[np.ndarray, "h w"], infrared: Shaped[np.ndarray, "h w"], shape: tuple[int, int]
) -> tuple[
    Float32[np.ndarray, "1 y x 1"], Float32[np.ndarray, "1 y x 1"], Bool[np.ndarray, "1 y x"]
]:
    """Both images at the top left of canvases of `shape`, and the mask of real pixels."""
    height, width = visible.shape
    pair = np.zeros((2, 1, *shape, 1), np.float32)
    for modality, image in enumerate((visible, infrared)):
        pair[modality, 0, :height, :width, 0] = to_unit_range(image)
    valid = np.zeros((1, *shape), bool)
    valid[0, :height, :width] = True
    return pair[0], pair[1], valid


def reduce_image(
    image: Shaped[np.ndarray, "h w"], side: int = CONTEXT_SIDE
) -> tuple[Float32[np.ndarray, "y x"], float]:
    """Area averages on the host, as `egmt_jax.models.layers.reduce_to` computes them on the device.

    At most a strip is held in float32.

    Args:
      image: uint8, or float32 in [0, 1].
      side: largest long side of the result in pixels.

    Returns:
      float32 in [0, 1], and pixels per pixel of the result, at least 1.
    """
    long = max(*image.shape, side)
    factor = long / side
    down, across = (_reduction(pixels, long, side) for pixels in image.shape)
    reduced = np.zeros((len(down), len(across)), np.float32)
    for top in range(0, len(image), STRIP):
        cells = slice(int(top / factor), math.ceil((top + STRIP) / factor) + 1)
        strip = to_unit_range(image[top : top + STRIP]) @ across.T
        reduced[cells] += down[cells, top : top + STRIP] @ strip
    return reduced, factor


@functools.lru_cache(maxsize=16)
def _reduction(pixels: int, long: int, side: int) -> Float32[np.ndarray, "cells pixels"]:
    factor = np.float32(long / side)
    return area_weights(pixels, pixels, factor, -(-pixels * side // long), np)


def enlarge(
    grid: Float[np.ndarray, "y x"], cell_size: float, size: tuple[int, int]
) -> Float32[np.ndarray, "h w"]:
    """Interpolates values at the centres of cells linearly, constant beyond the outermost.

    Args:
      grid: one value per cell.
      cell_size: pixels per cell.
      size: rows and columns of the result.
    """

    def weights(pixels: int, cells: int) -> np.ndarray:
        positions = (np.arange(pixels, dtype=np.float32) + 0.5) / np.float32(cell_size) - 0.5
        return linear_weights(positions, np.float32(cells - 1), cells, np)

    down, across = (weights(*axis) for axis in zip(size, grid.shape, strict=True))
    return down @ grid.astype(np.float32) @ across.T


class Tile(NamedTuple):
    """A tile of an image.

    Attributes:
      origin: row and column of its first pixel, margin included.
      core: rows and columns of the image that are taken from it.
    """

    origin: tuple[int, int]
    core: tuple[slice, slice]


def layout(
    size: tuple[int, int], shapes: Sequence[tuple[int, int]], margin: int
) -> tuple[tuple[int, int], list[Tile]]:
    """Covers an image with overlapping tiles of one shape.

    Args:
      size: rows and columns of the image.
      shapes: of tiles, margins included; the cheapest one for this size is chosen.
      margin: pixels of a tile that are not used where it borders on another; shapes are longer than
        two margins.

    Returns:
      The shape of every tile (the image may end inside), and the tiles.
    """

    def cover(side: int, length: int) -> list[tuple[int, slice]]:
        step = length - 2 * margin
        count = max(1, math.ceil((side - 2 * margin) / step))
        starts = [0, *(k * step + margin for k in range(1, count)), side]
        return [(k * step, slice(starts[k], starts[k + 1])) for k in range(count)]

    covers = [[cover(*axis) for axis in zip(size, shape, strict=True)] for shape in shapes]
    costs = [
        len(rows) * len(columns) * (math.prod(shape) + OVERHEAD)
        for shape, (rows, columns) in zip(shapes, covers, strict=True)
    ]
    best = costs.index(min(costs))
    rows, columns = covers[best]
    tiles = [
        Tile((top, left), (core_rows, core_columns))
        for top, core_rows in rows
        for left, core_columns in columns
    ]
    return shapes[best], tiles


def fitting(size: tuple[int, int], longest: int, margin: int, cell: int) -> tuple[int, int]:
    """The shape of tiles that cover images of one size with the fewest pixels.

    Args:
      size: rows and columns.
      longest: longest side of a tile, without margins.
      margin: as for `layout`.
      cell: sides are multiples of this.
    """

    def side_of(side: int) -> int:
        parts = math.ceil(side / longest)
        # The outer tiles have one margin only; the inner ones decide the length.
        length = side if parts == 1 else math.ceil((side - 2 * margin) / parts) + 2 * margin
        return max(math.ceil(length / cell) * cell, 2 * margin + cell)

    return side_of(size[0]), side_of(size[1])
