"""The decoder: from joined features to a blend of the two inputs."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models.layers import Conv, Residual, activation, pixel_shuffle

RESIDUAL_BOUND = 0.25


class Decoder(nnx.Module):
    """Decodes joined deep features and shallow features into fused luma before the tone step.

    The output is a per-pixel blend of the inputs plus a residual in [-0.25, 0.25]: full-size detail
    comes from the inputs, and at initialisation the output is their average.
    """

    def __init__(self, width: int, patch: int, *, dtype: Any = jnp.float32, rngs: nnx.Rngs):
        self.patch = patch
        self.deep = Residual(2 * width, dtype=dtype, rngs=rngs)
        self.up = Conv(2 * width, 4 * width, 1, dtype=dtype, rngs=rngs)
        self.join = Conv(3 * width, width, 1, dtype=dtype, rngs=rngs)
        self.shallow = Conv(width, width, dtype=dtype, rngs=rngs)
        self.output = Conv(width, 2 * patch * patch, zero=True, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        deep: Float[Array, "b h4 w4 c2"],
        shallow_visible: Float[Array, "b h2 w2 c"],
        shallow_infrared: Float[Array, "b h2 w2 c"],
        visible: Float[Array, "b h w 1"],
        infrared: Float[Array, "b h w 1"],
        shallow_mask=None,
        deep_mask=None,
    ) -> Float[Array, "b h w 1"]:
        """Returns float32 luma, nominally in [0, 1], not clipped; masks as in `Encoder`."""
        x = self.deep(deep, deep_mask)
        x = pixel_shuffle(activation(self.up(x, deep_mask)), 2)
        x = jnp.concatenate([x, shallow_visible, shallow_infrared], axis=-1)
        x = activation(self.join(x, shallow_mask))
        x = activation(self.shallow(x, shallow_mask))
        x = pixel_shuffle(self.output(x, shallow_mask), self.patch).astype(jnp.float32)
        blend = jax.nn.sigmoid(x[..., :1])
        residual = RESIDUAL_BOUND * jnp.tanh(x[..., 1:])
        return infrared + blend * (visible - infrared) + residual
