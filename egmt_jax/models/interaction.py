"""The entity-guided cross-modal interaction module (ECIM): visual-visual, visual-entity."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models.layers import Conv, Residual, activation, masked


class ChannelAttention(nnx.Module):
    """One modality's channels attend to the other's (transposed attention, linear in pixels).

    Queries come from one stream, keys and values from the other. Attention runs over channels
    within heads, as in Restormer (Zamir et al., CVPR 2022, eq. 1), but across modalities. `matrix`
    needs the full image and `apply_matrix` one pixel, so the matrix is computed once at reduced
    size and applied at full size.
    """

    def __init__(self, channels: int, heads: int, *, dtype: Any, rngs: nnx.Rngs):
        self.heads = heads
        self.query = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)
        self.key = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)
        scale = nnx.initializers.normal(1.0 / channels**0.5)
        self.value = nnx.Param(scale(rngs.params(), (channels, channels), jnp.float32))
        # Small at initialisation: each stream starts nearly unchanged.
        scale = nnx.initializers.normal(0.1 / channels**0.5)
        self.output = nnx.Param(scale(rngs.params(), (channels, channels), jnp.float32))
        self.temperature = nnx.Param(jnp.full((heads,), 4.0, jnp.float32))

    def matrix(
        self, own: Float[Array, "b h w c"], other: Float[Array, "b h w c"]
    ) -> Float[Array, "b c c"]:
        """Computes the float32 matrix that maps the other stream's features into this one.

        Args:
          own: features for the queries, 0 outside the image.
          other: features for the keys, 0 outside the image.
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
    """A 1x1 convolution with one matrix per image."""
    return jnp.einsum("bhwc,bcd->bhwd", features, matrix.astype(features.dtype))


class VisualTokens(nnx.Module):
    """Tokens of the joined streams on a coarse grid, each with a summary of the image added.

    The classifier, the tone and the entity attention read them. They do not depend on any text.
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
    """Visual tokens attend to entity features; the result is a scale and shift per cell.

    Each token can also attend to a null token, whose value is zero. So a named entity that is not
    in the image can be ignored.

    Args:
      tokens: channels of the visual tokens.
      text: width D of the text features.
      dimension: width of queries, keys and values.
      modulated: channels of the features that are scaled and shifted.
      level: "attention"; for ablations "average" (uniform attention to the given entities) or
        "none" (only the similarity that the classifier needs).
      dtype: dtype of the computation.
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
        self.null_token = nnx.Param(jnp.zeros((), jnp.float32))
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
        """Similarity of each token to each entity minus the null-token score; float32."""
        query = self.query(tokens).astype(jnp.float32)
        key = self.key(features)
        equation = "bhwe,ne->bhwn" if features.ndim == 2 else "bhwe,bne->bhwn"
        return jnp.einsum(equation, query, key) / query.shape[-1] ** 0.5 - self.null_token[...]

    def __call__(
        self,
        tokens: Float[Array, "b h w c"],
        features: Float[Array, "b n d"],
        weight: Float[Array, "b n"],
    ) -> tuple[Float[Array, "b h w m"], Float[Array, "b h w n"]]:
        """Computes the modulation for weighted entities.

        Args:
          tokens: the visual tokens.
          features: text features of the entities.
          weight: weight of each entity in [0, 1]; its logarithm is added to the similarity.

        Returns:
          Scale and shift per cell [B, h, w, 2 modulated], zero at initialisation, and the float32
          attention [B, h, w, N]; the null token has the rest of the sum of 1.
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
        null = jnp.zeros((*scores.shape[:3], 1))
        scores = jnp.concatenate([scores + bias[:, None, None, :], null], axis=-1)
        attention = jax.nn.softmax(scores, axis=-1)[..., :-1]
        return self._modulation(tokens, features, attention), attention

    def _modulation(self, tokens, features, attention):
        """Scale and shift from the attended values."""
        attended = jnp.einsum("bhwn,bne->bhwe", attention, self.value(features))
        hidden = self.visual(tokens) + self.entity(attended.astype(tokens.dtype))
        return self.modulate(activation(hidden))
