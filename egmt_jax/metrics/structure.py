"""Metrics of local structure: SSIM, SSIM_legacy and VIF."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.moments import local_moments
from egmt_jax.metrics.regions import Grey, Scalar, Size, as_float, extent, pixels, total

# of (fused, visible, infrared): three variances, then covariances of fused with each source
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2))
SSIM_WINDOW = 7
VIF_SCALES = (17, 9, 5, 3)  # window sizes
VIF_NOISE = 2.0
TINY = 1e-10


def structural_similarity(
    fused: Grey, visible: Grey, infrared: Grey, *, data_range: float = 255.0, size: Size = None
) -> Scalar:
    """SSIM and SSIM_legacy: structural similarity, summed over the two sources.

    Definition: S(F, A) + S(F, B), where S(x, y) is the mean over all complete 7 x 7 windows of

        (2 mx my + C1) (2 cxy + C2) / ((mx^2 + my^2 + C1) (vx + vy + C2))

    with uniform weights, sample variances and covariances (divided by 48), C1 = (0.01 L)^2,
    C2 = (0.03 L)^2 and L = `data_range`: 255 for SSIM, 2 for SSIM_legacy. Symmetric in the sources.
    Higher is better. Range: -2 to 2 (2 where F = A = B). Constant windows compare by their means.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004, eq. 13, with the window of scikit-image's default.
    For 8-bit images L is 255. The tables of the fusion literature were computed with L = 2, which
    that library assumed for float images in -1..1: `SSIM_legacy` gives those numbers. Other code
    gives half of the sum, or uses Gaussian windows of 11 x 11.

    Raises:
      ValueError: a side is below 7 pixels.
    """
    moments = similarity_moments(fused, visible, infrared)
    height, width = extent(jnp.shape(fused), size)
    return similarity_from(moments, data_range, height, width)


def visual_information_fidelity(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """VIF: pixel-domain visual information fidelity, summed over the two sources.

    Definition: for each source R the ratio of two sums over all pixels of four scales,

        sum log10(1 + g^2 vR / (s + 2)) / sum log10(1 + vR / 2)

    where vR and vF are local variances, g = cov(R, F) / vR is the gain from source to fused image,
    s = vF - g cov(R, F) is the variance of F that the gain does not explain, and 2 the variance of
    visual noise. Scale k = 1..4 has a Gaussian window of N = 2^(5-k) + 1 pixels, sigma N / 5,
    complete windows only; from scale 2 on, the images are first blurred with that window and every
    second row and column is kept, starting with the first. Negative variances are 0; where either
    variance is below 1e-10 the gain is 0, and a negative gain is 0 with s = vF. Symmetric in the
    sources.

    Higher is better. Range: 0 upwards; 2 where F = A = B, more where the fused image has more
    contrast than a source. A source without any variance counts 1, since it has no information to
    lose. A scale whose window does not fit in the image is skipped (below 41 pixels).

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, in the
    authors' pixel-domain form (vifp_mscale). Other code reports the mean over the sources, or the
    fusion variant VIFF of Han, Cai, Cao and Xu, Information Fusion 14(2), 2013, a different
    quantity: values of different definitions are not comparable.

    Raises:
      ValueError: a side is below 17 pixels.
    """
    images = as_float(fused, visible, infrared)
    _check_side(images[0].shape, VIF_SCALES[0], "VIF")
    height, width = extent(images[0].shape, size)
    kept, full = jnp.zeros(2), jnp.zeros(2)  # for visible and infrared
    for scale, side in enumerate(VIF_SCALES):
        window = _gaussian(side)
        if scale:
            if min(images[0].shape) < side:
                break
            images = _halve(images, window)
            height, width = (height - side + 2) // 2, (width - side + 2) // 2
        if min(images[0].shape) < side:
            break
        _, covariances = local_moments(images, PAIRS, window)
        kept_here, full_here = _information(covariances, height - side + 1, width - side + 1)
        kept, full = kept + kept_here, full + full_here
    return jnp.sum(jnp.where(full > 0, kept / jnp.where(full > 0, full, 1.0), 1.0))


@functools.partial(jax.jit, static_argnames="window")
def _halve(images: Sequence[Array], window: tuple[float, ...]) -> list[Array]:
    """Blurs images and keeps every second row and column."""
    return [local_moments([image], (), window)[0][0][::2, ::2] for image in images]


@jax.jit
def _information(
    covariances: Sequence[Array], height: ArrayLike, width: ArrayLike
) -> tuple[Array, Array]:
    """Information of each source that the fused image keeps, and that the source has; [2] each."""
    fused, *sources, with_visible, with_infrared = covariances
    fused = jnp.maximum(fused, 0.0)
    kept, full = [], []
    for source, covariance in zip(sources, (with_visible, with_infrared), strict=True):
        flat = (source < TINY) | (fused < TINY)
        gain = jnp.where(
            flat, 0.0, jnp.maximum(covariance, 0.0) / (jnp.maximum(source, 0.0) + TINY)
        )
        unexplained = jnp.maximum(fused - gain * covariance, TINY)
        source = jnp.where(source < TINY, 0.0, source)
        kept.append(total(jnp.log1p(gain**2 * source / (unexplained + VIF_NOISE)), height, width))
        full.append(total(jnp.log1p(source / VIF_NOISE), height, width))
    return jnp.stack(kept) / math.log(10), jnp.stack(full) / math.log(10)


@jax.jit
def similarity_from(
    moments: tuple[Sequence[Array], Sequence[Array]],
    data_range: ArrayLike,
    height: ArrayLike,
    width: ArrayLike,
) -> Scalar:
    """SSIM of an image of `height` x `width` pixels from its `similarity_moments`."""
    means, covariances = moments
    height, width = height - SSIM_WINDOW + 1, width - SSIM_WINDOW + 1
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

    return similarity(means[1], variances[0], with_visible) + similarity(
        means[2], variances[1], with_infrared
    )


def similarity_moments(
    fused: Grey, visible: Grey, infrared: Grey
) -> tuple[list[Array], list[Array]]:
    """Means and covariances of the windows of SSIM, for `similarity_from` of any data range."""
    images = as_float(fused, visible, infrared)
    _check_side(images[0].shape, SSIM_WINDOW, "SSIM")
    return local_moments(images, PAIRS, (1 / SSIM_WINDOW,) * SSIM_WINDOW)


def _gaussian(side: int) -> tuple[float, ...]:
    """Weights of a Gaussian window with sigma side / 5 and sum 1."""
    weights = [math.exp(-((k - side // 2) ** 2) / (2 * (side / 5) ** 2)) for k in range(side)]
    return tuple(weight / sum(weights) for weight in weights)


def _check_side(shape: tuple[int, ...], least: int, name: str) -> None:
    if min(shape) < least:
        raise ValueError(f"{name} needs images of at least {least} x {least} pixels, got {shape}")
