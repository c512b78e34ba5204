"""Layers and geometry: pixel shuffles, convolutions, padded batches, area reduction, grids."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int


def pixel_unshuffle(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b h2 w2 c2"]:
    """Moves blocks of factor x factor pixels into channels: [B, H, W, C] -> [B, H/f, W/f, C f f].

    The inverse of the pixel-shuffle of Shi et al., CVPR 2016 (arXiv 1609.05158). H and W must be
    multiples of `factor`.
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
    """Leaky ReLU with slope 0.1: cheap on a CPU, without dead units."""
    return jax.nn.leaky_relu(x, 0.1)


def masked(x: Float[Array, "b h w c"], mask: Float[Array, "b h w 1"] | None) -> Array:
    """Sets values outside the mask to zero, as if the next convolution padded the image there."""
    return x if mask is None else x * mask.astype(x.dtype)


class Conv(nnx.Module):
    """A convolution with zero padding whose output is zero outside `mask`.

    Args:
      inputs: input channels.
      outputs: output channels.
      size: side of the kernel.
      zero: initialise the kernel with zeros.
      dtype: dtype of the computation; parameters are float32.
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
    """x + conv(activation(conv(x))), both 3x3; an identity at initialisation."""

    def __init__(self, channels: int, *, dtype: Any = jnp.float32, rngs: nnx.Rngs):
        self.first = Conv(channels, channels, dtype=dtype, rngs=rngs)
        self.second = Conv(channels, channels, zero=True, dtype=dtype, rngs=rngs)

    def __call__(self, x, mask=None):
        """[B, H, W, channels] -> [B, H, W, channels]."""
        return x + self.second(activation(self.first(x, mask)), mask)


def extents(
    valid: Bool[Array, "b h w"] | None, shape: tuple
) -> tuple[Int[Array, " b"], Int[Array, " b"]] | tuple:
    """Height and width of each image of a padded batch; real pixels are at the top left.

    Args:
      valid: bool [B, H, W]; None: all pixels are real.
      shape: shape [B, H, W, ...] of the batch.

    Returns:
      Two int32 [B]; without `valid` two Python integers, from which shapes can be computed.
    """
    if valid is None:
        return shape[1], shape[2]
    return (
        jnp.sum(jnp.any(valid, axis=2), axis=1, dtype=jnp.int32),
        jnp.sum(jnp.any(valid, axis=1), axis=1, dtype=jnp.int32),
    )


def replicate_edge(x: Float[Array, "b h w c"], height, width, size: tuple[int, int]) -> Array:
    """Pads each image to `size` by repeating its last real row and column.

    Args:
      x: the batch; real pixels are at the top left.
      height: real rows: int32 [B], or one integer for all.
      width: real columns: int32 [B], or one integer for all.
      size: rows and columns of the result, not smaller than `x`.
    """
    if isinstance(height, int):
        bottom, right = size[0] - x.shape[1], size[1] - x.shape[2]
        return jnp.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")

    def one(image, rows, columns):
        image = jnp.take(image, jnp.minimum(jnp.arange(size[0]), rows - 1), axis=0)
        return jnp.take(image, jnp.minimum(jnp.arange(size[1]), columns - 1), axis=1)

    return jax.vmap(one)(x, height, width)


def inside(height, width, size: tuple[int, int]) -> Float[Array, "b h w 1"] | None:
    """Mask of the first `height` rows and `width` columns of each image.

    None if height and width are plain integers: then all images fill `size`.
    """
    return None if isinstance(height, int) else top_left_mask(height, width, size)


def top_left_mask(
    height: Int[Array, " b"], width: Int[Array, " b"], size: tuple[int, int]
) -> Float[Array, "b h w 1"]:
    """1 on the first `height` rows and `width` columns of each image, 0 elsewhere."""
    rows = jnp.arange(size[0])[None, :] < height[:, None]
    columns = jnp.arange(size[1])[None, :] < width[:, None]
    return (rows[:, :, None] & columns[:, None, :]).astype(jnp.float32)[..., None]


def divide_up(a, b):
    """Ceiling of a / b for non-negative integers, plain or traced."""
    return (a + b - 1) // b


def area_weights(pixels, extent, cell_size, cells: int, xp: ModuleType = jnp):
    """Weights that average a row of pixels over cells of equal size, counting fractions of pixels.

    Args:
      pixels: number of pixels; may be symbolic.
      extent: number of real pixels, float; pixels after it have weight 0.
      cell_size: pixels per cell, float, at least 1.
      cells: number of cells.
      xp: jax.numpy, or numpy for computation on the host.

    Returns:
      float32 [cells, pixels]; rows sum to 1, or to 0 for a cell without real pixels.
    """
    start = xp.arange(cells, dtype=xp.float32)[:, None] * cell_size
    stop = xp.minimum(start + cell_size, extent)
    pixel = xp.arange(pixels, dtype=xp.float32)[None, :]
    share = xp.maximum(xp.minimum(stop, pixel + 1.0) - xp.maximum(start, pixel), 0.0)
    return share / xp.maximum(xp.sum(share, axis=1, keepdims=True), np.float32(1e-6))


def area_reduce(
    x: Float[Array, "b h w c"],
    height: Int[Array, " b"],
    width: Int[Array, " b"],
    factor: Float[Array, " b"],
    size: tuple[int, int],
) -> Float[Array, "b y x c"]:
    """Reduces the real part of each image by its factor into the top left of `size`."""

    def weights(extent, pixels, cells):
        return jax.vmap(lambda e, f: area_weights(pixels, e, f, cells))(
            extent.astype(jnp.float32), factor
        )

    down = weights(height, x.shape[1], size[0])
    across = weights(width, x.shape[2], size[1])
    # Accelerators multiply matrices in lower precision by default; these are the model's inputs.
    x = jnp.einsum("byh,bhwc->bywc", down, x, precision="highest")
    return jnp.einsum("bxw,bywc->byxc", across, x, precision="highest")


def reduce_to(x: Float[Array, "b h w c"], valid: Bool[Array, "b h w"] | None, side: int):
    """Reduces images by area averaging so that the long side of each has at most `side` pixels.

    Args:
      x: the batch; an image that is small enough is not changed.
      valid: real pixels; None: all.
      side: largest long side in pixels.

    Returns:
      The reduced batch [B, h, w, C]; height and width of each image in it (int32 [B], or integers
      without `valid`); the reduction factor, float32 [B], at least 1.
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
    return area_reduce(x, height, width, factor, size), *reduced, factor


def sample_grid(
    grid: Float[Array, "b h w c"],
    cells: Int[Array, "b 2"],
    cell_size: Float[Array, " b"],
    size: tuple[int, int],
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
      origin: row and column in pixels where the result begins.
    """

    def weights(axis):
        centre = (jnp.arange(size[axis], dtype=jnp.float32) + 0.5) * pitch
        centre += jnp.asarray(origin[axis], jnp.float32)
        positions = centre[None, :] / cell_size[:, None] - 0.5
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
      xp: jax.numpy, or numpy for computation on the host.

    Returns:
      float32 [..., n, cells].
    """
    positions = xp.clip(positions, 0.0, last)[..., None]
    cell = xp.arange(cells, dtype=xp.float32).reshape((1,) * (positions.ndim - 1) + (cells,))
    return xp.maximum(1.0 - xp.abs(positions - cell), 0.0)


def zero_pad(x: Float[Array, "b h w c"], size: tuple[int, int]) -> Array:
    """Pads with zeros below and to the right, up to `size` rows and columns."""
    return jnp.pad(x, ((0, 0), (0, size[0] - x.shape[1]), (0, size[1] - x.shape[2]), (0, 0)))
