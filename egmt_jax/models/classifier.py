"""The multi-label entity classifier."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Classifier(nnx.Module):
    """Pools the similarity of the visual tokens to each entity into one logit per entity.

    The entity attention uses the same similarity, so image-level labels also train its maps. It
    does not depend on the given entities.
    """

    def __init__(self, entities: int):
        # Most entities are absent from most images: initial probability 1/8.
        self.bias = nnx.Param(jnp.full((entities,), -2.0, jnp.float32))

    def __call__(
        self, similarity: Float[Array, "b h w k"], mask: Float[Array, "b h w 1"]
    ) -> Float[Array, "b k"]:
        """Log-mean-exp over the cells whose mask is 1, plus a bias per entity; float32."""
        scores = jnp.where(mask > 0.0, similarity, -jnp.inf)
        pooled = jax.nn.logsumexp(scores, axis=(1, 2)) - jnp.log(jnp.sum(mask, axis=(1, 2)))
        return pooled + self.bias[...][None]
