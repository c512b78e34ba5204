"""Local means, variances and covariances under a separable window, stable in float32."""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax

Arrays = list[Array]
Moments = tuple[Arrays, Arrays]
Pairs = tuple[tuple[int, int], ...]
Window = tuple[float, ...]


def local_moments(images: Arrays, pairs: Pairs, window: Window) -> Moments:
    """Weighted means and covariances in every window that fits in the image.

    E[x y] - E[x] E[y] in float32 loses small variances of bright regions. Instead, each row of a
    window is reduced first, then the rows (the variance over a window is the mean of the variances
    of its rows plus the variance of their means), and each step takes deviations from the centre of
    the window: a variance has about six digits at any brightness, and is 0 in constant images.

    A filter is a sum of shifted slices, which XLA fuses into one loop; a depthwise convolution is
    many times slower on CPU. Differentiable in reverse mode.

    Args:
      images: float32 [H, W] each.
      pairs: indices of the images of each covariance; (k, k) is a variance.
      window: odd number n of weights with sum 1, applied along rows and along columns.

    Returns:
      [H - n + 1, W - n + 1]: means per image, and covariances per pair (population form).
    """
    means, covariances = _along(images, [], pairs, window, 1)
    return _along(means, covariances, pairs, window, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _along_axis(images: Arrays, inner: Arrays, pairs: Pairs, window: Window, axis: int) -> Moments:
    """Moments along one axis; `inner` are the covariances along the other axis, if any."""
    # The gradient is written out: automatic differentiation would pad and add an array per tap, and
    # take many times longer to compile and run.
    length, middle = images[0].shape[axis] - len(window) + 1, len(window) // 2
    tap = functools.partial(_tap, length=length, axis=axis)
    centres = [tap(image, middle) for image in images]
    means = [jnp.zeros_like(centre) for centre in centres]
    products = [jnp.zeros_like(centres[0])] * len(pairs)
    for k, weight in enumerate(window):
        if inner:
            products = [p + weight * tap(c, k) for p, c in zip(products, inner, strict=True)]
        if k == middle:
            continue  # no deviation
        away = [tap(x, k) - c for x, c in zip(images, centres, strict=True)]
        weighted = [weight * x for x in away]
        means = [m + x for m, x in zip(means, weighted, strict=True)]
        products = [p + weighted[a] * away[b] for p, (a, b) in zip(products, pairs, strict=True)]
    covariances = [p - means[a] * means[b] for p, (a, b) in zip(products, pairs, strict=True)]
    return [c + m for c, m in zip(centres, means, strict=True)], covariances


def _tap(image: Array, start: int, length: int, axis: int) -> Array:
    return lax.slice_in_dim(image, start, start + length, axis=axis)


def _forward(
    images: Arrays, inner: Arrays, pairs: Pairs, window: Window, axis: int
) -> tuple[Moments, tuple[Arrays, ...]]:
    moments = _along_axis(images, inner, pairs, window, axis)
    return moments, (images, inner, moments[0])


def _backward(
    pairs: Pairs, window: Window, axis: int, saved: tuple[Arrays, ...], gradients: Moments
) -> Moments:
    """For a pixel x of weight w: d mean(x) / dx = w and d cov(x, y) / dx = w (y - mean(y))."""
    images, inner, means = saved
    length, reach = images[0].shape[axis], len(window) - 1
    frame = [(reach, reach) if k == axis else (0, 0) for k in range(2)]
    means, of_means, of_covariances = (
        [jnp.pad(values, frame) for values in group] for group in (means, *gradients)
    )
    to_images = [jnp.zeros_like(image) for image in images]
    to_inner = [jnp.zeros_like(images[0])] * len(pairs)
    for k, weight in enumerate(window):
        tap = functools.partial(_tap, start=reach - k, length=length, axis=axis)
        away = [image - tap(mean) for image, mean in zip(images, means, strict=True)]
        steps = [tap(gradient) for gradient in of_means]
        for index, (pair, gradient) in enumerate(zip(pairs, of_covariances, strict=True)):
            gradient = tap(gradient)
            to_inner[index] += weight * gradient
            for own, other in (pair, pair[::-1]):
                steps[own] += gradient * away[other]
        to_images = [t + weight * step for t, step in zip(to_images, steps, strict=True)]
    return to_images, to_inner if inner else []


_along_axis.defvjp(_forward, _backward)
# A separate program: otherwise XLA would fuse both directions, and what follows, into a loop over
# two-dimensional windows.
_along = jax.jit(_along_axis, static_argnums=(2, 3, 4))
