"""The geometry of large images: reduction on the host, tiles with margins, maps brought to size."""

import math
from typing import NamedTuple

import numpy as np

STRIP = 512
"""Rows that are converted to float32 at a time while a large image is reduced."""


def unit(image: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] from uint8; float32 passes through."""
    return image.astype(np.float32) / np.float32(255.0) if image.dtype == np.uint8 else image


class Reduction(NamedTuple):
    """How an image is brought to the size that its context is found on; see `reduction`.

    Attributes:
      down: float32 [h, H], share of each row in each row of the reduced image; rows sum to 1.
      across: float32 [w, W], likewise for columns.
      factor: pixels per pixel of the reduced image, 1 or more.
    """

    down: np.ndarray
    across: np.ndarray
    factor: float


def reduction(size: tuple[int, int], side: int) -> Reduction:
    """Averages over areas, so that the long side has at most `side` pixels.

    Applied, it gives what `egmt_jax.models.layers.reduce_to` gives for an image without padding, to
    float32 rounding.

    Args:
      size: rows and columns of the image.
      side: pixels.
    """
    long = max(*size, side)
    down, across = (
        _area_weights(pixels, -(-pixels * side // long), long / side) for pixels in size
    )
    return Reduction(down, across, long / side)


def _area_weights(pixels: int, cells: int, step: float) -> np.ndarray:
    """Share of each pixel in each cell of `step` pixels: float32 [cells, pixels]."""
    start = np.arange(cells)[:, None] * step
    stop = np.minimum(start + step, pixels)
    pixel = np.arange(pixels)[None, :]
    share = np.clip(np.minimum(stop, pixel + 1.0) - np.maximum(start, pixel), 0.0, None)
    return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)


def reduce_image(image: np.ndarray, how: Reduction) -> np.ndarray:
    """Applies a reduction on the host; no more than a strip is ever held in float32.

    Args:
      image: uint8, or float32 in [0, 1], [H, W].
      how: of its size.

    Returns:
      float32 [h, w] in [0, 1].
    """
    reduced = np.zeros((len(how.down), len(how.across)), np.float32)
    for top in range(0, len(image), STRIP):
        cells = slice(int(top / how.factor), math.ceil((top + STRIP) / how.factor) + 1)
        strip = unit(image[top : top + STRIP]) @ how.across.T
        reduced[cells] += how.down[cells, top : top + STRIP] @ strip
    return reduced


def enlarge(grid: np.ndarray, step: float, size: tuple[int, int]) -> np.ndarray:
    """Interpolates values at the centres of cells linearly, constant beyond the outermost.

    Args:
      grid: float [h, w].
      step: pixels per cell.
      size: rows and columns of the result.

    Returns:
      float32 [H, W].
    """

    def weights(pixels: int, cells: int) -> np.ndarray:
        place = np.clip((np.arange(pixels) + 0.5) / step - 0.5, 0.0, cells - 1)[:, None]
        return np.clip(1.0 - np.abs(place - np.arange(cells)), 0.0, None).astype(np.float32)

    down, across = (weights(pixels, cells) for pixels, cells in zip(size, grid.shape, strict=True))
    return down @ grid.astype(np.float32) @ across.T


class Tile(NamedTuple):
    """A tile of an image.

    Attributes:
      origin: row and column where what is rendered begins, margin included.
      core: rows and columns of the image that it gives.
    """

    origin: tuple[int, int]
    core: tuple[slice, slice]


def layout(
    size: tuple[int, int], longest: int, margin: int, align: int
) -> tuple[tuple[int, int], list[Tile]]:
    """Cuts an image into tiles that overlap by a margin; they agree where the margin suffices.

    Args:
      size: rows and columns of the image.
      longest: an axis with more pixels is cut into the fewest equal parts of at most so many.
      margin: pixels around each part, such as the receptive field; rounded up to `align`.
      align: origins are multiples of this many pixels.

    Returns:
      Rows and columns of every tile with its margins (the image may end within it), and the tiles.
    """
    margin = -(-margin // align) * align
    extents, starts = [], []
    for side in size:
        parts = -(-side // longest)
        core = -(-side // (parts * align)) * align
        extents.append(side if parts == 1 else core + 2 * margin)
        starts.append([(start, min(start + core, side)) for start in range(0, side, core)])
    tiles = [
        Tile(
            (max(0, top - margin), max(0, left - margin)), (slice(top, bottom), slice(left, right))
        )
        for top, bottom in starts[0]
        for left, right in starts[1]
    ]
    return tuple(extents), tiles
