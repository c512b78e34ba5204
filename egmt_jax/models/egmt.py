"""The model: a global view of the pair, then local rendering."""

import dataclasses
import math
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from egmt_jax.models import layers
from egmt_jax.models.codec import Decoder, Encoder
from egmt_jax.models.guidance import PREDICTED, Guidance
from egmt_jax.models.interaction import (
    ENTITY_LEVELS,
    ChannelAttention,
    Classifier,
    EntityAttention,
    VisualTokens,
)
from egmt_jax.models.layers import Conv, activation

CONTEXT_SIDE = 384
"""Longest side, in pixels, of the reduced pair (the view) that the context is computed from."""

CELL = 8
"""Side of a cell of the grid of visual tokens, in pixels of the view."""

SMALLEST_SIDE = 16
GAIN_BOUNDS = (0.5, 1.8)
OFFSET_BOUND = 0.6

LUMA, CHROMA, INFRARED, HAS_INFRARED = 0, slice(1, 3), 3, 4
"""Channels of a view, see `make_view`."""

Image = Float[Array, "b h w 1"]
View = Float[Array, "b h w 5"]
Valid = Bool[Array, "b h w"] | None
"""The real pixels of a padded batch, at the top left of each image; None: all."""
Offset = int | np.integer | Int[Array, ""] | Int[Array, " b"]


class TextFeatureTable(nnx.Variable):
    """The text features of the vocabulary: saved with the model, never trained."""


@typing.no_type_check  # tree transformations put other objects than arrays into the fields
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Visual:
    """Global features of a pair, computed before any entity is considered. See `EGMT.visual`.

    Attributes:
      into_visible: float32 [B, 2C, 2C], maps infrared features into the visible stream.
      into_infrared: float32 [B, 2C, 2C], maps visible features into the infrared stream.
      tokens: [B, h, w, T], visual tokens on a grid over the pair.
      similarity: float32 [B, h, w, K], similarity of each token to each entity of the vocabulary.
      tone: float32 [B, 2], gain in [0.5, 1.8] about mid-grey and offset in [-0.6, 0.6].
      cells: int32 [B, 2], rows and columns of the grid that cover real pixels.
      cell_size: float32 [B], pixels of the pair per cell.
    """

    into_visible: Float[Array, "b c c"]
    into_infrared: Float[Array, "b c c"]
    tokens: Float[Array, "b h w t"]
    similarity: Float[Array, "b h w k"]
    entity_logits: Float[Array, "b k"]
    tone: Float[Array, "b 2"]
    cells: Int[Array, "b 2"]
    cell_size: Float[Array, " b"]


@typing.no_type_check  # tree transformations put other objects than arrays into the fields
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """Everything global that `EGMT.render` needs.

    Attributes:
      modulation: [B, h, w, 4C], scale and shift of the joined features per cell.
      attention: float32 [B, h, w, N], attention of each cell to each entity; sums to at most 1 over
        N, the null token has the rest.
    """

    visual: Visual
    modulation: Float[Array, "b h w m"]
    attention: Float[Array, "b h w n"]


class Fusion(NamedTuple):
    """The result of a call of the model: luma in [0, 1], float32 logits, attention in `context`."""

    luma: Image
    entity_logits: Float[Array, "b k"]
    context: Context


class EGMT(nnx.Module):
    """Entity-guided multi-task fusion of a visible and an infrared image (arXiv 2601.01870).

    A call runs `visual`, `guide` and `render`. Images are float32 [B, H, W, 1] in [0, 1], luma and
    infrared, H and W at least 16.

    Args:
      text_features: float32 [K, D], one row per entity of the vocabulary.
      width: C, channels at 1/patch scale; 2C at 1/(2 patch) scale.
      patch: factor of the first pixel-unshuffle, 2 or 4.
      tokens: channels of the visual tokens.
      deep_tokens: channels of the grid of half the resolution, where most of recognition happens.
      token_blocks: residual blocks on that grid.
      heads: heads of the attention between the streams; must divide 2 width.
      dimension: width of the attention to entities.
      visual_interaction: whether the streams attend to each other; False for ablations.
      entity_level: see `interaction.EntityAttention`; not "attention" for ablations.
      dtype: dtype of activations, float32 or bfloat16; parameters and output are float32.
      rngs: NNX random streams.

    Raises:
      ValueError: a size does not fit.
    """

    def __init__(
        self,
        text_features: Float[Array | np.ndarray, "k d"],
        *,
        width: int = 32,
        patch: int = 2,
        tokens: int = 96,
        deep_tokens: int = 152,
        token_blocks: int = 3,
        heads: int = 4,
        dimension: int = 64,
        visual_interaction: bool = True,
        entity_level: str = "attention",
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ):
        if patch not in (2, 4):
            raise ValueError(f"patch is 2 or 4, not {patch}")
        if (2 * width) % heads:
            raise ValueError(f"heads={heads} must divide twice the width {width}")
        if entity_level not in ENTITY_LEVELS:
            raise ValueError(f"entity_level={entity_level!r}: {', '.join(ENTITY_LEVELS)} are known")
        if jnp.ndim(text_features) != 2:
            raise ValueError(f"text features are [K, D], not {jnp.shape(text_features)}")
        entities, text = text_features.shape
        self.patch = patch
        self.text_features = TextFeatureTable(jnp.asarray(text_features, jnp.float32))
        kwargs = dict(dtype=dtype, rngs=rngs)
        self.visible_encoder = Encoder(width, patch, **kwargs)
        self.infrared_encoder = Encoder(width, patch, **kwargs)
        self.visual_interaction = visual_interaction
        if visual_interaction:
            self.visible_attention = ChannelAttention(2 * width, heads, **kwargs)
            self.infrared_attention = ChannelAttention(2 * width, heads, **kwargs)
        self.join = Conv(4 * width, 2 * width, 1, **kwargs)
        self.visual_tokens = VisualTokens(tokens, deep_tokens, token_blocks, **kwargs)
        self.entity_attention = EntityAttention(
            tokens, text, dimension, 2 * width, level=entity_level, **kwargs
        )
        self.classifier = Classifier(entities)
        self.decoder = Decoder(width, patch, **kwargs)
        self.tone_hidden = nnx.Linear(tokens + 8, 32, rngs=rngs)
        self.tone_output = nnx.Linear(32, 2, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    @property
    def receptive_field(self) -> int:
        """Largest distance in pixels between an output pixel of `render` and its inputs."""
        # Encoder 2, decoder 1, output 1; at 2 patch: encoder 1, decoder 2, alignment to cells 1.
        return 4 * self.patch + 4 * 2 * self.patch

    def visual(self, view: View, valid: Valid = None) -> Visual:
        """Computes the global features from a view of the pair, see `make_view`.

        A view whose long side has more than `CONTEXT_SIDE` pixels is reduced to it.
        """
        view, extent, factor = layers.reduce_to(view, valid, CONTEXT_SIDE)
        pair = jnp.stack([view[..., LUMA], view[..., INFRARED]], axis=-1)
        statistics = _statistics(pair, layers.top_left_mask(extent, view.shape[1:3]))
        if self.visual_interaction:
            # Correlations of channels need fewer pixels than the recognition of small things.
            _, _, deep, _ = self._encode(*layers.halve(pair, extent))
            into_visible = self.visible_attention.matrix(*deep)
            into_infrared = self.infrared_attention.matrix(*deep[::-1])
        else:
            batch, channels = view.shape[0], self.join.conv.in_features // 2
            into_visible = into_infrared = jnp.zeros((batch, channels, channels))
        tokens, token_mask = self.visual_tokens(view, extent)
        similarity = self.entity_attention.similarity(
            tokens, self._centred(self.text_features[...])
        )
        mean = jnp.sum(tokens.astype(jnp.float32), axis=(1, 2)) / jnp.sum(token_mask, axis=(1, 2))
        return Visual(
            into_visible=into_visible,
            into_infrared=into_infrared,
            tokens=tokens,
            similarity=similarity,
            entity_logits=self.classifier(similarity, token_mask),
            tone=self._tone(jnp.concatenate([jax.lax.stop_gradient(mean), statistics], axis=1)),
            cells=layers.divide_up(extent, CELL),
            cell_size=CELL * factor,
        )

    def guide(self, visual: Visual, guidance: Guidance = PREDICTED) -> Context:
        """Computes the context for a guidance.

        Raises:
          ValueError: the guidance holds names without features.
        """
        weight, features = guidance.weight, guidance.features
        if features is None:
            if guidance.names:
                raise ValueError(f"guidance by names needs features: {', '.join(guidance.names)}")
            if weight is None:
                weight = jax.lax.stop_gradient(jax.nn.sigmoid(visual.entity_logits))
                weight = jnp.zeros_like(weight) if guidance.names == () else weight
            table = self.text_features[...]
            features = jnp.broadcast_to(table, (weight.shape[0], *table.shape))
        elif weight is None:
            weight = jnp.ones(features.shape[:2])
        features = self._centred(features)
        return Context(visual, *self.entity_attention(visual.tokens, features, weight))

    def render(
        self,
        visible: Image,
        infrared: Image,
        context: Context,
        valid: Valid = None,
        origin: tuple[Offset, Offset] = (0, 0),
    ) -> Image:
        """Fuses a pair, or a tile of it, with the context of the pair; local to `receptive_field`.

        `origin` is the row and column of the tile's first pixel in the pair, integers or int32 [B].
        Tiles join without seams if they are multiples of 2 patch.
        The result is float32 in [0, 1], with a straight-through gradient at the clip.
        """
        _check(visible, infrared)
        rows, columns = visible.shape[1:3]
        visual = context.visual
        pair = jnp.concatenate([visible, infrared], axis=-1)
        images, shallow, deep, masks = self._encode(pair, layers.extents(valid, pair.shape))
        joined = self._join(deep, visual.into_visible, visual.into_infrared, masks[1])
        grid = context.modulation, visual.cells, visual.cell_size
        modulation = layers.sample_grid(*grid, joined.shape[1:3], 2 * self.patch, origin)
        scale, shift = jnp.split(modulation, 2, axis=-1)
        joined = layers.masked(joined * (1.0 + scale) + shift, masks[1])
        fused = self.decoder(joined, shallow, images, *masks)
        gain, offset = visual.tone[:, :1, None, None], visual.tone[:, 1:, None, None]
        fused = (gain * (fused - 0.5) + 0.5 + offset)[:, :rows, :columns]
        return fused + jax.lax.stop_gradient(jnp.clip(fused, 0.0, 1.0) - fused)

    def __call__(
        self,
        visible: Image,
        infrared: Image,
        guidance: Guidance = PREDICTED,
        valid: Valid = None,
        chroma: Float[Array, "b h w 2"] | None = None,
        has_infrared: Image | None = None,
    ) -> Fusion:
        """Fuses pairs; for `chroma` and `has_infrared` see `make_view`."""
        _check(visible, infrared)
        given = [x for x in (visible, infrared, chroma, has_infrared) if x is not None]
        # What is not given need not be reduced: the matrices of the reduction are large.
        reduced, extent, factor = layers.reduce_to(jnp.concatenate(given, -1), valid, CONTEXT_SIDE)
        parts = iter(jnp.split(reduced, np.cumsum([x.shape[-1] for x in given])[:-1], axis=-1))
        view = make_view(
            next(parts),
            next(parts),
            None if chroma is None else next(parts),
            None if has_infrared is None else next(parts),
        )
        visual = self.visual(view, layers.top_left_mask(extent, view.shape[1:3])[..., 0] > 0.0)
        visual = dataclasses.replace(visual, cell_size=visual.cell_size * factor)
        context = self.guide(visual, guidance)
        luma = self.render(visible, infrared, context, valid)
        return Fusion(luma, context.visual.entity_logits, context)

    def _encode(self, pair, extent):
        """Encodes pairs of any size: [B, H, W, 2] and the rows and columns of each.

        Returns two images, padded to a multiple of 2 patch by edge replication and then by zeros;
        two shallow and two deep features; the masks of real cells at both scales.
        """
        cell = 2 * self.patch
        cells = layers.divide_up(extent, cell)
        grid = [layers.divide_up(side, cell) for side in pair.shape[1:3]]

        def mask(pitch):
            return layers.top_left_mask(cells * pitch, tuple(side * pitch for side in grid))

        pair = layers.replicate_edge(pair, extent, tuple(side * cell for side in grid))
        visible, infrared = jnp.split(layers.masked(pair, mask(cell)), 2, axis=-1)
        masks = mask(2), mask(1)
        visible_shallow, visible_deep = self.visible_encoder(visible, *masks)
        infrared_shallow, infrared_deep = self.infrared_encoder(infrared, *masks)
        shallow, deep = (visible_shallow, infrared_shallow), (visible_deep, infrared_deep)
        return (visible, infrared), shallow, deep, masks

    def _join(self, deep, into_visible, into_infrared, mask):
        """Adds each deep stream to the other, by one matrix per image, and joins them."""

        def into(features, matrix):
            return jnp.einsum("bhwc,bcd->bhwd", features, matrix.astype(features.dtype))

        visible, infrared = deep
        joined = visible + into(infrared, into_visible), infrared + into(visible, into_infrared)
        return activation(self.join(jnp.concatenate(joined, axis=-1), mask))

    def _tone(self, summary):
        """Gain and offset of each image; 1 and 0 at initialisation."""
        tone = self.tone_output(activation(self.tone_hidden(summary)))
        low, high = GAIN_BOUNDS
        start = math.log((1.0 - low) / (high - 1.0))
        gain = low + (high - low) * jax.nn.sigmoid(tone[:, :1] + start)
        return jnp.concatenate([gain, OFFSET_BOUND * jnp.tanh(tone[:, 1:])], axis=1)

    def _centred(self, features):
        """Text features minus the table's mean, which all names share, at unit scale."""
        mean = jnp.mean(self.text_features[...], axis=0)
        return (features - jnp.broadcast_to(mean, features.shape)) * features.shape[-1] ** 0.5


def make_view(
    visible: Image,
    infrared: Image,
    chroma: Float[Array, "b h w 2"] | None = None,
    has_infrared: Image | None = None,
) -> View:
    """What `EGMT.visual` sees of a pair, as five channels.

    Args:
      visible: luma, as for `EGMT.render`.
      infrared: as for `EGMT.render`.
      chroma: Cb and Cr (BT.601) in [-0.5, 0.5]; None: a grey image.
      has_infrared: 1 where the infrared image holds data, else 0; None: everywhere.

    Raises:
      ValueError: the shapes do not fit.
    """
    _check(visible, infrared)
    chroma = jnp.zeros((*visible.shape[:3], 2)) if chroma is None else chroma
    has_infrared = jnp.ones_like(visible) if has_infrared is None else has_infrared
    return jnp.concatenate([visible, chroma, infrared, has_infrared], axis=-1)


def _check(visible, infrared):
    """Raises ValueError for shapes that cannot be fused."""
    if visible.ndim != 4 or visible.shape[-1] != 1 or visible.shape != infrared.shape:
        raise ValueError(
            f"expected two arrays [B, H, W, 1], visible {visible.shape}, infrared {infrared.shape}"
        )
    # Not min(): symbolic sizes cannot be compared with each other.
    if any(side < SMALLEST_SIDE for side in visible.shape[1:3]):
        raise ValueError(f"height and width must be at least {SMALLEST_SIDE}: {visible.shape}")


def _statistics(pair, mask):
    """Means and deviations of both images, of their maximum and of their sum: [B, 8]."""
    visible, infrared = pair[..., :1], pair[..., 1:]
    values = [pair, jnp.maximum(visible, infrared), visible + infrared]
    values = jnp.concatenate(values, axis=-1)
    area = jnp.sum(mask, axis=(1, 2))
    mean = jnp.sum(values * mask, axis=(1, 2)) / area
    square = jnp.sum(jnp.square((values - mean[:, None, None]) * mask), axis=(1, 2)) / area
    return jnp.concatenate([mean, jnp.sqrt(square + 1e-6)], axis=1)
