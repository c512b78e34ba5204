"""Entity-guided cross-modal interaction (ECIM), visual-visual and visual-entity; classifier."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from egmt_jax.models.layers import (
    Conv,
    Features,
    Mask,
    Residual,
    RMSNorm,
    activation,
    divide_up,
    masked,
    pixel_shuffle,
    pixel_unshuffle,
    replicate_edge,
    top_left_mask,
)


class ChannelAttention(nnx.Module):
    """One modality's channels attend to the other's (transposed attention, linear in pixels).

    Queries come from one stream, keys and values from the other. Attention runs over channels
    within heads, as in Restormer (Zamir et al., CVPR 2022, eq. 1), but across modalities. The
    matrix is computed once at reduced size and applied to each pixel at full size.
    """

    def __init__(self, channels: int, heads: int, *, dtype: Any, rngs: nnx.Rngs):
        self.heads = heads
        self.query = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)
        self.key = nnx.Linear(channels, channels, use_bias=False, dtype=dtype, rngs=rngs)

        def initial(scale):
            init = nnx.initializers.normal(scale / channels**0.5)
            return nnx.Param(init(rngs.params(), (channels, channels), jnp.float32))

        self.value = initial(1.0)
        self.output = initial(0.1)  # each stream starts nearly unchanged
        self.temperature = nnx.Param(jnp.full((heads,), 4.0, jnp.float32))

    def matrix(self, own: Features, other: Features) -> Float[Array, "b c c"]:
        """The float32 matrix that maps the other stream into this one; features are 0 outside."""
        b, h, w, c = own.shape

        def unit(x):
            x = x.reshape(b, h * w, self.heads, c // self.heads).astype(jnp.float32)
            return x * jax.lax.rsqrt(jnp.sum(x * x, axis=1, keepdims=True) + 1e-6)

        scores = jnp.einsum("bnhc,bnhd->bhcd", unit(self.query(own)), unit(self.key(other)))
        attention = jax.nn.softmax(scores * self.temperature[...][None, :, None, None], axis=-1)
        value = self.value[...].reshape(c, self.heads, c // self.heads)
        output = self.output[...].reshape(self.heads, c // self.heads, c)
        return jnp.einsum("ihd,bhcd,hco->bio", value, attention, output)


class VisualTokens(nnx.Module):
    """Recognition: tokens of the pair on a coarse grid, each with a summary of the pair added.

    Convolutions at 1/4 and 1/8 scale of the view keep small things apart; most blocks run at 1/16
    scale, where they see far. Both scales are added at 1/8. The classifier, the tone and the
    entity attention read the tokens; they do not depend on any text.

    Args:
      channels: at 1/8 scale, and of the tokens; half as many at 1/4.
      deep: channels at 1/16 scale.
      blocks: residual blocks at 1/16 scale; one more at 1/8.
      **kwargs: `dtype` of the computation and `rngs`.
    """

    def __init__(self, channels: int, deep: int, blocks: int, **kwargs: Any):
        half = max(channels // 2, 8)
        self.stem = Conv(7 * 16, half, **kwargs)
        self.normalise_stem = RMSNorm(half, rngs=kwargs["rngs"])
        self.enter = Conv(4 * half, channels, 1, **kwargs)
        self.shallow = Residual(channels, **kwargs)
        self.down = Conv(4 * channels, deep, 1, **kwargs)
        self.blocks = nnx.List([Residual(deep, **kwargs) for _ in range(blocks)])
        self.normalise_deep = RMSNorm(deep, rngs=kwargs["rngs"])
        self.up = Conv(deep, 4 * channels, 1, **kwargs)
        self.join = Conv(channels, channels, **kwargs)
        self.summary = nnx.Linear(channels, channels, **kwargs)
        self.normalise = RMSNorm(channels, rngs=kwargs["rngs"])

    def __call__(
        self, view: Float[Array, "b h w 5"], extent: Int[Array, "b 2"]
    ) -> tuple[Float[Array, "b y x c"], Float[Array, "b y x 1"]]:
        """Tokens [B, Y, X, channels], 0 outside the mask, and the mask of real cells.

        Y and X are H / 8 and W / 8, rounded up to even numbers.
        """
        cells = divide_up(extent, 16)
        grid = [divide_up(side, 16) for side in view.shape[1:3]]

        def mask(pitch):
            return top_left_mask(cells * pitch, tuple(side * pitch for side in grid))

        view = _standardised(view, top_left_mask(extent, view.shape[1:3]))
        view = replicate_edge(view, extent, tuple(16 * side for side in grid))
        x = activation(self.stem(pixel_unshuffle(masked(view, mask(16)), 4), mask(4)))
        x = activation(self.enter(pixel_unshuffle(self.normalise_stem(x), 2), mask(2)))
        shallow = self.shallow(x, mask(2))
        x = activation(self.down(pixel_unshuffle(shallow, 2), mask(1)))
        for block in self.blocks:
            x = block(x, mask(1))
        x = shallow + pixel_shuffle(self.up(self.normalise_deep(x), mask(1)), 2)
        real = top_left_mask(divide_up(extent, 8), x.shape[1:3])
        x = activation(self.join(activation(x), mask(2)))
        x = masked(self.normalise(x.astype(jnp.float32)), real)
        mean = jnp.sum(x, axis=(1, 2)) / jnp.sum(real, axis=(1, 2))
        x = x.astype(self.summary.dtype)
        return masked(x + self.summary(mean)[:, None, None, :], real), real


def _standardised(view: Float[Array, "b h w 5"], mask: Mask) -> Float[Array, "b h w 7"]:
    """The view, with stronger chroma and, as channels, luma and infrared of mean 0 and deviation 1.

    So a night looks like a day to the convolutions, which still see the level.
    """
    luma, chroma, infrared, has_infrared = jnp.split(view, [1, 3, 4], axis=-1)
    pair = jnp.concatenate([luma, infrared], axis=-1)
    area = jnp.sum(mask, axis=(1, 2), keepdims=True)
    centred = pair - jnp.sum(pair * mask, axis=(1, 2), keepdims=True) / area
    variance = jnp.sum(jnp.square(centred) * mask, axis=(1, 2), keepdims=True) / area
    centred = centred * jax.lax.rsqrt(variance + 1e-3)
    return jnp.concatenate([luma, 4.0 * chroma, infrared, has_infrared, centred], axis=-1)


ENTITY_LEVELS = ("attention", "average", "none")


class EntityAttention(nnx.Module):
    """Visual tokens attend to entity features; the result is a scale and shift per cell.

    Each token can also attend to a null token, whose value is zero. So a named entity that is not
    in the image can be ignored. No gradient flows from the result to the tokens or the attention:
    recognition learns from labels and masks only, for the gradients of an image are much larger.

    Args:
      tokens: channels of the visual tokens.
      text: width D of the text features.
      dimension: width of queries, keys and values.
      modulated: channels of the features that are scaled and shifted.
      level: "attention"; for ablations "average" (uniform attention to the given entities) or
        "none" (only the similarity that the classifier needs).
    """

    def __init__(
        self,
        tokens: int,
        text: int,
        dimension: int,
        modulated: int,
        *,
        level: str,
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        self.level, self.modulated = level, modulated
        self.query = nnx.Linear(tokens, dimension, dtype=dtype, rngs=rngs)
        self.key = nnx.Linear(text, dimension, rngs=rngs)
        self.null_token = nnx.Param(jnp.zeros((), jnp.float32))
        if level == "none":
            return
        zeros = nnx.initializers.zeros_init()
        self.value = nnx.Linear(text, dimension, rngs=rngs)
        self.visual = nnx.Linear(tokens, dimension, dtype=dtype, rngs=rngs)
        self.entity = nnx.Linear(dimension, dimension, use_bias=False, dtype=dtype, rngs=rngs)
        self.modulate = nnx.Linear(
            dimension, 2 * modulated, kernel_init=zeros, dtype=dtype, rngs=rngs
        )

    def similarity(
        self, tokens: Features, features: Float[Array, "n d"] | Float[Array, "b n d"]
    ) -> Float[Array, "b h w n"]:
        """Similarity of each token to each entity minus the null-token score; float32."""
        query = self.query(tokens).astype(jnp.float32)
        key = self.key(features)
        equation = "bhwe,ne->bhwn" if features.ndim == 2 else "bhwe,bne->bhwn"
        return jnp.einsum(equation, query, key) / query.shape[-1] ** 0.5 - self.null_token[...]

    def __call__(
        self, tokens: Features, features: Float[Array, "b n d"], weight: Float[Array, "b n"]
    ) -> tuple[Features, Float[Array, "b h w n"]]:
        """Computes the modulation; the logarithm of a weight in [0, 1] is added to the similarity.

        Returns:
          Scale and shift per cell [B, h, w, 2 modulated], zero at initialisation, and the float32
          attention [B, h, w, N]; the null token has the rest of the sum of 1.
        """
        tokens = jax.lax.stop_gradient(tokens)
        grid = (*tokens.shape[:3], weight.shape[1])
        if self.level == "none":
            return jnp.zeros((*grid[:3], 2 * self.modulated), tokens.dtype), jnp.zeros(grid)
        if self.level == "average":
            share = weight / jnp.maximum(jnp.sum(weight, axis=1, keepdims=True), 1e-6)
            attention = jnp.broadcast_to(share[:, None, None, :], grid)
        else:
            bias = jnp.where(weight > 0.0, jnp.log(jnp.maximum(weight, 1e-6)), -jnp.inf)
            scores = jax.lax.stop_gradient(self.similarity(tokens, features))
            scores = scores + bias[:, None, None, :]
            null = jnp.zeros((*grid[:3], 1))
            attention = jax.nn.softmax(jnp.concatenate([scores, null], axis=-1))[..., :-1]
        attended = jnp.einsum("bhwn,bne->bhwe", attention, self.value(features))
        hidden = self.visual(tokens) + self.entity(attended.astype(tokens.dtype))
        return self.modulate(activation(hidden)), attention


class Classifier(nnx.Module):
    """Pools the similarity of the visual tokens to each entity into one logit per entity.

    The entity attention uses the same similarity, so image-level labels also train its maps.
    """

    def __init__(self, entities: int):
        # Most entities are absent from most images: initial probability 1/8.
        self.bias = nnx.Param(jnp.full((entities,), -2.0, jnp.float32))

    def __call__(self, similarity: Float[Array, "b h w k"], mask: Mask) -> Float[Array, "b k"]:
        """Log-mean-exp over the cells whose mask is 1, plus a bias per entity; float32."""
        scores = jnp.where(mask > 0.0, similarity, -jnp.inf)
        pooled = jax.nn.logsumexp(scores, axis=(1, 2)) - jnp.log(jnp.sum(mask, axis=(1, 2)))
        return pooled + self.bias[...][None]
