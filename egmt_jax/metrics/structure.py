"""Metrics of local structure: SSIM, SSIM_legacy and VIF."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.moments import Arrays, Moments, Window, local_moments
from egmt_jax.metrics.regions import Extent, Grey, Scalar, Size, as_float, extent, mean, total

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
    C2 = (0.03 L)^2 and L = `data_range`: 255 for SSIM, 2 for SSIM_legacy. Higher is better. Range:
    -2 to 2 (F = A = B). Constant windows compare by their means.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004, eq. 13, with the window of scikit-image's default.
    For 8-bit images L is 255; published tables of fusion have L = 2, which that library assumed for
    float images. Other code gives half of the sum, or has Gaussian windows of 11 x 11.

    Raises:
      ValueError: a side is below 7 pixels.
    """
    moments = similarity_moments(fused, visible, infrared)
    return similarity_from(moments, data_range, extent(jnp.shape(fused), size))


def similarity_moments(fused: Grey, visible: Grey, infrared: Grey) -> Moments:
    """Means and covariances of the windows of SSIM, for `similarity_from` of any data range."""
    images, _ = as_float(fused, visible, infrared)
    if min(images[0].shape) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs at least 7 x 7 pixels, got {images[0].shape}")
    return local_moments(images, PAIRS, (1 / SSIM_WINDOW,) * SSIM_WINDOW)


@jax.jit
def similarity_from(moments: Moments, data_range: ArrayLike, size: Extent) -> Scalar:
    """SSIM from `similarity_moments`."""
    means, covariances = moments
    covariances = [c * (SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)) for c in covariances]  # of a sample
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    windows = (size[0] - SSIM_WINDOW + 1, size[1] - SSIM_WINDOW + 1)
    similarity = jnp.zeros(())
    for k in (1, 2):
        upper = (2 * means[0] * means[k] + c1) * (2 * covariances[k + 2] + c2)
        lower = (means[0] ** 2 + means[k] ** 2 + c1) * (covariances[0] + covariances[k] + c2)
        similarity += mean(upper / lower, windows)
    return similarity


def visual_information_fidelity(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """VIF: pixel-domain visual information fidelity, summed over the two sources.

    Definition: for each source R the ratio of two sums over all pixels of four scales,

        sum log(1 + g^2 vR / (s + 2)) / sum log(1 + vR / 2)

    where vR and vF are local variances, g = cov(R, F) / vR is the gain from source to fused image,
    s = vF - g cov(R, F) is the variance of F that the gain does not explain, and 2 the variance of
    visual noise. Scale k = 1..4 has a Gaussian window of N = 2^(5-k) + 1 pixels, sigma N / 5,
    complete windows only; from scale 2 on, the images are first blurred with that window and every
    second row and column is kept, starting with the first. Negative variances are 0; where either
    variance is below 1e-10 the gain is 0, and a negative gain is 0 with s = vF.

    Higher is better. Range: 0 upwards; 2 where F = A = B, more where the fused image has more
    contrast than a source. A source without any variance counts 1. A scale whose window does not
    fit in the image is skipped (below 41 pixels).

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, in the
    authors' pixel-domain form (vifp_mscale). Other code gives the mean over the sources, or VIFF of
    Han, Cai, Cao and Xu, Information Fusion 14(2), 2013, which is not comparable.

    Raises:
      ValueError: a side is below 17 pixels.
    """
    images, (height, width) = as_float(fused, visible, infrared, size=size)
    if min(images[0].shape) < VIF_SCALES[0]:
        raise ValueError(f"VIF needs at least 17 x 17 pixels, got {images[0].shape}")
    sums = jnp.zeros((2, 2))
    for scale, side in enumerate(VIF_SCALES):
        window = _gaussian(side)
        if scale:
            images = _halve(images, window)
            height, width = (height - side + 2) // 2, (width - side + 2) // 2
        if min(images[0].shape) < side:
            break
        _, covariances = local_moments(images, PAIRS, window)
        sums += _information(covariances, (height - side + 1, width - side + 1))
    kept, full = sums
    return jnp.sum(jnp.where(full > 0, kept / jnp.where(full > 0, full, 1.0), 1.0))


@functools.partial(jax.jit, static_argnames="window")
def _halve(images: Arrays, window: Window) -> Arrays:
    """Blurs images and keeps every second row and column."""
    return [local_moments([image], (), window)[0][0][::2, ::2] for image in images]


@jax.jit
def _information(covariances: Arrays, size: Extent) -> Array:
    """Information in nats that the fused image keeps, and that the source has; [2, source]."""
    fused, visible, infrared, with_visible, with_infrared = covariances
    fused = jnp.maximum(fused, 0.0)
    kept, full = [], []
    for source, covariance in ((visible, with_visible), (infrared, with_infrared)):
        source = jnp.where(source < TINY, 0.0, source)
        gain = jnp.maximum(covariance, 0.0) / (source + TINY)
        gain = jnp.where((source < TINY) | (fused < TINY), 0.0, gain)
        unexplained = jnp.maximum(fused - gain * covariance, TINY)
        kept.append(total(jnp.log1p(gain**2 * source / (unexplained + VIF_NOISE)), size))
        full.append(total(jnp.log1p(source / VIF_NOISE), size))
    return jnp.stack([jnp.stack(kept), jnp.stack(full)])


def _gaussian(side: int) -> Window:
    """Weights of a Gaussian window with sigma side / 5 and sum 1."""
    weights = [math.exp(-((k - side // 2) ** 2) / (2 * (side / 5) ** 2)) for k in range(side)]
    return tuple(weight / sum(weights) for weight in weights)
