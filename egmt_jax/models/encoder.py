"""The encoder of one modality."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models.layers import Conv, activation, pixel_unshuffle


class Encoder(nnx.Module):
    """Features of one modality at 1/p and 1/(2p) scale; all convolutions run at these scales.

    Args:
      width: channels C at 1/p; twice as many at 1/2p.
      patch: p, the factor of the first pixel-unshuffle.
      dtype: of the computation.
      rngs: NNX random streams.
    """

    def __init__(self, width: int, patch: int, *, dtype: Any = jnp.float32, rngs: nnx.Rngs):
        self.patch = patch
        self.stem = Conv(patch * patch, width, dtype=dtype, rngs=rngs)
        self.shallow = Conv(width, width, dtype=dtype, rngs=rngs)
        self.down = Conv(4 * width, 2 * width, 1, dtype=dtype, rngs=rngs)
        self.deep = Conv(2 * width, 2 * width, dtype=dtype, rngs=rngs)

    def __call__(
        self, image: Float[Array, "b h w 1"], shallow_mask=None, deep_mask=None
    ) -> tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h4 w4 c2"]]:
        """Encodes an image in [0, 1] whose sides are multiples of 2p.

        Args:
          image: one luma or infrared channel.
          shallow_mask: float [B, H/p, W/p, 1], 0 outside each image of a padded batch.
          deep_mask: float [B, H/2p, W/2p, 1], 0 outside each image of a padded batch.

        Returns:
          The shallow features [B, H/p, W/p, C] and the deep ones [B, H/2p, W/2p, 2C].
        """
        x = pixel_unshuffle(image, self.patch)
        x = activation(self.stem(x, shallow_mask))
        shallow = activation(self.shallow(x, shallow_mask))
        x = activation(self.down(pixel_unshuffle(shallow, 2), deep_mask))
        return shallow, activation(self.deep(x, deep_mask))
