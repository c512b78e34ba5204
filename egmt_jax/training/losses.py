"""The training losses: what the fused picture should be, and what the classifier should say.

Images are float32 [B, H, W, 1] in [0, 1]; every loss is a float32 scalar, the mean over its batch.
"""

import math

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from egmt_jax.metrics import (
    edge_preservation,
    structural_similarity,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from egmt_jax.models.egmt import CELL, Visual
from egmt_jax.models.layers import sample_grid

SURROUND = 8
"""How far, in pixels, the surround of an entity reaches beyond it."""

FADING_AREA = (0.1, 0.3)
"""Shares of the picture between which an entity loses its guidance: what fills the picture, like
road or sky, has no surround to stand out from, and more contrast would only wash it out."""


PLAIN_PREFERENCE = 2.0
"""How many times more a thing must stand out in a source than in the plain target to be shown as in
that source: a bright sky should not turn black because it is blacker still in the infrared."""

EXPOSED = (0.012, 0.97)
"""Bounds of what counts as exposed: beyond them a picture clips."""

BRIGHT_MEAN, LARGEST_GAMMA = 0.5, 1.5
"""Mean that brighter targets are brought down to, and the largest exponent that does it."""

FAINT_EDGE = 0.03
"""Slope per pixel at which an edge gets half of the sharpening; noise stays below."""

DEVIATION_BOUND = 0.25
"""Deviation of a source above which more contrast is not asked for."""

GREY_BINS = 64
"""Grey levels that the loss of mutual information tells apart."""


def gradient_magnitude(image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """|gx| + |gy| of the Sobel operator, edges replicated; a ramp gives its slope."""

    def along(x, axis, weights):
        size = image.shape[axis]
        padding = [(1, 1) if k == axis else (0, 0) for k in range(4)]
        x = jnp.pad(x, padding, mode="edge")
        return sum(
            weight * jax.lax.slice_in_dim(x, start, start + size, axis=axis)
            for start, weight in enumerate(weights)
            if weight
        )

    smooth, slope = (0.25, 0.5, 0.25), (-0.5, 0.0, 0.5)
    return jnp.abs(along(along(image, 1, smooth), 2, slope)) + jnp.abs(
        along(along(image, 2, smooth), 1, slope)
    )


def intensity(
    fused: Array, target: Array, masks: Float[Array, "b h w n"], emphasis: float
) -> Array:
    """Mean absolute difference from the intensity target, guided things counting for more.

    Args:
      fused: the fused picture.
      target: see `intensity_target`.
      masks: of the things that guide, in [0, 1].
      emphasis: extra weight of a guided thing, which counts as if it covered a twentieth of the
        picture (up to five times its size): what entities are good for lies in few pixels.
    """
    area = jnp.mean(masks, axis=(1, 2), keepdims=True)
    weight = jnp.sum(masks * (0.05 / jnp.maximum(area, 0.01)), axis=-1, keepdims=True)
    return jnp.mean((1.0 + emphasis * weight) * jnp.abs(fused - target))


def prominence(fused: Array, target: Array, masks: Float[Array, "b h w n"]) -> Array:
    """How far things are from standing out as they do in the target, by their means alone.

    | (F inside - F around) - (T inside - T around) |, summed over the things of a pair, however
    small. A guided thing is boosted in the target and any other is not, so both count: a picture in
    which everything stands out leaves guidance nothing to do.

    Args:
      fused: F.
      target: T, see `intensity_target`.
      masks: of the things, guided or not, in [0, 1].
    """
    masks, around = _with_surround(masks)
    error = fused - target
    error = jnp.abs(_mean_in(masks, error) - _mean_in(around, error))[..., 0]
    return jnp.mean(jnp.sum(jnp.max(masks, axis=(1, 2)) * error, axis=1))


def gradient(
    fused: Array,
    visible: Array,
    infrared: Array,
    target: Array,
    sharpen: float = 1.0,
    detail: Float[Array, " b"] | float = 1.0,
) -> Array:
    """| |grad F| - max(s |grad V|, s |grad I|, |grad T|) |: the strongest edge at each pixel.

    Faint edges, which may be noise, are sharpened less, see `FAINT_EDGE`.

    The edges of the intensity target T are among them: guided things stand out of their surround
    by stronger edges than either source has.

    Args:
      fused: the fused picture.
      visible: luma.
      infrared: infrared.
      target: T, see `intensity_target`.
      sharpen: s of the strongest edges.
      detail: weighs each example: 0 for sources whose resolution is too low to learn edges from.
    """
    edges = jnp.maximum(gradient_magnitude(visible), gradient_magnitude(infrared))
    edges *= 1.0 + (sharpen - 1.0) * edges / (edges + FAINT_EDGE)
    edges = jnp.maximum(edges, gradient_magnitude(target))
    difference = jnp.abs(gradient_magnitude(fused) - edges)
    return jnp.mean(detail * jnp.mean(difference, axis=(1, 2, 3)))


def structure(
    fused: Array,
    visible: Array,
    infrared: Array,
    detail: Float[Array, " b"] | float = 1.0,
) -> Array:
    """1 - the mean of SSIM to the two sources (see `egmt_jax.metrics.structural_similarity`).

    `detail` weighs each example, as in `gradient`.
    """
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return jnp.mean(detail * (1.0 - 0.5 * jax.vmap(structural_similarity)(*images)))


def information(
    fused: Array, visible: Array, infrared: Array, detail: Float[Array, " b"] | float = 1.0
) -> Array:
    """1 - VIF / 2, see `egmt_jax.metrics.visual_information_fidelity`; `detail` as above.

    Below 0 where the fused picture shows a source with more contrast than it has.
    """
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return jnp.mean(detail * (1.0 - 0.5 * jax.vmap(visual_information_fidelity)(*images)))


def edges(
    fused: Array, visible: Array, infrared: Array, detail: Float[Array, " b"] | float = 1.0
) -> Array:
    """1 - Qabf, see `egmt_jax.metrics.edge_preservation`; `detail` as above.

    What counts is that an edge runs as in the source that has it, and about as strong: `gradient`
    knows no directions, and asks for more.
    """
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return jnp.mean(detail * (1.0 - jax.vmap(edge_preservation)(*images)))


def complementarity(fused: Array, visible: Array, infrared: Array) -> Array:
    """1 - SCD / 2: what one source lacks comes from the other; 0 for their sum.

    See `egmt_jax.metrics.sum_of_correlations_of_differences`.
    """
    images = (255.0 * image[..., 0] for image in (fused, visible, infrared))
    return jnp.mean(1.0 - 0.5 * jax.vmap(sum_of_correlations_of_differences)(*images))


def mutual_information(fused: Array, visible: Array, infrared: Array) -> Array:
    """1 - the mean of I(F; V) and I(F; I), in units of ln `GREY_BINS`.

    The metric of that name (`egmt_jax.metrics.mutual_information`) counts grey values and so has no
    gradient; here a fused grey value counts for the two bins next to it, by nearness. A tone curve
    costs nothing, however steep: what costs is what depends on neither source alone.
    """
    tell = jax.vmap(_shared_information)
    both = tell(fused, visible) + tell(fused, infrared)
    return 1.0 - jnp.mean(both) / (2.0 * math.log(GREY_BINS))


def contrast(fused: Array, visible: Array, infrared: Array, gain: float) -> Array:
    """How much the deviation of F falls short of `gain` times the largest of V, I and max(V, I).

    Args:
      fused: the fused picture.
      visible: luma.
      infrared: infrared.
      gain: on deviations of at most `DEVIATION_BOUND`, that of a picture that fills its range.
    """

    def deviation(image):
        return jnp.sqrt(jnp.var(image, axis=(1, 2, 3)) + 1e-6)

    images = (visible, infrared, jnp.maximum(visible, infrared))
    aim = jnp.max(jnp.stack([deviation(image) for image in images]), axis=0)
    aim = gain * jnp.minimum(aim, DEVIATION_BOUND)
    return jnp.mean(jnp.maximum(aim - deviation(fused), 0.0))


def exposure(fused: Array) -> Array:
    """How far pixels lie beyond `EXPOSED`, on average: contrast is not to be had by clipping."""
    low, high = EXPOSED
    return jnp.mean(jnp.maximum(low - fused, 0.0) + jnp.maximum(fused - high, 0.0))


def classification(
    logits: Float[Array, "b k"],
    labels: Float[Array, "b k"],
    labelled: Bool[Array, " b"],
    positive_weight: Float[Array, " k"],
    smoothing: float = 0.0,
    count: Array | None = None,
) -> Array:
    """Binary cross-entropy, summed over entities / K, over the labelled pairs of the batch.

    Args:
      logits: of each entity.
      labels: 1 where the entity is in the pair.
      labelled: pairs whose labels are known; the others count for nothing.
      positive_weight: weight of a positive label of each entity, for the long tail.
      smoothing: labels aim at smoothing / 2 and 1 - smoothing / 2 instead of 0 and 1.
      count: what the sum over pairs is divided by; None: the number of labelled ones.
    """
    targets = labels * (1.0 - smoothing) + 0.5 * smoothing
    loss = optax.sigmoid_binary_cross_entropy(logits, targets)
    loss = jnp.mean(loss * jnp.where(labels > 0.0, positive_weight[None], 1.0), axis=1)
    return _mean_over(loss, labelled, count)


def localisation(
    similarity: Float[Array, "b h w k"],
    coverage: Float[Array, "b h w k"],
    entity_ids: Array,
    masked: Bool[Array, " b"],
    count: Array | None = None,
) -> Array:
    """Cross-entropy between what each cell agrees with and what covers it, where masks are known.

    The part of a cell that no listed entity covers may show anything else, or nothing: what is not
    listed may be there all the same.

    Args:
      similarity: agreement of each cell with each entity, against 0 for nothing.
      coverage: share of each cell that each entity covers, see `cell_coverage`.
      entity_ids: int32 [B, N] of the listed entities, -1 is padding.
      masked: pairs whose masks are known; the others count for nothing.
      count: what the sum over pairs is divided by; None: the number of these.
    """
    listed = jnp.max(jax.nn.one_hot(entity_ids, similarity.shape[-1]), axis=1)[:, None, None]
    nothing = jnp.zeros((*similarity.shape[:3], 1))
    scores = jax.nn.log_softmax(jnp.concatenate([similarity, nothing], axis=-1), axis=-1)
    unlisted = jnp.broadcast_to(1.0 - listed, similarity.shape)
    others = jnp.concatenate([unlisted, nothing + 1.0], axis=-1)
    anything_else = jax.nn.logsumexp(scores, axis=-1, b=others)
    rest = jnp.maximum(1.0 - jnp.sum(coverage, axis=-1), 0.0)
    entropy = -jnp.sum(scores[..., :-1] * coverage, axis=-1) - rest * anything_else
    return _mean_over(jnp.mean(entropy, axis=(1, 2)), masked, count)


def intensity_target(
    visible: Array,
    infrared: Array,
    masks: Float[Array, "b h w n"],
    boost: float,
    additive: float = 0.0,
) -> Array:
    """What the fused intensity should be: bright where a source is, but guided entities stand out.

    The plain target is (1 - a) max(V, I) + a (V + I - m), m the smaller mean of the two: the sum
    keeps what both sources tell where the maximum would drown it, and parts bright from dark. Two
    bright sources make a pale picture: a target whose mean is above one half is darkened by a power
    of at most 1.5, which leaves white white.

    Inside the mask of an entity the target is its most salient image, the one of V, I and the plain
    target in which it differs most from its surround (the plain target counts `PLAIN_PREFERENCE`
    times), carried over to the surround's level in the picture: surround of the plain target +
    (1 + boost) (image - the image's own surround). What is dark in its salient image so becomes
    dark, where the maximum would drown it. Entities that cover much of the picture are left to the
    plain target, see `FADING_AREA`.

    Args:
      visible: luma.
      infrared: infrared.
      masks: in [0, 1]; of the entities that guide, zero for the others. Together at most 1.
      boost: extra contrast of a guided entity.
      additive: a.

    Returns:
      float32 [B, H, W, 1] in [0, 1].
    """
    means = jnp.mean(jnp.stack([visible, infrared]), axis=(2, 3), keepdims=True)
    total = visible + infrared - jnp.min(means, axis=0)
    plain = (1.0 - additive) * jnp.maximum(visible, infrared) + additive * total
    plain = _darkened(jnp.clip(plain, 0.0, 1.0))
    masks, around = _with_surround(masks)
    images = jnp.concatenate([visible, infrared, plain], axis=-1)
    outside = _mean_in(around, images)
    # One of the three images per entity, the plain target among them.
    difference = jnp.abs(_mean_in(masks, images) - outside)
    difference = difference.at[..., 2].multiply(PLAIN_PREFERENCE)
    salient = jax.nn.one_hot(jnp.argmax(difference, axis=-1), 3)
    level = outside[..., 2] - (1.0 + boost) * jnp.sum(salient * outside, axis=-1)
    shares = jnp.einsum("bhwn,bnc->bhwc", masks, salient)
    guided = (1.0 + boost) * jnp.sum(shares * images, axis=-1, keepdims=True)
    guided += jnp.einsum("bhwn,bn->bhw", masks, level)[..., None]
    covered = jnp.sum(masks, axis=-1, keepdims=True)
    return jnp.clip((1.0 - covered) * plain + guided, 0.0, 1.0)


def _with_surround(masks: Float[Array, "b h w n"]) -> tuple[Array, Array]:
    """The masks, faded where they cover much of the picture, and what lies around each."""
    area = jnp.mean(masks, axis=(1, 2), keepdims=True)
    start, end = FADING_AREA
    masks = masks * jnp.clip((end - area) / (end - start), 0.0, 1.0)
    return masks, _box_mean(masks, SURROUND) * (1.0 - masks)


def _mean_in(weights: Float[Array, "b h w n"], images: Float[Array, "b h w c"]) -> Array:
    """Weighted means [B, N, C] of the images, 0 where there is no weight."""
    area = jnp.sum(weights, axis=(1, 2))[:, :, None]
    return jnp.einsum("bhwn,bhwc->bnc", weights, images) / jnp.maximum(area, 1e-3)


def _darkened(image: Float[Array, "b h w 1"]) -> Array:
    """A power of each image whose mean is about `BRIGHT_MEAN`, where it was above."""
    mean = jnp.clip(jnp.mean(image, axis=(1, 2), keepdims=True), 0.01, 0.99)
    power = jnp.clip(jnp.log(BRIGHT_MEAN) / jnp.log(mean), 1.0, LARGEST_GAMMA)
    return image**power


def guided_masks(
    visual: Visual,
    attention: Float[Array, "b g w k"],
    entity_ids: Array,
    masks: Float[Array, "b h w n"],
    masked: Bool[Array, " b"],
    weight: Float[Array, "b k"],
) -> Float[Array, "b h w n"]:
    """Where the guiding entities are: the known masks, or the model's own attention.

    Args:
      visual: gives the geometry of the attention's grid.
      attention: over the whole vocabulary, per cell; no gradient passes.
      entity_ids: int32 [B, N], -1 is padding.
      masks: of those entities, where known.
      masked: pairs whose masks are known.
      weight: how much each entity of the vocabulary guides.
    """
    known = (entity_ids >= 0).astype(jnp.float32)
    ids = jnp.maximum(entity_ids, 0)
    given = jnp.take_along_axis(weight, ids, axis=1) * known
    maps = jnp.take_along_axis(attention, ids[:, None, None, :], axis=3)
    maps = sample_grid(maps, visual.cells, visual.step, masks.shape[1:3], 1)
    maps = jnp.where(
        masked[:, None, None, None], masks * given[:, None, None], maps * known[:, None, None]
    )
    return jax.lax.stop_gradient(maps)


def cell_coverage(masks: Float[Array, "b h w n"], entity_ids: Array, grid: tuple[int, int], k: int):
    """Share of each cell of the token grid that each entity of the vocabulary covers.

    Args:
      masks: of the listed entities; the crop is not larger than the context's side, so that a cell
        is 8 x 8 pixels.
      entity_ids: int32 [B, N], -1 is padding.
      grid: rows and columns.
      k: size of the vocabulary.

    Returns:
      float32 [B, rows, columns, K].
    """
    b, h, w, n = masks.shape
    masks = jnp.pad(masks, ((0, 0), (0, grid[0] * CELL - h), (0, grid[1] * CELL - w), (0, 0)))
    share = masks.reshape(b, grid[0], CELL, grid[1], CELL, n).mean(axis=(2, 4))
    return jnp.einsum("bhwn,bnk->bhwk", share, jax.nn.one_hot(entity_ids, k))


def _shared_information(fused: Float[Array, "h w 1"], source: Float[Array, "h w 1"]) -> Array:
    """I(F; S) in nats, from a joint histogram to which `fused` has a gradient."""
    largest = GREY_BINS - 1
    level = jnp.clip(fused.ravel(), 0.0, 1.0) * largest
    lower = jnp.minimum(level.astype(jnp.int32), largest - 1)
    above = level - lower.astype(jnp.float32)
    column = jnp.round(jnp.clip(source.ravel(), 0.0, 1.0) * largest).astype(jnp.int32)
    joint = jnp.zeros((GREY_BINS, GREY_BINS))
    joint = joint.at[lower, column].add(1.0 - above).at[lower + 1, column].add(above) / level.size
    alone = jnp.sum(joint, axis=1, keepdims=True) * jnp.sum(joint, axis=0, keepdims=True)
    return jnp.sum(joint * jnp.log((joint + 1e-9) / (alone + 1e-9)))


def _box_mean(x: Float[Array, "b h w c"], radius: int) -> Array:
    """Mean over a square of 2 radius + 1 pixels, zeros beyond the border."""
    side = 2 * radius + 1
    for window in ((1, side, 1, 1), (1, 1, side, 1)):
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1, 1), "SAME")
    return x / side**2


def _mean_over(
    values: Float[Array, " b"], counted: Bool[Array, " b"], count: Array | None
) -> Array:
    """Sum over the counted examples, divided by `count` or their number; 0 where there are none."""
    counted = counted.astype(jnp.float32)
    count = jnp.maximum(jnp.sum(counted), 1.0) if count is None else count
    return jnp.sum(values * counted) / count
