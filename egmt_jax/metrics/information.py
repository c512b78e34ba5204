"""Metrics of information from histograms of rounded grey values, without useful gradient."""

import jax
import jax.numpy as jnp
from jax import Array

from egmt_jax.metrics.regions import Grey, Scalar, Size, as_float, divide, extent, inside

LEVELS = 256


@jax.jit
def entropy(fused: Grey, *, size: Size = None) -> Scalar:
    """EN: Shannon entropy of the histogram of the fused image.

    Definition: -sum p log2 p over the 256 grey values. Higher is better. Unit: bits. Range: 0 (a
    constant image) to 8.

    Source: Roberts, van Aardt and Ahmed, "Assessment of image fusion procedures using entropy,
    image quality, and multispectral classification", J. Applied Remote Sensing 2, 2008. Other code
    bins a float image between its minimum and maximum.
    """
    (fused,) = _levels(fused)
    return _entropy(_count(fused, LEVELS, size)) / jnp.log(2.0)


@jax.jit
def mutual_information(fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None) -> Scalar:
    """MI: mutual information of the fused image and each source, summed over the two sources.

    Definition: I(F; A) + I(F; B) from joint histograms of 256 x 256 bins, natural logarithm. Higher
    is better. Unit: nats. Range: 0 (F, or both sources, constant) to 2 ln 256 = 11.09.

    Source: Qu, Zhang and Yan, "Information measure for performance of image fusion", Electronics
    Letters 38(7), 2002. Other code uses log2, which gives values 1 / ln 2 = 1.44 times larger, or
    stretches each image to 0..255 first.
    """
    with_visible, with_infrared = _joint_histograms(fused, visible, infrared, size)
    return _information(with_infrared) + _information(with_visible)


@jax.jit
def normalised_mutual_information(
    fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None
) -> Scalar:
    """NMI: mutual information divided by the entropies, so that contrast is not rewarded.

    Definition: 2 [I(F; A) / (H(F) + H(A)) + I(F; B) / (H(F) + H(B))]. Higher is better. Range: 0 to
    2 (F = A = B); a term whose two images are constant is 0.

    Source: Hossny, Nahavandi and Creighton, "Comments on 'Information measure for performance of
    image fusion'", Electronics Letters 44(18), 2008. Other code drops the factor 2.
    """
    value = jnp.zeros(())
    for joint in _joint_histograms(fused, visible, infrared, size):
        entropies = _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))
        value += 2 * divide(_information(joint), entropies)
    return value


def _levels(*images: Grey) -> list[Array]:
    return [jnp.clip(jnp.round(x), 0, LEVELS - 1).astype(jnp.int32) for x in as_float(*images)[0]]


def _count(values: Array, bins: int, size: Size) -> Array:
    """Histogram int32 [bins] of the values in the image."""
    values = jnp.where(inside(values.shape, extent(values.shape, size)), values, bins)
    return jnp.zeros(bins, jnp.int32).at[values.ravel()].add(1, mode="drop")


def _joint_histograms(fused: Grey, visible: Grey, infrared: Grey, size: Size) -> list[Array]:
    """int32 [256, 256]: counts of fused (rows) with visible and with infrared grey values."""
    fused, *sources = _levels(fused, visible, infrared)
    counts = [_count(LEVELS * fused + source, LEVELS**2, size) for source in sources]
    return [count.reshape(LEVELS, LEVELS) for count in counts]


def _entropy(counts: Array) -> Array:
    """Entropy in nats of a histogram."""
    share = counts.astype(jnp.float32) / jnp.maximum(counts.sum(), 1).astype(jnp.float32)
    return jnp.sum(share * jnp.log(1 / jnp.where(share > 0, share, 1.0)))  # never -0


def _information(joint: Array) -> Array:
    """Mutual information in nats of a joint histogram; exactly 0 where one side is constant."""
    rows, columns = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    counts, rows, columns = (x.astype(jnp.float32) for x in (joint, rows, columns))
    pixels = jnp.maximum(rows.sum(), 1.0)
    given_row = counts / jnp.maximum(rows, 1.0)  # at most 1, and equal to the column's share
    share = jnp.broadcast_to(columns / pixels, counts.shape)  # where the two are independent
    ratio = jnp.where(counts > 0, divide(given_row, share), 1.0)
    return jnp.maximum(jnp.sum(jnp.sum(counts / pixels * jnp.log(ratio), axis=1)), 0.0)
