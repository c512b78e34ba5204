"""Metrics of local structure: SSIM, SSIM_legacy and VIF."""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.moments import blur, local_moments
from egmt_jax.metrics.regions import Size, as_float, extent, pixels, total

SSIM_WINDOW = 7
VIF_SCALES = (17, 9, 5, 3)  # window sizes
VIF_NOISE = 2.0
TINY = 1e-10


def structural_similarity(
    fused: ArrayLike,
    visible: ArrayLike,
    infrared: ArrayLike,
    *,
    data_range: float = 255.0,
    size: Size = None,
) -> Array:
    """SSIM (data range 255) and SSIM_legacy (data range 2): structural similarity, summed over the sources.

    Definition: S(F, A) + S(F, B), where S is the mean over all complete 7 x 7 windows of
    (2 mx my + C1)(2 cxy + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2)), with uniform weights, sample (co)variances
    (divided by 48), C1 = (0.01 L)^2, C2 = (0.03 L)^2 and L the data range. Symmetric in the sources. Higher is better.
    Range: -2 to 2 (2 where F = A = B). Constant windows compare by their means: two equal constants give 1.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004, eq. 13, with the window of scikit-image's default. For 8-bit images L is 255.
    The tables of the fusion literature were made with L = 2, which that library assumed for float images in -1..1:
    `SSIM_legacy` gives those numbers. Other code gives half of the sum, or Gaussian windows of 11 x 11.

    Args:
      fused: uint8 or float [H, W], 8-bit grey values; H, W >= 7.
      visible: the same shape.
      infrared: the same shape.
      data_range: L above.
      size: true (height, width) where the arrays are padded.

    Returns:
      float32 scalar.

    Raises:
      ValueError: a side is below 7 pixels.
    """
    images = as_float(fused, visible, infrared)
    _check_side(images[0].shape, SSIM_WINDOW, "SSIM")
    height, width = (side - SSIM_WINDOW + 1 for side in extent(images[0].shape, size))
    means, covariances = local_moments(
        images, [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2)], [1 / SSIM_WINDOW] * SSIM_WINDOW
    )
    samples = SSIM_WINDOW**2
    variance_fused, *variances, with_visible, with_infrared = (
        covariance * (samples / (samples - 1)) for covariance in covariances
    )
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def similarity(mean: Array, variance: Array, covariance: Array) -> Array:
        ratio = ((2 * means[0] * mean + c1) * (2 * covariance + c2)) / (
            (means[0] ** 2 + mean**2 + c1) * (variance_fused + variance + c2)
        )
        return total(ratio, height, width) / pixels(height, width)

    return similarity(means[2], variances[1], with_infrared) + similarity(
        means[1], variances[0], with_visible
    )


def visual_information_fidelity(
    fused: ArrayLike, visible: ArrayLike, infrared: ArrayLike, *, size: Size = None
) -> Array:
    """VIF: pixel-domain visual information fidelity of the fused image, summed over the two sources.

    Definition: for each source R the ratio of sum log10(1 + g^2 vR / (s + 2)) to sum log10(1 + vR / 2), both sums over
    all pixels of four scales; g = cov(R, F) / vR is the gain from source to fused image, s = vF - g cov(R, F) what it
    leaves unexplained, 2 the variance of the visual noise. Scale k = 1..4 has a Gaussian window of N = 2^(5-k) + 1
    pixels, sigma N / 5, complete windows only; from scale 2 on, the images are first blurred with that window and
    every second row and column kept. Negative variances are 0; where either variance is below 1e-10 the gain is 0,
    and a negative gain is 0 with s = vF. Symmetric in the sources.

    Higher is better. Range: 0 upwards; 2 where F = A = B, more where the fused image has more contrast than a source.
    A source without any variance counts 1, as it has nothing to lose. A scale whose window does not fit in the image
    is left out: that happens below 41 pixels.

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, in the authors' pixel-domain
    form (vifp_mscale). Other code reports the mean of the two, or the fusion variant VIFF of Han, Cai, Cao and Xu,
    Information Fusion 14(2), 2013, which is another quantity; values are comparable only under one of them.

    Args:
      fused: uint8 or float [H, W], 8-bit grey values; H, W >= 17.
      visible: the same shape.
      infrared: the same shape.
      size: true (height, width) where the arrays are padded.

    Returns:
      float32 scalar.

    Raises:
      ValueError: a side is below 17 pixels.
    """
    images = list(as_float(fused, visible, infrared))
    _check_side(images[0].shape, VIF_SCALES[0], "VIF")
    height, width = extent(images[0].shape, size)
    kept, full = [0.0, 0.0], [0.0, 0.0]
    for scale, side in enumerate(VIF_SCALES):
        window = _gaussian(side)
        if scale and min(images[0].shape) >= side:
            images = [blur(image, window)[::2, ::2] for image in images]
            height, width = (height - side + 2) // 2, (width - side + 2) // 2
        if min(images[0].shape) < side:
            break
        _, covariances = local_moments(images, [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2)], window)
        variance_fused, *variances, with_visible, with_infrared = covariances
        rows, columns = height - side + 1, width - side + 1
        for k, covariance in enumerate((with_visible, with_infrared)):
            kept_here, full_here = _information(variances[k], variance_fused, covariance)
            kept[k] = kept[k] + total(kept_here, rows, columns)
            full[k] = full[k] + total(full_here, rows, columns)
    fidelities = [
        jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), 1.0) for a, b in zip(kept, full, strict=True)
    ]
    return fidelities[0] + fidelities[1]


def _information(source: Array, fused: Array, covariance: Array) -> tuple[Array, Array]:
    """Information per pixel that the fused image keeps of the source, and that the source has."""
    source, fused = jnp.maximum(source, 0.0), jnp.maximum(fused, 0.0)
    gain = jnp.where((source < TINY) | (fused < TINY), 0.0, covariance / (source + TINY))
    left = jnp.where(fused < TINY, 0.0, fused - gain * covariance)
    gain = jnp.maximum(gain, 0.0)
    left = jnp.where(gain > 0, jnp.maximum(left, TINY), jnp.maximum(fused, TINY))
    source = jnp.where(source < TINY, 0.0, source)
    return (
        jnp.log1p(gain**2 * source / (left + VIF_NOISE)) / math.log(10),
        jnp.log1p(source / VIF_NOISE) / math.log(10),
    )


def _gaussian(side: int) -> list[float]:
    """Weights of a Gaussian window with sigma side / 5 and sum 1."""
    weights = [math.exp(-((k - side // 2) ** 2) / (2 * (side / 5) ** 2)) for k in range(side)]
    return [weight / sum(weights) for weight in weights]


def _check_side(shape: tuple[int, ...], least: int, name: str) -> None:
    if min(shape) < least:
        raise ValueError(f"{name} needs images of at least {least} x {least} pixels, got {shape}")
