"""Small pieces: pixel shuffles, convolutions, and the geometry of padded batches."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int


def pixel_unshuffle(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b h2 w2 c2"]:
    """Moves blocks of factor x factor pixels into channels: [B, H, W, C] -> [B, H/f, W/f, C f f].

    Shi et al., CVPR 2016 (arXiv 1609.05158), inverted. H and W must be multiples of `factor`.
    """
    if factor == 1:
        return x
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def pixel_shuffle(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b h2 w2 c2"]:
    """The inverse of `pixel_unshuffle`: [B, H, W, C f f] -> [B, H f, W f, C]."""
    if factor == 1:
        return x
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // (factor * factor))


def activation(x: Array) -> Array:
    """Leaky ReLU with slope 0.1: cheap on a CPU, and never dead."""
    return jax.nn.leaky_relu(x, 0.1)


def masked(x: Float[Array, "b h w c"], mask: Float[Array, "b h w 1"] | None) -> Array:
    """Zero outside the mask, so that the next convolution sees what zero padding would show it."""
    return x if mask is None else x * mask.astype(x.dtype)


class Conv(nnx.Module):
    """A convolution with zero padding whose output is zero outside `mask`.

    Args:
      inputs: input channels.
      outputs: output channels.
      size: side of the kernel.
      zero: start from zero weights.
      dtype: of the computation; parameters are float32.
      rngs: NNX random streams.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 3,
        *,
        zero: bool = False,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ):
        initializer = nnx.initializers.zeros_init() if zero else nnx.initializers.he_normal()
        self.conv = nnx.Conv(
            inputs,
            outputs,
            (size, size),
            kernel_init=initializer,
            dtype=dtype,
            param_dtype=jnp.float32,
            rngs=rngs,
        )

    def __call__(self, x, mask=None):
        """[B, H, W, inputs] -> [B, H, W, outputs]."""
        return masked(self.conv(x), mask)


class Residual(nnx.Module):
    """x + conv(activation(conv(x))), both 3x3; the second starts at zero: depth does no harm."""

    def __init__(self, channels: int, *, dtype: Any = jnp.float32, rngs: nnx.Rngs):
        self.first = Conv(channels, channels, dtype=dtype, rngs=rngs)
        self.second = Conv(channels, channels, zero=True, dtype=dtype, rngs=rngs)

    def __call__(self, x, mask=None):
        """[B, H, W, channels] -> the same."""
        return x + self.second(activation(self.first(x, mask)), mask)


def extents(
    valid: Array | None, shape: tuple[int, ...]
) -> tuple[Int[Array, " b"], Int[Array, " b"]] | tuple[int, int]:
    """Height and width of each image of a padded batch, whose real pixels lie at the top left.

    Args:
      valid: bool [B, H, W], or None where all pixels are real.
      shape: [B, H, W, ...] of the batch.

    Returns:
      Two int32 [B], or two Python integers without `valid` (so that shapes can follow from them).
    """
    if valid is None:
        return shape[1], shape[2]
    return (
        jnp.sum(jnp.any(valid, axis=2), axis=1, dtype=jnp.int32),
        jnp.sum(jnp.any(valid, axis=1), axis=1, dtype=jnp.int32),
    )


def replicate_edge(x: Float[Array, "b h w c"], height, width, size: tuple[int, int]) -> Array:
    """Extends each image to `size` by repeating its last real row and column.

    Args:
      x: the batch; real pixels at the top left.
      height: real rows: int32 [B], or one integer for all.
      width: real columns, likewise.
      size: rows and columns of the result, at least those of `x`.
    """
    if isinstance(height, int):
        bottom, right = size[0] - x.shape[1], size[1] - x.shape[2]
        return jnp.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")

    def one(image, rows, columns):
        image = jnp.take(image, jnp.minimum(jnp.arange(size[0]), rows - 1), axis=0)
        return jnp.take(image, jnp.minimum(jnp.arange(size[1]), columns - 1), axis=1)

    return jax.vmap(one)(x, height, width)


def inside(height, width, size: tuple[int, int]) -> Float[Array, "b h w 1"] | None:
    """1 on the first `height` rows and `width` columns of each image, 0 elsewhere.

    None where all images fill `size`, that is where height and width are plain integers.
    """
    if isinstance(height, int):
        return None
    rows = jnp.arange(size[0])[None, :] < height[:, None]
    columns = jnp.arange(size[1])[None, :] < width[:, None]
    return (rows[:, :, None] & columns[:, None, :]).astype(jnp.float32)[..., None]


def divide_up(a, b):
    """Ceiling of a / b for non-negative integers, plain or traced."""
    return (a + b - 1) // b


def area_average(
    x: Float[Array, "b n m c"],
    extent: Int[Array, " b"],
    step: Float[Array, " b"],
    cells: int,
    taps: int,
) -> Float[Array, "b cells m c"]:
    """Averages rows over cells of `step` rows each, fractions of rows counted.

    Args:
      x: the batch.
      extent: real rows of each image; a cell averages the real rows in it alone.
      step: rows per cell, at least 1.
      cells: number of cells; one without real rows gets 0.
      taps: how many rows a cell can touch at most: the largest step, rounded up, and 1.
    """
    start = jnp.arange(cells, dtype=jnp.float32)[None, :] * step[:, None]
    stop = jnp.minimum(start + step[:, None], extent.astype(jnp.float32)[:, None])
    first = jnp.floor(start)
    total, area = jnp.zeros(()), jnp.zeros(())
    for tap in range(taps):
        row = first + tap
        weight = jnp.maximum(jnp.minimum(stop, row + 1.0) - jnp.maximum(start, row), 0.0)
        index = jnp.minimum(row.astype(jnp.int32), extent[:, None] - 1)
        taken = jax.vmap(lambda image, where: jnp.take(image, where, axis=0))(x, index)
        total, area = total + weight[:, :, None, None] * taken, area + weight
    return total / jnp.maximum(area, 1e-6)[:, :, None, None]


def reduce_to(x: Float[Array, "b h w c"], valid: Bool[Array, "b h w"] | None, side: int):
    """Reduces images by area averaging so that the long side of each has at most `side` pixels.

    Args:
      x: the batch; an image that is small enough stays as it is.
      valid: its real pixels, or None: all.
      side: pixels.

    Returns:
      The reduced batch [B, h, w, C]; height and width of each image in it (int32 [B], or integers
      without `valid`); the factor of reduction, float32 [B], 1 or more.
    """
    batch, rows, columns = x.shape[:3]
    height, width = extents(valid, x.shape)
    if isinstance(height, int):
        long = max(height, width, side)
    else:
        long = jnp.maximum(jnp.maximum(height, width), side)
    factor = jnp.broadcast_to(jnp.asarray(long, jnp.float32) / side, (batch,))
    reduced = divide_up(height * side, long), divide_up(width * side, long)
    if max(rows, columns) <= side:
        return x, *reduced, factor
    if isinstance(height, int):
        size = reduced
        height, width = jnp.full((batch,), height), jnp.full((batch,), width)
    else:
        size = min(rows, side), min(columns, side)
    taps = divide_up(max(rows, columns), side) + 1
    x = area_average(x, height, factor, size[0], taps)
    x = area_average(x.swapaxes(1, 2), width, factor, size[1], taps).swapaxes(1, 2)
    return x, *reduced, factor


def sample_grid(
    grid: Float[Array, "b h w c"],
    cells: Int[Array, "b 2"],
    step: Float[Array, " b"],
    size: tuple[int, int],
    pitch: int,
    origin: tuple[int, int] = (0, 0),
) -> Float[Array, "b y x c"]:
    """Interpolates a coarse grid over an image linearly, at regular positions.

    Args:
      grid: values at the centres of cells.
      cells: rows and columns of the grid that hold values.
      step: pixels per cell.
      size: rows and columns of the result.
      pitch: pixels between its positions.
      origin: row and column, in pixels, where the result begins.
    """

    def weights(axis):
        centre = (jnp.arange(size[axis], dtype=jnp.float32) + 0.5) * pitch
        centre += jnp.asarray(origin[axis], jnp.float32)
        return linear_weights(
            centre[None, :] / step[:, None] - 0.5, cells[:, axis], grid.shape[1 + axis]
        ).astype(grid.dtype)

    grid = jnp.einsum("bxw,bhwc->bhxc", weights(1), grid)
    return jnp.einsum("byh,bhxc->byxc", weights(0), grid)


def zero_pad(x: Float[Array, "b h w c"], size: tuple[int, int]) -> Array:
    """Zeros below and right, up to `size` rows and columns."""
    return jnp.pad(x, ((0, 0), (0, size[0] - x.shape[1]), (0, size[1] - x.shape[2]), (0, 0)))


def linear_weights(
    positions: Float[Array, "b n"], cells: Int[Array, " b"], size: int
) -> Float[Array, "b n size"]:
    """Weights of linear interpolation on cells 0 .. cells - 1, constant beyond the ends."""
    last = (cells - 1).astype(jnp.float32)[:, None]
    positions = jnp.clip(positions, 0.0, last)
    cell = jnp.arange(size, dtype=jnp.float32)[None, None, :]
    return jnp.maximum(1.0 - jnp.abs(positions[:, :, None] - cell), 0.0)
