"""Layers and geometry: pixel shuffles, convolutions, padded batches, area reduction, grids."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

Features = Float[Array, "b h w _"]
Mask = Float[Array, "b h w 1"]
Size = tuple[Any, ...]  # rows and columns; symbolic in an exported program


def pixel_unshuffle(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b h2 w2 c2"]:
    """Moves blocks of factor x factor pixels into channels: [B, H, W, C] -> [B, H/f, W/f, C f f].

    The inverse of the pixel-shuffle of Shi et al., CVPR 2016 (arXiv 1609.05158).
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def pixel_shuffle(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b h2 w2 c2"]:
    """The inverse of `pixel_unshuffle`: [B, H, W, C f f] -> [B, H f, W f, C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // (factor * factor))


def activation(x: Array) -> Array:
    """Leaky ReLU with slope 0.1: cheap on a CPU, without dead units."""
    return jax.nn.leaky_relu(x, 0.1)


class Conv(nnx.Module):
    """A size x size convolution with zero padding whose output is zero outside the mask.

    With `zero` the kernel is zero at initialisation; `kwargs` are `dtype` and `rngs` of `nnx.Conv`.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3, zero: bool = False, **kwargs: Any):
        init = nnx.initializers.zeros_init() if zero else nnx.initializers.he_normal()
        self.conv = nnx.Conv(inputs, outputs, (size, size), kernel_init=init, **kwargs)

    def __call__(self, x: Features, mask: Mask) -> Features:
        """[B, H, W, inputs] -> [B, H, W, outputs]."""
        return masked(self.conv(x), mask)


class RMSNorm(nnx.RMSNorm):
    """Root-mean-square norm over channels, computed in float32; keeps the dtype, and zeros."""

    def __call__(self, x: Features, mask: Any = None) -> Features:
        """Keeps the shape; for `mask` see `nnx.RMSNorm`."""
        return super().__call__(x.astype(jnp.float32), mask=mask).astype(x.dtype)


class Residual(nnx.Module):
    """x + conv(activation(conv(normalised x))), both 3x3; an identity at initialisation."""

    def __init__(self, channels: int, **kwargs: Any):
        self.normalise = RMSNorm(channels, rngs=kwargs["rngs"])
        self.first = Conv(channels, channels, **kwargs)
        self.second = Conv(channels, channels, zero=True, **kwargs)

    def __call__(self, x: Features, mask: Mask) -> Features:
        """Keeps the shape; `x` must be zero outside the mask."""
        return x + self.second(activation(self.first(self.normalise(x), mask)), mask)


def extents(valid: Bool[Array, "b h w"] | None, shape: tuple) -> Int[Array, "b 2"]:
    """Rows and columns of each image of a padded batch; without `valid`, those of the batch."""
    if valid is None:
        return jnp.broadcast_to(jnp.asarray(shape[1:3], jnp.int32), (shape[0], 2))
    sides = (jnp.sum(jnp.any(valid, axis=k), axis=1, dtype=jnp.int32) for k in (2, 1))
    return jnp.stack(tuple(sides), axis=1)


def top_left_mask(extent: Int[Array, "b 2"], size: Size) -> Mask:
    """1 on the rows and columns of each image that `extent` counts, 0 elsewhere; [B, *size, 1]."""
    rows, columns = (jnp.arange(size[k])[None, :] < extent[:, k, None] for k in (0, 1))
    return (rows[:, :, None] & columns[:, None, :]).astype(jnp.float32)[..., None]


def masked(x: Features, mask: Mask) -> Features:
    """Sets values outside the mask to zero, as if the next convolution padded the image there."""
    return x * mask.astype(x.dtype)


def replicate_edge(
    x: Float[Array, "b h w c"], extent: Int[Array, "b 2"], size: Size
) -> Float[Array, "b h2 w2 c"]:
    """Repeats the last real row and column of each image up to `size`, which may exceed `x`."""

    def one(image, extent):
        for axis, side in enumerate(size):
            indices = jnp.minimum(jnp.arange(side), extent[axis] - 1)
            image = jnp.take(image, indices, axis=axis, mode="clip")
        return image

    return jax.vmap(one)(x, extent)


def divide_up(a, b):
    """Ceiling of a / b for non-negative integers: Python integers, arrays or symbolic sizes."""
    return (a + b - 1) // b


def area_weights(pixels, extent, cell_size, cells: int, xp: ModuleType = jnp):
    """Weights that average pixels of a row over cells of `cell_size` pixels, at least 1, float.

    Fractions of pixels count; pixels after the first `extent` do not. `xp` is jax.numpy, or numpy
    for computation on the host.

    Returns:
      float32 [cells, pixels]; rows sum to 1, or to 0 for a cell without real pixels.
    """
    start = xp.arange(cells, dtype=xp.float32)[:, None] * cell_size
    stop = xp.minimum(start + cell_size, extent)
    pixel = xp.arange(pixels, dtype=xp.float32)[None, :]
    share = xp.maximum(xp.minimum(stop, pixel + 1.0) - xp.maximum(start, pixel), 0.0)
    return share / xp.maximum(xp.sum(share, axis=1, keepdims=True), np.float32(1e-6))


def reduce_to(
    x: Float[Array, "b h w c"], valid: Bool[Array, "b h w"] | None, side: int
) -> tuple[Float[Array, "b y x c"], Int[Array, "b 2"], Float[Array, " b"]]:
    """Reduces images by area averaging so that the long side of each has at most `side` pixels.

    Returns:
      The reduced batch, the extent of each image in it, and the reduction factors, at least 1.
    """
    extent = extents(valid, x.shape)
    longest = jnp.maximum(jnp.max(extent, axis=1), side)
    factor = longest.astype(jnp.float32) / side
    pixels = x.shape[1:3]
    if not all(isinstance(count, int) for count in pixels):  # of a program for any size
        size: Size = (side, side)
    elif max(pixels) <= side:
        return x, extent, factor
    elif valid is None:
        size = tuple(divide_up(count * side, max(pixels)) for count in pixels)
    else:
        size = tuple(min(count, side) for count in pixels)
    weights = jax.vmap(area_weights, in_axes=(None, 0, 0, None))
    real = extent.astype(jnp.float32)
    down, across = (weights(pixels[k], real[:, k], factor, size[k]) for k in (0, 1))
    # Accelerators multiply matrices in lower precision by default; these are the model's inputs.
    x = jnp.einsum("byh,bhwc->bywc", down, x, precision="highest")
    x = jnp.einsum("bxw,bywc->byxc", across, x, precision="highest")
    return x, divide_up(extent * side, longest[:, None]), factor


def halve(
    x: Float[Array, "b h w c"], extent: Int[Array, "b 2"]
) -> tuple[Float[Array, "b y x c"], Int[Array, "b 2"]]:
    """Means of 2x2 pixels, and the extent of the result; an odd last row or column is repeated."""
    x = replicate_edge(x, extent, tuple(2 * divide_up(side, 2) for side in x.shape[1:3]))
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4)), divide_up(extent, 2)


def sample_grid(
    grid: Float[Array, "b h w c"],
    cells: Int[Array, "b 2"],
    cell_size: Float[Array, " b"],
    size: Size,
    pitch: int,
    origin: tuple = (0, 0),
) -> Float[Array, "b y x c"]:
    """Interpolates a coarse grid linearly at regular positions of an image.

    Args:
      grid: values at the centres of cells.
      cells: rows and columns of the grid that hold values.
      cell_size: pixels per cell.
      size: rows and columns of the result.
      pitch: pixels between positions.
      origin: row and column in pixels where the result begins, integers or int32 [B].
    """

    def weights(axis):
        centre = (jnp.arange(size[axis], dtype=jnp.float32) + 0.5) * pitch
        start = jnp.asarray(origin[axis], jnp.float32).reshape(-1, 1)
        positions = (start + centre[None, :]) / cell_size[:, None] - 0.5
        last = cells[:, axis, None].astype(jnp.float32) - 1.0
        return linear_weights(positions, last, grid.shape[1 + axis]).astype(grid.dtype)

    grid = jnp.einsum("bxw,bhwc->bhxc", weights(1), grid)
    return jnp.einsum("byh,bhxc->byxc", weights(0), grid)


def linear_weights(positions, last, cells: int, xp: ModuleType = jnp):
    """Weights of linear interpolation between cells, constant beyond the first and the last.

    Args:
      positions: float [..., n], in cells; integers are the centres of cells.
      last: index of the last cell, float, broadcastable to `positions`.
      cells: number of weights per position.
      xp: see `area_weights`.

    Returns:
      float32 [..., n, cells].
    """
    positions = xp.clip(positions, 0.0, last)[..., None]
    cell = xp.arange(cells, dtype=xp.float32).reshape((1,) * (positions.ndim - 1) + (cells,))
    return xp.maximum(1.0 - xp.abs(positions - cell), 0.0)
