"""The entity-guided cross-modal interaction module (ECIM): visual-visual, visual-entity."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models.layers import Conv, Residual, activation, masked


class ChannelAttention(nnx.Module):
    """One modality's channels attend to the other's (transposed attention, linear in pixels).

    Queries come from one stream, keys and values from the other; the attention runs over channels
    within heads, as in Restormer (Zamir et al., CVPR 2022, eq. 1), across modalities. `matrix`
    needs the whole image, `apply_matrix` only a pixel: so the matrix is found once at reduced size
    and applied anywhere.
    """

    def __init__(self, channels: int, heads: int, *, dtype: Any, rngs: nnx.Rngs):
        self.heads = heads
        self.query = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)
        self.key = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)
        scale = nnx.initializers.normal(1.0 / channels**0.5)
        self.value = nnx.Param(scale(rngs.params(), (channels, channels), jnp.float32))
        # Starts small: at first each stream is mostly itself.
        scale = nnx.initializers.normal(0.1 / channels**0.5)
        self.output = nnx.Param(scale(rngs.params(), (channels, channels), jnp.float32))
        self.temperature = nnx.Param(jnp.full((heads,), 4.0, jnp.float32))

    def matrix(
        self, own: Float[Array, "b h w c"], other: Float[Array, "b h w c"]
    ) -> Float[Array, "b c c"]:
        """The matrix that carries the other stream's features into this one, float32.

        Args:
          own: features the queries are made from, 0 outside the image.
          other: features the keys are made from, likewise.
        """
        b, h, w, c = own.shape

        def unit(x):
            x = x.reshape(b, h * w, self.heads, c // self.heads).astype(jnp.float32)
            return x * jax.lax.rsqrt(jnp.sum(x * x, axis=1, keepdims=True) + 1e-6)

        scores = jnp.einsum("bnhc,bnhd->bhcd", unit(self.query(own)), unit(self.key(other)))
        attention = jax.nn.softmax(scores * self.temperature[...][None, :, None, None], axis=-1)
        value = self.value[...].reshape(c, self.heads, c // self.heads)
        output = self.output[...].reshape(self.heads, c // self.heads, c)
        return jnp.einsum("ihd,bhcd,hco->bio", value, attention, output)


def apply_matrix(features: Float[Array, "b h w c"], matrix: Float[Array, "b c d"]) -> Array:
    """A 1x1 convolution with a matrix of each image's own."""
    return jnp.einsum("bhwc,bcd->bhwd", features, matrix.astype(features.dtype))


class VisualTokens(nnx.Module):
    """Tokens of the joined streams on a coarse grid, with a summary of the whole image in each.

    The classifier, the tone and the attention to entities read them; no text has touched them.
    """

    def __init__(self, inputs: int, channels: int, blocks: int, *, dtype: Any, rngs: nnx.Rngs):
        self.enter = Conv(inputs, channels, 1, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List([Residual(channels, dtype=dtype, rngs=rngs) for _ in range(blocks)])
        self.summary = nnx.Linear(channels, channels, dtype=dtype, rngs=rngs)
        self.normalise = nnx.RMSNorm(channels, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b h w c"], mask: Float[Array, "b h w 1"]
    ) -> Float[Array, "b h w d"]:
        """[B, h, w, inputs] with mask 1 on real cells -> [B, h, w, channels], 0 elsewhere."""
        x = activation(self.enter(x, mask))
        for block in self.blocks:
            x = block(x, mask)
        x = masked(self.normalise(x.astype(jnp.float32)), mask)
        mean = jnp.sum(x, axis=(1, 2)) / jnp.sum(mask, axis=(1, 2))
        x = x.astype(self.summary.dtype)
        return masked(x + self.summary(mean)[:, None, None, :], mask)


ENTITY_LEVELS = ("attention", "average", "none")


class EntityAttention(nnx.Module):
    """Visual tokens attend to entity features; what they find becomes a scale and shift per cell.

    Beside the entities every token may choose *nothing*, whose value is zero: so an entity that is
    not in the picture can be passed over, and comes out as if none had been given.

    Args:
      tokens: channels of the visual tokens.
      text: width D of the text features.
      dimension: of queries, keys and values.
      modulated: channels of the features to be scaled and shifted.
      level: "attention"; for ablations "average", by which every cell looks at the given entities
        alike, or "none", which leaves only the agreement that the classifier needs.
      dtype: of the computation.
      rngs: NNX random streams.
    """

    def __init__(
        self,
        tokens: int,
        text: int,
        dimension: int,
        modulated: int,
        *,
        level: str = "attention",
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        self.level, self.modulated = level, modulated
        self.query = nnx.Linear(tokens, dimension, dtype=dtype, rngs=rngs)
        self.key = nnx.Linear(text, dimension, rngs=rngs)
        if level != "none":
            self.value = nnx.Linear(text, dimension, rngs=rngs)
        self.nothing = nnx.Param(jnp.zeros((), jnp.float32))
        if level == "none":
            return
        self.visual = nnx.Linear(tokens, dimension, dtype=dtype, rngs=rngs)
        self.entity = nnx.Linear(dimension, dimension, use_bias=False, dtype=dtype, rngs=rngs)
        self.modulate = nnx.Linear(
            dimension,
            2 * modulated,
            kernel_init=nnx.initializers.zeros_init(),
            dtype=dtype,
            rngs=rngs,
        )

    def similarity(
        self, tokens: Float[Array, "b h w c"], features: Float[Array, "n d"] | Float[Array, "b n d"]
    ) -> Float[Array, "b h w n"]:
        """Agreement of each token with each entity, less that with nothing; float32."""
        query = self.query(tokens).astype(jnp.float32)
        key = self.key(features)
        equation = "bhwe,ne->bhwn" if features.ndim == 2 else "bhwe,bne->bhwn"
        return jnp.einsum(equation, query, key) / query.shape[-1] ** 0.5 - self.nothing[...]

    def __call__(
        self,
        tokens: Float[Array, "b h w c"],
        features: Float[Array, "b n d"],
        weight: Float[Array, "b n"],
    ) -> tuple[Float[Array, "b h w m"], Float[Array, "b h w n"]]:
        """Guides by entities.

        Args:
          tokens: the visual tokens.
          features: text features of the entities.
          weight: how much each entity counts, in [0, 1]: 1 given, 0 absent, or a probability;
            its logarithm is added to the similarity.

        Returns:
          Scale and shift per cell [B, h, w, 2 modulated], zero at the start of training, and the
          attention [B, h, w, N], float32; what is missing to a sum of 1 over N went to nothing.
        """
        if self.level == "none":
            grid = tokens.shape[:3]
            modulation = jnp.zeros((*grid, 2 * self.modulated), tokens.dtype)
            return modulation, jnp.zeros((*grid, weight.shape[1]))
        if self.level == "average":
            share = weight / jnp.maximum(jnp.sum(weight, axis=1, keepdims=True), 1e-6)
            attention = jnp.broadcast_to(
                share[:, None, None, :], (*tokens.shape[:3], weight.shape[1])
            )
            return self._modulation(tokens, features, attention), attention
        scores = self.similarity(tokens, features)
        bias = jnp.where(weight > 0.0, jnp.log(jnp.maximum(weight, 1e-6)), -jnp.inf)
        nothing = jnp.zeros((*scores.shape[:3], 1))
        scores = jnp.concatenate([scores + bias[:, None, None, :], nothing], axis=-1)
        attention = jax.nn.softmax(scores, axis=-1)[..., :-1]
        return self._modulation(tokens, features, attention), attention

    def _modulation(self, tokens, features, attention):
        """Scale and shift from what each cell found."""
        found = jnp.einsum("bhwn,bne->bhwe", attention, self.value(features))
        hidden = self.visual(tokens) + self.entity(found.astype(tokens.dtype))
        return self.modulate(activation(hidden))
