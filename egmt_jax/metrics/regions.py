"""Sums over the part of an array that holds the image, so that images of many sizes share one
compiled program: a padded image scores like the unpadded one, whatever the padding holds.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float32

Grey = ArrayLike
"""uint8 or float [H, W] with 8-bit grey values."""

Size = Array | tuple[ArrayLike, ArrayLike] | None
"""True (height, width) of an image in the top left corner of its array; None: that of the array."""

Scalar = Float32[Array, ""]


def as_float(*images: Grey) -> tuple[Array, ...]:
    """Images as float32; raises ValueError as `check_shapes`."""
    arrays = tuple(jnp.asarray(image) for image in images)
    check_shapes(*arrays)
    return tuple(array.astype(jnp.float32) for array in arrays)


def check_shapes(*images: Array) -> None:
    """Raises ValueError if an image is not [H, W], or if their shapes differ."""
    shapes = [image.shape for image in images]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ValueError(f"images must be [H, W] and of one shape, got {shapes}")


def extent(shape: tuple[int, ...], size: Size) -> tuple[Any, Any]:
    """Height and width of the image in an array of `shape`."""
    height, width = shape if size is None else size
    return height, width


def inside(shape: tuple[int, ...], height: ArrayLike, width: ArrayLike) -> Array:
    """Bool [H, W]: whether a pixel is in the first `height` rows and `width` columns."""
    rows, columns = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
    return jnp.broadcast_to(rows < height, shape) & jnp.broadcast_to(columns < width, shape)


def cut(values: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """The array with zeros outside the image."""
    return jnp.where(inside(values.shape, height, width), values, 0.0)


def total(values: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """Sum over the image, row by row: a float32 sum over all pixels at once loses digits."""
    return jnp.sum(jnp.sum(cut(values, height, width), axis=1))


def pixels(height: ArrayLike, width: ArrayLike) -> Array:
    """Number of pixels of the image, float32; at least 1, so that it can divide."""
    count = jnp.asarray(height, jnp.float32) * jnp.asarray(width, jnp.float32)
    return jnp.maximum(count, 1.0)


def root(values: Array) -> Array:
    """Square root with gradient 0 at 0, where it would be infinite; 0 for negative values."""
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)
