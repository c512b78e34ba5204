"""The multi-label entity classifier."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Classifier(nnx.Module):
    """Pools the agreement of every visual token with every known entity into one logit an entity.

    The agreement is the one the attention to entities uses, so image-level labels teach the maps
    where things are; it is computed from visual tokens that no given entity has touched.
    """

    def __init__(self, entities: int):
        # Most entities are absent from most images: start at a probability of one in eight.
        self.bias = nnx.Param(jnp.full((entities,), -2.0, jnp.float32))

    def __call__(
        self, similarity: Float[Array, "b h w k"], mask: Float[Array, "b h w 1"]
    ) -> Float[Array, "b k"]:
        """Log-mean-exp over the cells whose mask is 1, plus a bias per entity; float32."""
        scores = jnp.where(mask > 0.0, similarity, -jnp.inf)
        pooled = jax.nn.logsumexp(scores, axis=(1, 2)) - jnp.log(jnp.sum(mask, axis=(1, 2)))
        return pooled + self.bias[...][None]
