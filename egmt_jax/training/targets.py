"""The target of the training losses: the target picture, raised where guiding entities are."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

FADE = 2
"""Radius in pixels of the box mean, taken twice, that softens the edge of a raised entity."""

KNEE = 0.9
"""Value above which raised pixels approach 1 smoothly, so that they keep texture."""


def guided_target(
    target: Float[Array, "b h w 1"], masks: Float[Array, "b h w n"], amounts: Float[Array, "b n"]
) -> Float[Array, "b h w 1"]:
    """The target picture, in [0, 1], with entities raised by signed amounts inside their masks."""
    raised = jnp.einsum("bhwn,bn->bhw", masks, amounts)[..., None]
    raised = box_mean(box_mean(raised, FADE), FADE)
    over = jnp.maximum(target + raised - KNEE, 0.0)
    bent = target + raised - over + (1.0 - KNEE) * jnp.tanh(over / (1.0 - KNEE))
    return jnp.clip(jnp.where(jnp.abs(raised) > 0.0, bent, target), 0.0, 1.0)


def of_slots(by_entity: Float[Array, "b k"], entity_ids: Int[Array, "b n"]) -> Float[Array, "b n"]:
    """Values of the entities in `entity_ids`, 0 for padding, which is -1."""
    values = jnp.take_along_axis(by_entity, jnp.maximum(entity_ids, 0), axis=1)
    return jnp.where(entity_ids >= 0, values, 0.0)


def mean_in(
    weights: Float[Array, "b h w n"], images: Float[Array, "b h w c"]
) -> Float[Array, "b n c"]:
    """Weighted means of the images, 0 where there is no weight."""
    area = jnp.sum(weights, axis=(1, 2))[:, :, None]
    return jnp.einsum("bhwn,bhwc->bnc", weights, images) / jnp.maximum(area, 1e-3)


def box_mean(x: Float[Array, "b h w c"], radius: int) -> Float[Array, "b h w c"]:
    """Mean over a square of 2 radius + 1 pixels, with zeros beyond the border."""
    side = 2 * radius + 1
    for window in ((1, side, 1, 1), (1, 1, side, 1)):
        x = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1, 1), "SAME")
    return x / side**2
