"""Local means, variances and covariances under a separable window, stable in float32."""

import functools
from collections.abc import Sequence

import jax
from jax import Array, lax

Pair = tuple[int, int]


def local_moments(
    images: Sequence[Array], pairs: tuple[Pair, ...], window: tuple[float, ...]
) -> tuple[list[Array], list[Array]]:
    """Weighted means and covariances in every window that fits in the image.

    E[x y] - E[x] E[y] in float32 loses small variances of bright regions: at grey value 255 the
    squares are known to 0.004 only. Here the columns are done first, then the rows (the variance
    over a window is the mean of the variances of its rows plus the variance of their means), and
    each step measures deviations from the centre of the window, so that a variance keeps about six
    digits whatever the brightness, and is exactly 0 where the image is constant.

    A filter is a sum of shifted slices: XLA makes one loop of it, where a depthwise convolution is
    many times slower on CPU.

    Args:
      images: float32 [H, W] each.
      pairs: indices of the images whose covariances are wanted; (k, k) is a variance.
      window: odd number n of weights whose sum is 1, applied along rows and along columns.

    Returns:
      Means [H - n + 1, W - n + 1] per image, and covariances of that shape per pair (population
      form: divided by the sum of the weights).
    """
    means, covariances = _along(images, None, pairs, window, axis=1)
    return _along(means, covariances, pairs, window, axis=0)


@functools.partial(jax.jit, static_argnames=("pairs", "window", "axis"))
def _along(
    images: Sequence[Array],
    inner: Sequence[Array] | None,
    pairs: tuple[Pair, ...],
    window: tuple[float, ...],
    axis: int,
) -> tuple[list[Array], list[Array]]:
    """Moments along one axis; `inner` are covariances already gathered along the other.

    A program of its own: in one program XLA would fuse the two directions, and what follows, into a
    loop over whole two-dimensional windows.
    """
    length = images[0].shape[axis] - len(window) + 1
    middle = len(window) // 2

    def tap(image: Array, k: int) -> Array:
        return lax.slice_in_dim(image, k, k + length, axis=axis)

    centres = [tap(image, middle) for image in images]
    means = [centre * 0.0 for centre in centres]
    products = [means[0]] * len(pairs)
    for k, weight in enumerate(window):
        if inner is not None:
            products = [p + weight * tap(c, k) for p, c in zip(products, inner, strict=True)]
        if k == middle:
            continue
        away = [tap(image, k) - centre for image, centre in zip(images, centres, strict=True)]
        weighted = [weight * x for x in away]
        means = [m + x for m, x in zip(means, weighted, strict=True)]
        products = [p + weighted[a] * away[b] for p, (a, b) in zip(products, pairs, strict=True)]
    covariances = [p - means[a] * means[b] for p, (a, b) in zip(products, pairs, strict=True)]
    return [c + m for c, m in zip(centres, means, strict=True)], covariances
