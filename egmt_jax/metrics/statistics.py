"""Metrics of contrast, correlation and error: SD, SF, AG, CC, SCD, MSE, PSNR."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.regions import Grey, Scalar, Size, as_float, cut, extent, pixels, root, total

LARGEST_PSNR = 100.0


@jax.jit
def standard_deviation(fused: Grey, *, size: Size = None) -> Scalar:
    """SD: population standard deviation of the fused image.

    Definition: sqrt(mean((F - mean F)^2)). Higher is better. Unit: grey levels. Range: 0 to 127.5;
    0 for a constant image, where the gradient is 0.

    A textbook quantity. Some scripts use the sample form (n - 1), or take the root of the squared
    sum without dividing by the number of pixels.
    """
    (fused,) = as_float(fused)
    height, width = extent(fused.shape, size)
    centred = _centre(fused, height, width)
    return root(total(centred**2, height, width) / pixels(height, width))


@jax.jit
def spatial_frequency(fused: Grey, *, size: Size = None) -> Scalar:
    """SF: root mean square of horizontal and vertical first differences.

    Definition: sqrt(mean((F[y, x+1] - F[y, x])^2) + mean((F[y+1, x] - F[y, x])^2)), each mean over
    the differences that exist (a direction of one pixel adds 0). Higher is better. Unit: grey
    levels. Range: 0 to 255 sqrt 2; 0 for a constant image, where the gradient is 0.

    Source: Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Trans.
    Communications 43(12), 1995. Some scripts divide the sums by H W instead of the number of
    differences, which lowers the value by about 1 / (2 H).
    """
    (fused,) = as_float(fused)
    height, width = extent(fused.shape, size)
    along_rows = (fused[:, 1:] - fused[:, :-1]) ** 2
    along_columns = (fused[1:] - fused[:-1]) ** 2
    return root(
        total(along_rows, height, width - 1) / pixels(height, width - 1)
        + total(along_columns, height - 1, width) / pixels(height - 1, width)
    )


@jax.jit
def average_gradient(fused: Grey, *, size: Size = None) -> Scalar:
    """AG: mean magnitude of the gradient.

    Definition: mean of sqrt((gx^2 + gy^2) / 2), gx and gy central differences (F[x+1] - F[x-1]) /
    2, one-sided at the borders; H, W >= 2. Higher is better. Unit: grey levels per pixel. Range: 0
    to 255; 0 for a constant image, where the gradient is 0.

    Source: Cui, Feng, Xu, Li and Chen, "Detail preserved fusion of visible and infrared images
    using regional saliency extraction and multi-scale image decomposition", Optics Communications
    341, 2015. Scripts with forward differences over (H - 1)(W - 1) pixels give larger values.
    """
    (fused,) = as_float(fused)
    height, width = extent(fused.shape, size)
    gradient_y = _difference(fused, height)
    gradient_x = _difference(fused.T, width).T
    magnitude = root((gradient_x**2 + gradient_y**2) / 2)
    return total(magnitude, height, width) / pixels(height, width)


def _difference(image: Array, length: ArrayLike) -> Array:
    """Differences along axis 0: central inside, one-sided in row 0 and row `length` - 1."""
    row = jnp.broadcast_to(jnp.arange(image.shape[0])[:, None], image.shape)
    before = jnp.concatenate([image[:1], image[:-1]])
    after = jnp.where(row == length - 1, image, jnp.concatenate([image[1:], image[-1:]]))
    return (after - before) * jnp.where((row == 0) | (row == length - 1), 1.0, 0.5)


@jax.jit
def correlation_coefficient(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """CC: mean of the Pearson correlations of the fused image with the two sources.

    Definition: (corr(F, A) + corr(F, B)) / 2, symmetric in the sources. Higher is better. Range: -1
    to 1. The correlation with a constant image is 0, as is its gradient.

    Source: Deshmukh and Bhosale, "Image fusion and image quality assessment of fused images", IJIP
    4(5), 2010. Scale and offset of the grey values do not matter. For a constant image, some
    scripts give nan (0 / 0); others add an epsilon, which gives 0 as here.
    """
    fused, visible, infrared = as_float(fused, visible, infrared)
    height, width = extent(fused.shape, size)
    return (
        _correlation(fused, infrared, height, width) + _correlation(fused, visible, height, width)
    ) / 2


@jax.jit
def sum_of_correlations_of_differences(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """SCD: what the fused image has beyond one source, correlated with the other source.

    Definition: corr(A, F - B) + corr(B, F - A), symmetric in the sources. Higher is better. Range:
    -2 to 2. The correlation with a constant is 0, as is its gradient: a fused image equal to B has
    corr(A, F - B) = 0.

    Source: Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU 69(12), 2015. In scripts that subtract uint8 arrays, negative
    differences wrap around; here they are signed.
    """
    fused, visible, infrared = as_float(fused, visible, infrared)
    height, width = extent(fused.shape, size)
    return _correlation(infrared, fused - visible, height, width) + _correlation(
        visible, fused - infrared, height, width
    )


@jax.jit
def mean_squared_error(fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None) -> Scalar:
    """MSE: mean of the mean squared errors to the two sources.

    Definition: (mean((F - A)^2) + mean((F - B)^2)) / 2, symmetric in the sources. Lower is better.
    Unit: squared grey levels. Range: 0 (all three equal) to 65025.

    The mean over the sources is a convention of fusion code, not of one paper. Scripts that first
    divide by 255 give values 65025 times smaller.
    """
    fused, visible, infrared = as_float(fused, visible, infrared)
    height, width = extent(fused.shape, size)
    errors = total((fused - infrared) ** 2, height, width) + total(
        (fused - visible) ** 2, height, width
    )
    return errors / (2 * pixels(height, width))


@jax.jit
def peak_signal_to_noise_ratio(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """PSNR: peak of the fused image against its mean squared error to the sources.

    Definition: 10 log10(max(F)^2 / MSE), MSE as in `mean_squared_error`; symmetric in the sources.
    Higher is better. Unit: decibels. Range: about -48 to 100. A peak below one grey level (a black
    image) counts as 1; values above 100 dB, and that of three equal images, become 100.

    Source: Jagalingam and Hegde, "A review of quality metrics for fused image", Aquatic Procedia 4,
    2015. Other code uses a peak of 255, or averages two values in decibels; both differ by up to a
    few decibels.
    """
    error = mean_squared_error(fused, visible, infrared, size=size)
    (fused,) = as_float(fused)
    peak = jnp.maximum(jnp.max(cut(fused, *extent(fused.shape, size))), 1.0)
    least_error = peak**2 * 10 ** (-LARGEST_PSNR / 10)
    return 10 * jnp.log10(peak**2 / jnp.maximum(error, least_error))


def _correlation(first: Array, second: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """Pearson correlation over the image, 0 where either is constant."""
    first, second = _centre(first, height, width), _centre(second, height, width)
    covariance = total(first * second, height, width)
    spread = root(total(first**2, height, width)) * root(total(second**2, height, width))
    return covariance * jnp.where(spread > 0, 1 / jnp.where(spread > 0, spread, 1.0), 0.0)


def _centre(image: Array, height: ArrayLike, width: ArrayLike) -> Array:
    """The image minus its mean."""
    image = image - image[0, 0]  # so that a constant image becomes exactly 0
    return image - total(image, height, width) / pixels(height, width)
