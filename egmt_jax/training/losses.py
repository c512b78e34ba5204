"""The terms of the training loss.

Images are float32 [B, H, W, 1] in [0, 1]: F is the fused image, V the luma, I the infrared image, T
the target of `targets.intensity_target`. Every loss is a float32 scalar, the mean over its batch.
"""

import math

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from egmt_jax.metrics import (
    edge_preservation,
    structural_similarity,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from egmt_jax.training.targets import mean_in, with_surround

Image = Float[Array, "b h w 1"]
Scalar = Float[Array, ""]

EXPOSED = (0.012, 0.97)  # values outside count as clipped
FAINT_EDGE = 0.03  # slope per pixel of an edge with half of the sharpening; noise is below
DEVIATION_BOUND = 0.25  # of a source; beyond it no more contrast is required
GREY_BINS = 64


def gradient_magnitude(image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """|gx| + |gy| of the Sobel operator with replicated edges; a ramp gives its slope."""

    rows = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    columns = jnp.swapaxes(rows, 1, 2)

    def derivative(x):  # along axis 2, smoothed along axis 1
        x = 0.25 * x[:, :-2] + 0.5 * x[:, 1:-1] + 0.25 * x[:, 2:]
        return 0.5 * (x[:, :, 2:] - x[:, :, :-2])

    return jnp.abs(derivative(rows)) + jnp.abs(jnp.swapaxes(derivative(columns), 1, 2))


def intensity(
    fused: Image, target: Image, masks: Float[Array, "b h w n"], emphasis: float
) -> Scalar:
    """Mean of |F - T|, with an extra weight `emphasis` inside the masks of guiding entities.

    Each entity counts as if it covered 1/20 of the picture (at most 5 times its area), because
    small entities matter as much as large ones.
    """
    area = jnp.mean(masks, axis=(1, 2), keepdims=True)
    weight = jnp.sum(masks * (0.05 / jnp.maximum(area, 0.01)), axis=-1, keepdims=True)
    return jnp.mean((1.0 + emphasis * weight) * jnp.abs(fused - target))


def prominence(fused: Image, target: Image, masks: Float[Array, "b h w n"]) -> Scalar:
    """Error of the contrast between each entity and its surround, by their means.

    |(F inside - F around) - (T inside - T around)|, summed over the masks of a pair, however small.
    T boosts guiding entities and no others, so all entities count: if everything stood out,
    guidance would have nothing to do.
    """
    masks, around = with_surround(masks)
    error = fused - target
    error = jnp.abs(mean_in(masks, error) - mean_in(around, error))[..., 0]
    return jnp.mean(jnp.sum(jnp.max(masks, axis=(1, 2)) * error, axis=1))


def gradient(
    fused: Image, visible: Image, infrared: Image, target: Image, sharpen: float = 1.0
) -> Scalar:
    """Mean of | |grad F| - max(s |grad V|, s |grad I|, |grad T|) |, the strongest edge per pixel.

    s is `sharpen` for strong edges, and less for faint ones, which may be noise. The edges of T are
    included because guided entities have stronger edges than either source.
    """
    strongest = jnp.maximum(gradient_magnitude(visible), gradient_magnitude(infrared))
    strongest *= 1.0 + (sharpen - 1.0) * strongest / (strongest + FAINT_EDGE)
    strongest = jnp.maximum(strongest, gradient_magnitude(target))
    return jnp.mean(jnp.abs(gradient_magnitude(fused) - strongest))


def structure(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - the mean SSIM to both sources."""
    return 1.0 - 0.5 * _metric(structural_similarity, fused, visible, infrared)


def information(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - VIF / 2; it may be negative."""
    return 1.0 - 0.5 * _metric(visual_information_fidelity, fused, visible, infrared)


def edges(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - Qabf, which compares directions of edges too."""
    return 1.0 - _metric(edge_preservation, fused, visible, infrared)


def complementarity(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - SCD / 2."""
    return 1.0 - 0.5 * _metric(sum_of_correlations_of_differences, fused, visible, infrared)


def mutual_information(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - the mean of I(F; V) and I(F; I), in units of ln `GREY_BINS`.

    `egmt_jax.metrics.mutual_information` counts grey levels, so it has no gradient. Here each fused
    value counts for its two nearest bins, by distance. Monotonic tone curves cost nothing.
    """
    both = jax.vmap(_shared_information)(fused, visible)
    both += jax.vmap(_shared_information)(fused, infrared)
    return 1.0 - jnp.mean(both) / (2.0 * math.log(GREY_BINS))


def contrast(fused: Image, visible: Image, infrared: Image, gain: float) -> Scalar:
    """Shortfall of the standard deviation of F from the required one.

    That is `gain` times the largest deviation of V, I and max(V, I), of at most `DEVIATION_BOUND`.
    """

    def deviation(image):
        return jnp.sqrt(jnp.var(image, axis=(1, 2, 3)) + 1e-6)

    images = (visible, infrared, jnp.maximum(visible, infrared))
    largest = jnp.max(jnp.stack([deviation(image) for image in images]), axis=0)
    required = gain * jnp.minimum(largest, DEVIATION_BOUND)
    return jnp.mean(jnp.maximum(required - deviation(fused), 0.0))


def exposure(fused: Image) -> Scalar:
    """Mean distance of F from the range `EXPOSED`, so that contrast is not gained by clipping."""
    low, high = EXPOSED
    return jnp.mean(jnp.maximum(low - fused, 0.0) + jnp.maximum(fused - high, 0.0))


def classification(
    logits: Float[Array, "b k"],
    labels: Float[Array, "b k"],
    labelled: Bool[Array, "b k"],
    positive_weight: Float[Array, " k"],
) -> Scalar:
    """Binary cross-entropy, the mean over the known labels of the batch; 0 if none is known.

    `positive_weight` weights positive labels per entity.
    """
    loss = optax.sigmoid_binary_cross_entropy(logits, labels)
    return _mean_over(loss * jnp.where(labels > 0.0, positive_weight[None], 1.0), labelled)


def localisation(
    similarity: Float[Array, "b h w k"],
    coverage: Float[Array, "b h w k"],
    entity_ids: Int[Array, "b n"],
    masked: Bool[Array, " b"],
) -> Scalar:
    """Cross-entropy between the similarity of each cell and its coverage, where masks are known.

    The part of a cell that no candidate covers may show any other entity, or none. The null token
    has similarity 0; `coverage` is that of `targets.cell_coverage` for the ids of the candidates.
    """
    listed = jnp.max(jax.nn.one_hot(entity_ids, similarity.shape[-1]), axis=1)[:, None, None]
    null = jnp.zeros((*similarity.shape[:3], 1))
    scores = jax.nn.log_softmax(jnp.concatenate([similarity, null], axis=-1), axis=-1)
    unlisted = jnp.broadcast_to(1.0 - listed, similarity.shape)
    others = jnp.concatenate([unlisted, null + 1.0], axis=-1)
    any_other = jax.nn.logsumexp(scores, axis=-1, b=others)
    rest = jnp.maximum(1.0 - jnp.sum(coverage, axis=-1), 0.0)
    entropy = -jnp.sum(scores[..., :-1] * coverage, axis=-1) - rest * any_other
    return _mean_over(jnp.mean(entropy, axis=(1, 2)), masked)


def _metric(metric, fused: Image, visible: Image, infrared: Image) -> Scalar:
    """Mean of a fusion metric over the batch; metrics take 8-bit grey values."""
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return jnp.mean(jax.vmap(metric)(*images))


def _shared_information(fused: Float[Array, "h w 1"], source: Float[Array, "h w 1"]) -> Scalar:
    """I(F; S) in nats, from a joint histogram that is differentiable in `fused`."""
    largest = GREY_BINS - 1
    level = jnp.clip(fused.ravel(), 0.0, 1.0) * largest
    lower = jnp.minimum(level.astype(jnp.int32), largest - 1)
    above = level - lower.astype(jnp.float32)
    column = jnp.round(jnp.clip(source.ravel(), 0.0, 1.0) * largest).astype(jnp.int32)
    joint = jnp.zeros((GREY_BINS, GREY_BINS))
    joint = joint.at[lower, column].add(1.0 - above).at[lower + 1, column].add(above) / level.size
    independent = jnp.sum(joint, axis=1, keepdims=True) * jnp.sum(joint, axis=0, keepdims=True)
    return jnp.sum(joint * jnp.log((joint + 1e-9) / (independent + 1e-9)))


def _mean_over(values: Float[Array, "*b"], counted: Bool[Array, "*b"]) -> Scalar:
    """Mean over the counted examples; 0 if there are none."""
    counted = counted.astype(jnp.float32)
    return jnp.sum(values * counted) / jnp.maximum(jnp.sum(counted), 1.0)
