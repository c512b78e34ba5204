"""The part of an array that is image: images of many sizes share one compiled program by padding.

Every metric takes `size`, the true (height, width) of an image that lies in the top left corner of
its array. Pixels beyond it count for nothing, whatever they hold, so a padded image scores as the
unpadded one does.
"""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

Size = ArrayLike | tuple[ArrayLike, ArrayLike] | None


def as_float(*images: ArrayLike) -> tuple[Array, ...]:
    """Grey values as float32.

    Raises:
      ValueError: an image is not [H, W], or their shapes differ.
    """
    arrays = tuple(jnp.asarray(image) for image in images)
    shapes = [array.shape for array in arrays]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ValueError(f"images must be [H, W] and of one shape, got {shapes}")
    return tuple(array.astype(jnp.float32) for array in arrays)


def extent(shape: tuple[int, ...], size: Size) -> tuple[ArrayLike, ArrayLike]:
    """Height and width of the image in an array: those of the array where `size` is None."""
    return (shape[0], shape[1]) if size is None else (size[0], size[1])


def inside(shape: tuple[int, int], height: ArrayLike, width: ArrayLike) -> Array:
    """Bool [H, W]: the pixels of rows below `height` and columns below `width`."""
    rows, columns = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
    return jnp.broadcast_to(rows < height, shape) & jnp.broadcast_to(columns < width, shape)


def cut(values: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """The array with zeros outside the image."""
    return jnp.where(inside(values.shape, height, width), values, 0.0)


def total(values: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """Sum over the image, row by row: a float32 sum over all pixels at once loses digits."""
    return jnp.sum(jnp.sum(cut(values, height, width), axis=1))


def pixels(height: ArrayLike, width: ArrayLike) -> Array:
    """How many pixels the image has, float32, at least 1 so that an empty region divides."""
    count = jnp.asarray(height, jnp.float32) * jnp.asarray(width, jnp.float32)
    return jnp.maximum(count, 1.0)


def root(values: Array) -> Array:
    """Square root whose gradient at 0 is 0 instead of infinite; 0 for negative values."""
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)
