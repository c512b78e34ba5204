"""Sums over the part of an array that holds the image: padded images score like unpadded ones."""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float32

Grey = ArrayLike
"""uint8 or float [H, W] with 8-bit grey values."""

Size = Array | tuple[ArrayLike, ArrayLike] | None
"""True (height, width) of an image in the top left corner of its array; None: that of the array."""

Extent = tuple[Any, Any]  # (height, width), integers or traced

Scalar = Float32[Array, ""]


def as_float(*images: Grey, size: Size = None) -> tuple[list[Array], Extent]:
    """Images as float32, and their `extent`; ValueError unless all are [H, W] of one shape."""
    shapes = [jnp.shape(image) for image in images]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ValueError(f"images must be [H, W] and of one shape, got {shapes}")
    return [jnp.asarray(x).astype(jnp.float32) for x in images], extent(shapes[0], size)


def extent(shape: tuple[int, ...], size: Size) -> Extent:
    """Height and width of the image in an array of `shape`."""
    height, width = shape if size is None else size
    return height, width


def inside(shape: tuple[int, ...], size: Extent) -> Array:
    """Bool [H, W]: whether a pixel is in the image."""
    return (jnp.arange(shape[0])[:, None] < size[0]) & (jnp.arange(shape[1])[None, :] < size[1])


def cut(values: Array, size: Extent) -> Array:
    """The array with zeros outside the image."""
    return jnp.where(inside(values.shape, size), values, 0.0)


def total(values: Array, size: Extent) -> Array:
    """Sum over the image, row by row: a float32 sum over all pixels at once loses digits."""
    return jnp.sum(jnp.sum(cut(values, size), axis=1))


def mean(values: Array, size: Extent) -> Array:
    """Mean over the image, 0 if it has no pixels."""
    height, width = (jnp.asarray(side, jnp.float32) for side in size)
    return total(values, size) / jnp.maximum(height * width, 1.0)


def divide(values: Array, divisor: Array) -> Array:
    """values / divisor; the values where the divisor is not positive."""
    return values / jnp.where(divisor > 0, divisor, 1.0)


def root(values: Array) -> Array:
    """Square root with gradient 0 at 0, where it would be infinite; 0 for negative values."""
    return jnp.where(values > 0, jnp.sqrt(jnp.where(values > 0, values, 1.0)), 0.0)
