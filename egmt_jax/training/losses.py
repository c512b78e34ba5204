"""The terms of the training loss.

Images are float32 [B, H, W, 1] in [0, 1]: F is the fused image, V the luma, I the infrared image, T
the target of `targets.guided_target`. Every loss is a float32 scalar, the mean over its batch.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from egmt_jax.data.examples import SURROUND
from egmt_jax.metrics import structural_similarity
from egmt_jax.training.targets import box_mean, mean_in

Image = Float[Array, "b h w 1"]
Scalar = Float[Array, ""]

EMPHASIS = 4.0
"""Extra weight of a pixel of a guiding entity in `intensity`."""


def intensity(fused: Image, target: Image, guiding: Float[Array, "b h w n"]) -> Scalar:
    """Mean of |F - T|, with an extra weight of `EMPHASIS` in the masks of guiding entities."""
    weight = 1.0 + EMPHASIS * jnp.max(guiding, axis=-1, keepdims=True)
    return jnp.mean(weight * jnp.abs(fused - target))


def gradient(fused: Image, target: Image) -> Scalar:
    """Mean of |dF - dT| over both derivatives (Sobel): all edges of T, with their direction."""
    return jnp.mean(jnp.abs(derivatives(fused - target)))


def structure(fused: Image, visible: Image, infrared: Image) -> Scalar:
    """1 - the mean SSIM to both sources (Wang et al. 2004)."""
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return 1.0 - 0.5 * jnp.mean(jax.vmap(structural_similarity)(*images))


def prominence(fused: Image, target: Image, masks: Float[Array, "b h w n"]) -> Scalar:
    """Error of the contrast between each entity and its surround, by their means.

    |(F inside - F around) - (T inside - T around)|, summed over the masks of a crop, however small.
    T raises guiding entities and no others, so all entities count: if everything stood out,
    guidance would have nothing to do.
    """
    around = box_mean(masks, SURROUND) * (1.0 - masks)
    error = fused - target
    error = jnp.abs(mean_in(masks, error) - mean_in(around, error))[..., 0]
    return jnp.mean(jnp.sum(jnp.max(masks, axis=(1, 2)) * error, axis=1))


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
    coverage: Float[Array, "b h w n"],
    entity_ids: Int[Array, "b n"],
    counted: Bool[Array, "b h w"],
) -> Scalar:
    """Cross-entropy between the similarity of each counted cell and its coverage.

    The part of a cell that no candidate covers may show any other entity, or none. The null token
    has similarity 0; `coverage` is the share of each cell that each of `entity_ids` covers.
    """
    one_hot = jax.nn.one_hot(entity_ids, similarity.shape[-1])
    coverage = jnp.einsum("bhwn,bnk->bhwk", coverage, one_hot)
    listed = jnp.max(one_hot, axis=1)[:, None, None]
    null = jnp.zeros((*similarity.shape[:3], 1))
    scores = jax.nn.log_softmax(jnp.concatenate([similarity, null], axis=-1), axis=-1)
    unlisted = jnp.broadcast_to(1.0 - listed, similarity.shape)
    others = jnp.concatenate([unlisted, null + 1.0], axis=-1)
    any_other = jax.nn.logsumexp(scores, axis=-1, b=others)
    rest = jnp.maximum(1.0 - jnp.sum(coverage, axis=-1), 0.0)
    entropy = -jnp.sum(scores[..., :-1] * coverage, axis=-1) - rest * any_other
    return _mean_over(entropy, counted)


def derivatives(image: Float[Array, "b h w c"]) -> Float[Array, "2 b h w c"]:
    """Sobel derivatives along rows and columns, with replicated edges; a ramp gives its slope."""
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")

    def derivative(x):  # along axis 2, smoothed along axis 1
        x = 0.25 * x[:, :-2] + 0.5 * x[:, 1:-1] + 0.25 * x[:, 2:]
        return 0.5 * (x[:, :, 2:] - x[:, :, :-2])

    across = derivative(jnp.swapaxes(padded, 1, 2))
    return jnp.stack([jnp.swapaxes(across, 1, 2), derivative(padded)])


def _mean_over(values: Float[Array, "*b"], counted: Bool[Array, "*b"]) -> Scalar:
    """Mean over the counted examples; 0 if there are none."""
    counted = counted.astype(jnp.float32)
    return jnp.sum(values * counted) / jnp.maximum(jnp.sum(counted), 1.0)
