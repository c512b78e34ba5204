"""Metrics of contrast, correlation and error: SD, SF, AG, CC, SCD, MSE, PSNR."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.regions import Extent, Grey, Scalar, Size, as_float, cut, mean, root


@jax.jit
def standard_deviation(fused: Grey, *, size: Size = None) -> Scalar:
    """SD: population standard deviation of the fused image.

    Definition: sqrt(mean((F - mean F)^2)). Higher is better. Unit: grey levels. Range: 0 (constant
    image; gradient 0) to 127.5.

    Other code uses the sample form (n - 1), or the root of the sum of squares.
    """
    (fused,), size = as_float(fused, size=size)
    return root(mean(_centre(fused, size) ** 2, size))


@jax.jit
def spatial_frequency(fused: Grey, *, size: Size = None) -> Scalar:
    """SF: root mean square of horizontal and vertical first differences.

    Definition: sqrt(mean((F[y, x+1] - F[y, x])^2) + mean((F[y+1, x] - F[y, x])^2)), each mean over
    the differences that exist. Higher is better. Unit: grey levels. Range: 0 (constant image;
    gradient 0) to 255 sqrt 2.

    Source: Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Trans.
    Communications 43(12), 1995. Other code divides by H W, which lowers it by about 1 / (2 H).
    """
    (fused,), (height, width) = as_float(fused, size=size)
    horizontal = mean(jnp.diff(fused, axis=1) ** 2, (height, width - 1))
    vertical = mean(jnp.diff(fused, axis=0) ** 2, (height - 1, width))
    return root(horizontal + vertical)


@jax.jit
def average_gradient(fused: Grey, *, size: Size = None) -> Scalar:
    """AG: mean magnitude of the gradient.

    Definition: mean of sqrt((gx^2 + gy^2) / 2), gx and gy central differences (F[x+1] - F[x-1]) /
    2, one-sided at the borders; H, W >= 2. Higher is better. Unit: grey levels per pixel. Range: 0
    (constant image; gradient 0) to 255.

    Source: Cui, Feng, Xu, Li and Chen, "Detail preserved fusion of visible and infrared images
    using regional saliency extraction and multi-scale image decomposition", Optics Communications
    341, 2015. Other code has larger values from forward differences over (H - 1)(W - 1) pixels.
    """
    (fused,), (height, width) = as_float(fused, size=size)
    squares = _difference(fused, height) ** 2 + _difference(fused.T, width).T ** 2
    return mean(root(squares / 2), (height, width))


def _difference(image: Array, length: ArrayLike) -> Array:
    """Differences along axis 0: central inside, one-sided in row 0 and row `length` - 1."""
    row = jnp.arange(image.shape[0])[:, None]
    before = jnp.concatenate([image[:1], image[:-1]])
    after = jnp.where(row == length - 1, image, jnp.concatenate([image[1:], image[-1:]]))
    return (after - before) * jnp.where((row == 0) | (row == length - 1), 1.0, 0.5)


@jax.jit
def correlation_coefficient(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """CC: mean of the Pearson correlations of the fused image with the two sources.

    Definition: (corr(F, A) + corr(F, B)) / 2. Higher is better. Range: -1 to 1. The correlation
    with a constant image is 0, as is its gradient.

    Source: Deshmukh and Bhosale, "Image fusion and image quality assessment of fused images", IJIP
    4(5), 2010. Other code gives nan for a constant image, or adds an epsilon, which gives 0.
    """
    (fused, visible, infrared), size = as_float(fused, visible, infrared, size=size)
    return (_correlation(fused, infrared, size) + _correlation(fused, visible, size)) / 2


@jax.jit
def sum_of_correlations_of_differences(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """SCD: what the fused image has beyond one source, correlated with the other source.

    Definition: corr(A, F - B) + corr(B, F - A). Higher is better. Range: -2 to 2. The correlation
    with a constant is 0, as is its gradient: where F = B, corr(A, F - B) = 0.

    Source: Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU 69(12), 2015. Other code subtracts uint8 arrays, where
    negative differences wrap around.
    """
    (fused, visible, infrared), size = as_float(fused, visible, infrared, size=size)
    beyond_visible = _correlation(infrared, fused - visible, size)
    return beyond_visible + _correlation(visible, fused - infrared, size)


@jax.jit
def mean_squared_error(fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None) -> Scalar:
    """MSE: mean of the mean squared errors to the two sources.

    Definition: (mean((F - A)^2) + mean((F - B)^2)) / 2. Lower is better. Unit: squared grey levels.
    Range: 0 (F = A = B) to 65025.

    A convention of fusion code, not of one paper. Other code divides by 255 first, which gives
    values 65025 times smaller.
    """
    (fused, visible, infrared), size = as_float(fused, visible, infrared, size=size)
    return mean((fused - infrared) ** 2 + (fused - visible) ** 2, size) / 2


@jax.jit
def peak_signal_to_noise_ratio(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """PSNR: peak of the fused image against its mean squared error to the sources.

    Definition: 10 log10(max(F)^2 / MSE), with a peak of at least 1 and the MSE of
    `mean_squared_error`. Higher is better. Unit: decibels. Range: about -48 to 100, to which larger
    values, and that of F = A = B, are clipped.

    Source: Jagalingam and Hegde, "A review of quality metrics for fused image", Aquatic Procedia 4,
    2015. Other code has a peak of 255, or averages two values in decibels: a few decibels apart.
    """
    error = mean_squared_error(fused, visible, infrared, size=size)
    (fused,), size = as_float(fused, size=size)
    power = jnp.maximum(jnp.max(cut(fused, size)), 1.0) ** 2
    return 10 * jnp.log10(power / jnp.maximum(error, 1e-10 * power))


def _correlation(first: Array, second: Array, size: Extent) -> Array:
    """Pearson correlation over the image, 0 where either is constant."""
    first, second = _centre(first, size), _centre(second, size)
    spread = root(mean(first**2, size)) * root(mean(second**2, size))
    covariance = mean(first * second, size)
    return jnp.where(spread > 0, covariance / jnp.where(spread > 0, spread, 1.0), 0.0)


def _centre(image: Array, size: Extent) -> Array:
    """The image minus its mean."""
    image = image - image[0, 0]  # so that a constant image becomes exactly 0
    return image - mean(image, size)
