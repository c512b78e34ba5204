"""Local means, variances and covariances under a separable window, stable in float32."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

Pair = tuple[int, int]


def local_moments(
    images: Sequence[Array], pairs: tuple[Pair, ...], window: tuple[float, ...]
) -> tuple[list[Array], list[Array]]:
    """Weighted means and covariances in every window that fits in the image.

    E[x y] - E[x] E[y] in float32 loses small variances of bright regions: at grey value 255 the
    squares are exact to 0.004 only. Instead, each row of a window is reduced first, then the rows
    (the variance over a window is the mean of the variances of its rows plus the variance of their
    means), and each step takes deviations from the centre of the window. A variance keeps about six
    digits at any brightness, and is exactly 0 where the image is constant.

    A filter is a sum of shifted slices, which XLA fuses into one loop; a depthwise convolution is
    many times slower on CPU. Differentiable in reverse mode.

    Args:
      images: float32 [H, W] each.
      pairs: indices of the images of each covariance; (k, k) is a variance.
      window: odd number n of weights with sum 1, applied along rows and along columns.

    Returns:
      Means [H - n + 1, W - n + 1] per image, and covariances of that shape per pair (population
      form: divided by the sum of the weights).
    """
    means, covariances = _along(list(images), None, pairs, window, 1)
    return _along(means, covariances, pairs, window, 0)


def _tap(image: Array, start: int, length: int, axis: int) -> Array:
    return lax.slice_in_dim(image, start, start + length, axis=axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _along_axis(
    images: list[Array],
    inner: list[Array] | None,
    pairs: tuple[Pair, ...],
    window: tuple[float, ...],
    axis: int,
) -> tuple[list[Array], list[Array]]:
    """Moments along one axis; `inner` are the covariances along the other axis.

    The gradient is written out: automatic differentiation of this loop would pad and add an array
    per tap, and take many times longer to compile and run.
    """
    length = images[0].shape[axis] - len(window) + 1
    middle = len(window) // 2
    centres = [_tap(image, middle, length, axis) for image in images]
    means = [jnp.zeros_like(centre) for centre in centres]
    products = [jnp.zeros_like(centres[0])] * len(pairs)
    for k, weight in enumerate(window):
        if inner is not None:
            products = [
                p + weight * _tap(c, k, length, axis) for p, c in zip(products, inner, strict=True)
            ]
        if k == middle:
            continue
        away = [_tap(x, k, length, axis) - c for x, c in zip(images, centres, strict=True)]
        weighted = [weight * x for x in away]
        means = [m + x for m, x in zip(means, weighted, strict=True)]
        products = [p + weighted[a] * away[b] for p, (a, b) in zip(products, pairs, strict=True)]
    covariances = [p - means[a] * means[b] for p, (a, b) in zip(products, pairs, strict=True)]
    return [c + m for c, m in zip(centres, means, strict=True)], covariances


def _along_forward(
    images: list[Array],
    inner: list[Array] | None,
    pairs: tuple[Pair, ...],
    window: tuple[float, ...],
    axis: int,
) -> tuple[tuple[list[Array], list[Array]], tuple[list[Array], list[Array], tuple[()] | None]]:
    means, covariances = _along_axis(images, inner, pairs, window, axis)
    return (means, covariances), (images, means, None if inner is None else ())


def _along_backward(
    pairs: tuple[Pair, ...],
    window: tuple[float, ...],
    axis: int,
    saved: tuple[list[Array], list[Array], tuple[()] | None],
    gradients: tuple[list[Array], list[Array]],
) -> tuple[list[Array], list[Array] | None]:
    """For a pixel x of weight w: d mean(x) / dx = w and d cov(x, y) / dx = w (y - mean(y))."""
    images, means, had_inner = saved
    length, reach = images[0].shape[axis], len(window) - 1

    def framed(values: Array) -> Array:
        widths = [(reach, reach) if k == axis else (0, 0) for k in range(values.ndim)]
        return jnp.pad(values, widths)

    means, of_means, of_covariances = (
        [framed(values) for values in group] for group in (means, *gradients)
    )
    to_images = [jnp.zeros_like(image) for image in images]
    to_inner = [jnp.zeros_like(images[0])] * len(pairs)
    for k, weight in enumerate(window):
        windows = functools.partial(_tap, start=reach - k, length=length, axis=axis)
        away = [image - windows(mean) for image, mean in zip(images, means, strict=True)]
        steps = [windows(gradient) for gradient in of_means]
        for index, (pair, gradient) in enumerate(zip(pairs, of_covariances, strict=True)):
            gradient = windows(gradient)
            to_inner[index] = to_inner[index] + weight * gradient
            for own, other in (pair, pair[::-1]):
                steps[own] = steps[own] + gradient * away[other]
        to_images = [t + weight * step for t, step in zip(to_images, steps, strict=True)]
    return to_images, None if had_inner is None else to_inner


_along_axis.defvjp(_along_forward, _along_backward)
# A separate program: otherwise XLA would fuse both directions, and what follows, into a loop over
# two-dimensional windows.
_along = jax.jit(_along_axis, static_argnums=(2, 3, 4))
