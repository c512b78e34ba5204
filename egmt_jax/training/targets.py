"""Targets of the training losses: the target picture, and where the guiding entities are.

Images are float32 [B, H, W, 1] in [0, 1]: V is the luma, I the infrared image, T the target.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from egmt_jax.models.egmt import CELL, Visual
from egmt_jax.models.layers import sample_grid

SURROUND = 8
"""Pixels by which the surround of an entity extends beyond its mask."""

FADING_AREA = (0.1, 0.3)
"""Shares of the picture between which guidance of an entity fades to none: an entity that fills the
picture, such as a road or the sky, has no surround to stand out from."""

PLAIN_PREFERENCE = 2.0
"""Factor on the salience of the plain target when the most salient image is chosen: a bright sky
should not turn black because it is even blacker in the infrared."""

BRIGHT_MEAN, LARGEST_GAMMA = 0.5, 1.5
"""Mean that brighter targets are reduced to, and the largest exponent used for that."""


def intensity_target(
    visible: Float[Array, "b h w 1"],
    infrared: Float[Array, "b h w 1"],
    masks: Float[Array, "b h w n"],
    boost: float,
    additive: float = 0.0,
) -> Float[Array, "b h w 1"]:
    """The target intensity T: bright where a source is, and guided entities stand out.

    The plain target is (1 - a) max(V, I) + a (V + I - m), where m is the smaller of the two means:
    the sum keeps structure of both sources where the maximum would hide it. A plain target with a
    mean above 1/2 is darkened by a power of at most 1.5.

    Inside the mask of an entity T shows the image, of V, I and the plain target, in which the
    entity differs most from its surround (the plain target counts `PLAIN_PREFERENCE` times), moved
    to the level of the surround: surround of the plain target + (1 + boost) (image - surround of
    the image). So an entity that is dark in its most salient image becomes dark.

    The masks are those of the guiding entities; their sum is at most 1. `additive` is a.
    """
    means = jnp.mean(jnp.stack([visible, infrared]), axis=(2, 3), keepdims=True)
    total = visible + infrared - jnp.min(means, axis=0)
    plain = (1.0 - additive) * jnp.maximum(visible, infrared) + additive * total
    plain = _darkened(jnp.clip(plain, 0.0, 1.0))
    masks, around = with_surround(masks)
    images = jnp.concatenate([visible, infrared, plain], axis=-1)
    outside = mean_in(around, images)
    # One of the three images per entity, the plain target among them.
    difference = jnp.abs(mean_in(masks, images) - outside)
    difference = difference.at[..., 2].multiply(PLAIN_PREFERENCE)
    salient = jax.nn.one_hot(jnp.argmax(difference, axis=-1), 3)
    level = outside[..., 2] - (1.0 + boost) * jnp.sum(salient * outside, axis=-1)
    shares = jnp.einsum("bhwn,bnc->bhwc", masks, salient)
    guided = (1.0 + boost) * jnp.sum(shares * images, axis=-1, keepdims=True)
    guided += jnp.einsum("bhwn,bn->bhw", masks, level)[..., None]
    covered = jnp.sum(masks, axis=-1, keepdims=True)
    return jnp.clip((1.0 - covered) * plain + guided, 0.0, 1.0)


def guided_masks(
    visual: Visual,
    attention: Float[Array, "b g k n"],
    entity_ids: Int[Array, "b m"],
    masks: Float[Array, "b h w m"],
    masked: Bool[Array, " b"],
    weight: Float[Array, "b n"],
) -> Float[Array, "b h w m"]:
    """Masks of the guiding entities: the known masks, or else the model's own attention.

    No gradient flows through them.

    `entity_ids` (padded with -1) and `masks` are those of the candidates; the masks are known where
    `masked`. `attention` and `weight`, the weight in the target, are by entity of the vocabulary.
    """
    known = (entity_ids >= 0).astype(jnp.float32)
    ids = jnp.maximum(entity_ids, 0)
    guiding = jnp.take_along_axis(weight, ids, axis=1) * known
    maps = jnp.take_along_axis(attention, ids[:, None, None, :], axis=3)
    maps = sample_grid(maps, visual.cells, visual.cell_size, masks.shape[1:3], 1)
    maps = jnp.where(
        masked[:, None, None, None], masks * guiding[:, None, None], maps * known[:, None, None]
    )
    return jax.lax.stop_gradient(maps)


def cell_coverage(
    masks: Float[Array, "b h w m"], entity_ids: Int[Array, "b m"], grid: tuple[int, int], k: int
) -> Float[Array, "b g w2 k"]:
    """Share of each cell of the token grid that each of the k entities of the vocabulary covers.

    The masks are those of `entity_ids`, padded with -1, in a crop not larger than the context's
    side, so that a cell has 8 x 8 pixels.
    """
    b, h, w, n = masks.shape
    masks = jnp.pad(masks, ((0, 0), (0, grid[0] * CELL - h), (0, grid[1] * CELL - w), (0, 0)))
    share = masks.reshape(b, grid[0], CELL, grid[1], CELL, n).mean(axis=(2, 4))
    return jnp.einsum("bhwn,bnk->bhwk", share, jax.nn.one_hot(entity_ids, k))


def with_surround(
    masks: Float[Array, "b h w n"],
) -> tuple[Float[Array, "b h w n"], Float[Array, "b h w n"]]:
    """The masks, faded where they cover much of the picture, and the surround of each."""
    area = jnp.mean(masks, axis=(1, 2), keepdims=True)
    start, end = FADING_AREA
    masks = masks * jnp.clip((end - area) / (end - start), 0.0, 1.0)
    return masks, _box_mean(masks, SURROUND) * (1.0 - masks)


def mean_in(
    weights: Float[Array, "b h w n"], images: Float[Array, "b h w c"]
) -> Float[Array, "b n c"]:
    """Weighted means of the images, 0 where there is no weight."""
    area = jnp.sum(weights, axis=(1, 2))[:, :, None]
    return jnp.einsum("bhwn,bhwc->bnc", weights, images) / jnp.maximum(area, 1e-3)


def _darkened(image: Float[Array, "b h w 1"]) -> Float[Array, "b h w 1"]:
    """A power of each image that moves means above `BRIGHT_MEAN` towards it."""
    mean = jnp.clip(jnp.mean(image, axis=(1, 2), keepdims=True), 0.01, 0.99)
    power = jnp.clip(jnp.log(BRIGHT_MEAN) / jnp.log(mean), 1.0, LARGEST_GAMMA)
    return image**power


def _box_mean(x: Float[Array, "b h w c"], radius: int) -> Float[Array, "b h w c"]:
    """Mean over a square of 2 radius + 1 pixels, with zeros beyond the border."""
    side = 2 * radius + 1
    for window in ((1, side, 1, 1), (1, 1, side, 1)):
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1, 1), "SAME")
    return x / side**2
