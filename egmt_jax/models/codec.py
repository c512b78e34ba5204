"""From images to features of one modality, and from joined features back to an image."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models.layers import Conv, Residual, activation, pixel_shuffle, pixel_unshuffle

WEIGHT_BOUND, RESIDUAL_BOUND = 2.0, 0.5


class Encoder(nnx.Module):
    """Features of one modality at 1/p and 1/(2p) scale; all convolutions run at these scales.

    Args:
      width: channels C at 1/p; twice as many at 1/2p.
      patch: p, the factor of the first pixel-unshuffle.
      **kwargs: `dtype` of the computation and `rngs`.
    """

    def __init__(self, width: int, patch: int, **kwargs: Any):
        self.patch = patch
        self.stem = Conv(patch * patch, width, **kwargs)
        self.shallow = Conv(width, width, **kwargs)
        self.down = Conv(4 * width, 2 * width, 1, **kwargs)
        self.deep = Conv(2 * width, 2 * width, **kwargs)

    def __call__(
        self,
        image: Float[Array, "b h w 1"],
        shallow_mask: Float[Array, "b h2 w2 1"],
        deep_mask: Float[Array, "b h4 w4 1"],
    ) -> tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h4 w4 c2"]]:
        """Shallow [B, H/p, W/p, C] and deep [B, H/2p, W/2p, 2C] features, 0 outside the masks."""
        x = pixel_unshuffle(image, self.patch)
        x = activation(self.stem(x, shallow_mask))
        shallow = activation(self.shallow(x, shallow_mask))
        x = activation(self.down(pixel_unshuffle(shallow, 2), deep_mask))
        return shallow, activation(self.deep(x, deep_mask))


class Decoder(nnx.Module):
    """Decodes joined deep features and shallow features into fused luma before the tone step.

    The output is a V + b I + c about mid-grey, with a and b in [0, 2] and c in [-0.5, 0.5] per
    pixel: full-size detail comes from the inputs, and the output is nearly a local mixture of both.
    At initialisation it is their sum. Arguments as in `Encoder`.
    """

    def __init__(self, width: int, patch: int, **kwargs: Any):
        self.patch = patch
        self.deep = Residual(2 * width, **kwargs)
        self.up = Conv(2 * width, 4 * width, 1, **kwargs)
        self.join = Conv(3 * width, width, 1, **kwargs)
        self.shallow = Conv(width, width, **kwargs)
        self.output = Conv(width, 3 * patch * patch, zero=True, **kwargs)

    def __call__(
        self,
        deep: Float[Array, "b h4 w4 c2"],
        shallow: tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h2 w2 c"]],
        images: tuple[Float[Array, "b h w 1"], Float[Array, "b h w 1"]],
        shallow_mask: Float[Array, "b h2 w2 1"],
        deep_mask: Float[Array, "b h4 w4 1"],
    ) -> Float[Array, "b h w 1"]:
        """Returns float32, nominally in [0, 1], not clipped; pairs are (visible, infrared)."""
        x = self.deep(deep, deep_mask)
        x = pixel_shuffle(activation(self.up(x, deep_mask)), 2)
        x = jnp.concatenate([x, *shallow], axis=-1)
        x = activation(self.join(x, shallow_mask))
        x = activation(self.shallow(x, shallow_mask))
        x = pixel_shuffle(self.output(x, shallow_mask), self.patch).astype(jnp.float32)
        visible, infrared = images
        weights = WEIGHT_BOUND * jax.nn.sigmoid(x[..., :2])
        mixture = weights[..., :1] * (visible - 0.5) + weights[..., 1:] * (infrared - 0.5)
        return 0.5 + mixture + RESIDUAL_BOUND * jnp.tanh(x[..., 2:])
