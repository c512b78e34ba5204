"""Fuses pairs of any size and depth with a model, by at most four compiled programs."""

import copy
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Float32, Shaped

from egmt_jax.entities import embed, load_vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.inference.arrays import to_luma
from egmt_jax.io.images import with_chroma
from egmt_jax.io.thermal import InfraredRange, infrared_to_unit
from egmt_jax.models import EGMT, PREDICTED, Context, Guidance, Visual
from egmt_jax.models.egmt import CONTEXT_SIDE
from egmt_jax.weights import packed

TILES = ((352, 544), (480, 640))
"""Shapes of the tiles that images of any size are rendered in, margins included."""

LARGEST_TILE = 1024
"""Longest side of a tile for images of one size, without margins."""


@dataclasses.dataclass(frozen=True)
class Fused:
    """The fusion of one pair.

    Attributes:
      luma: float32 [H, W] in [0, 1].
      probabilities: entity -> probability that it is in the pair, in the vocabulary's order.
      visible: the visible image as given.
      guides: the entities that guided: those given, or the model's vocabulary; empty without
        guidance and for features without names.
      grid: float32 [h, w, len(guides)], attention per cell.
      cell_size: pixels per cell.
    """

    luma: Float32[np.ndarray, "h w"]
    probabilities: dict[str, float]
    visible: np.ndarray
    guides: tuple[str, ...]
    grid: Float[np.ndarray, "y x n"]
    cell_size: float

    @property
    def image(self) -> np.ndarray:
        """The fused image in the dtype of the visible image: uint8, uint16, or float in [0, 1].

        RGB [H, W, 3] with the chroma of a visible image in colour (alpha is dropped), otherwise the
        shape of the visible image, [H, W] or [H, W, 1].
        """
        dtype, shape = self.visible.dtype, self.visible.shape
        if dtype.kind == "f":
            luma = self.luma.astype(dtype)
        else:
            luma = np.rint(np.float32(np.iinfo(dtype).max) * self.luma).astype(dtype)
        if len(shape) == 2 or shape[2] == 1:
            return luma.reshape(shape)
        return with_chroma(luma, self.visible)

    @property
    def predicted(self) -> tuple[str, ...]:
        """Entities with a probability above 0.5, likeliest first."""
        likely = [name for name, value in self.probabilities.items() if value > 0.5]
        return tuple(sorted(likely, key=lambda name: -self.probabilities[name]))

    def attention(self, entity: str) -> Float32[np.ndarray, "h w"]:
        """Attention of each pixel to an entity, in [0, 1]; sums to at most 1 over all guides.

        Raises:
          UserError: the entity did not guide this fusion.
        """
        (name,) = _canonical([entity])
        if name not in self.guides:
            raise UserError(f"{name} did not guide this fusion; give it among the entities")
        grid = self.grid[..., self.guides.index(name)]
        return tiles.enlarge(grid, self.cell_size, self.luma.shape)


class Fuser:
    """A model ready to fuse. Fusers of models of one structure share their compiled programs.

    Args:
      model: trained or not.
      names: the entities of the model's table, in order.
      encoder: the text-feature table that the model was trained with, as for
        `egmt_jax.entities.embed`, which embeds names outside the table.
      tile: shapes of tiles to render in; results differ by float32 rounding only.

    Raises:
      UserError: a tile is not longer than its two margins, or not a multiple of the model's cells.
    """

    def __init__(
        self,
        model: EGMT,
        names: Sequence[str],
        encoder: str = "minilm",
        tile: Sequence[tuple[int, int]] = TILES,
    ):
        self._cell = cell = 2 * model.patch
        self._margin = -(-model.receptive_field // cell) * cell
        for side in (side for shape in tile for side in shape):
            if side % cell or side <= 2 * self._margin:
                raise UserError(
                    f"tile={tuple(tile)}: sides are multiples of {cell} above {2 * self._margin}"
                )
        self.names, self._tiles = tuple(names), tuple(tile)
        self._encoder, self._table = encoder, np.asarray(model.text_features[...])
        self._graphdef, self._state = nnx.split(model)
        self._visual, self._guide, self._render = _programs(self._graphdef)

    @classmethod
    def load(cls, workdir: str | os.PathLike) -> "Fuser":
        """The model of a training run's newest checkpoint; see `load_model`."""
        from egmt_jax.weights.checkpoint import load_model  # Orbax is slow to import

        model, names, config = load_model(workdir)
        return cls(model, names, config.text_features)

    def for_size(self, size: tuple[int, int]) -> "Fuser":
        """A `Fuser` with a tile that fits images of `size` (rows, columns), for many of them.

        Rendering costs up to half less; compiling the shape takes as long as a few images.
        """
        chosen, _ = tiles.layout(size, self._tiles, self._margin)
        other = copy.copy(self)
        other._tiles = (tiles.fitting(size, LARGEST_TILE, self._margin, self._cell), chosen)
        return other

    @property
    def model(self) -> EGMT:
        """The model, for other uses than pairs of images."""
        return nnx.merge(self._graphdef, self._state)

    def resolve(self, guidance: Guidance) -> Guidance:
        """Looks up the features of named entities; other guidance is returned as it is.

        Names outside the model's table are embedded by its encoder (extra [annotate]).

        Returns:
          Canonical names without duplicates, features float32 [1, 8, D] and weights [1, 8], padded.

        Raises:
          UserError: more than 8 names, or one that cannot be embedded (lists the nearest known).
        """
        if guidance.names is None or guidance.features is not None:
            return guidance
        names = _canonical(guidance.names)
        features = np.zeros((1, MOST_ENTITIES, self._table.shape[1]), np.float32)
        for row, name in enumerate(names):
            if name in self.names:
                features[0, row] = self._table[self.names.index(name)]
                continue
            (feature,) = embed([name], self._encoder)
            if feature.shape != features[0, row].shape:
                raise UserError(
                    f"this model does not know {name}: it was trained without, and with other text "
                    f"features than {self._encoder}"
                )
            features[0, row] = feature
        weight = (np.arange(MOST_ENTITIES) < len(names)).astype(np.float32)[None]
        return Guidance(names, weight, features)

    def __call__(
        self,
        visible: np.ndarray,
        infrared: np.ndarray,
        guidance: Guidance = PREDICTED,
        *,
        infrared_range: InfraredRange | tuple[float, float] | None = None,
        black_hot: bool = False,
    ) -> Fused:
        """Fuses one pair.

        Args:
          visible: uint8, uint16 or float in [0, 1]; grey [H, W] or [H, W, 1], RGB [H, W, 3] or RGBA
            [H, W, 4]; H and W at least 16.
          infrared: the same forms and size; the luma of colour images is used.
          guidance: see `Guidance`.
          infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
          black_hot: warm is dark in the infrared image.

        Raises:
          UserError: arrays of another form, size or range, or an unknown entity.
        """
        guidance = self.resolve(guidance)
        luma = to_luma(visible, "visible")
        infrared = to_luma(infrared, "infrared", deep=True)
        infrared = infrared_to_unit(infrared, infrared_range, black_hot)
        if luma.shape != infrared.shape:
            raise UserError(
                f"visible {luma.shape} and infrared {infrared.shape} differ in size (rows, "
                "columns); resample one of them first"
            )
        context = self.guide(self.visual(luma, infrared), guidance)
        return self.result(visible, self.render(luma, infrared, context), context, guidance)

    def visual(
        self, luma: Shaped[np.ndarray, "h w"], infrared: Shaped[np.ndarray, "h w"]
    ) -> Visual:
        """Global features of a pair, uint8 or float32 in [0, 1], which the host reduces."""
        (luma, factor), (infrared, _) = tiles.reduce_image(luma), tiles.reduce_image(infrared)
        canvas = tiles.to_canvas(luma, infrared, (CONTEXT_SIDE, CONTEXT_SIDE))
        return self._visual(self._state, *canvas, np.float32(factor))

    def guide(self, visual: Visual, guidance: Guidance) -> Context:
        """The context for a resolved guidance."""
        return self._guide(self._state, visual, dataclasses.replace(guidance, names=None))

    def render(
        self, luma: Shaped[np.ndarray, "h w"], infrared: Shaped[np.ndarray, "h w"], context: Context
    ) -> Float32[np.ndarray, "h w"]:
        """Renders a pair, uint8 or float32 in [0, 1], tile by tile; returns luma in [0, 1]."""
        # The number of entities must not make another program; rendering uses the modulation only.
        unused = np.zeros((*context.modulation.shape[:3], 0), np.float32)
        context = dataclasses.replace(context, attention=unused)
        shape, layout = tiles.layout(luma.shape, self._tiles, self._margin)
        fused = np.empty(luma.shape, np.float32)
        for (top, left), core in layout:
            part = np.s_[top : top + shape[0], left : left + shape[1]]
            canvas = tiles.to_canvas(luma[part], infrared[part], shape)
            origin = np.asarray([top, left], np.int32)
            rendered = np.asarray(self._render(self._state, *canvas, context, origin))
            rows, columns = core
            fused[core] = rendered[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
        return fused

    def result(
        self,
        visible: np.ndarray,
        luma: Float32[np.ndarray, "h w"],
        context: Context,
        guidance: Guidance,
    ) -> Fused:
        """The fusion of one pair from a rendered luma, its context and its resolved guidance."""
        visual = context.visual
        probabilities = np.asarray(jax.nn.sigmoid(visual.entity_logits))[0]
        guides = guidance.names
        if guides is None:
            guides = self.names if guidance.features is None else ()
        rows, columns = np.asarray(visual.cells)[0]
        return Fused(
            luma,
            dict(zip(self.names, probabilities.tolist(), strict=True)),
            np.asarray(visible),
            guides,
            np.asarray(context.attention)[0, :rows, :columns, : len(guides)],
            float(visual.cell_size[0]),
        )


@functools.lru_cache(maxsize=4)
def _programs(graphdef: nnx.GraphDef) -> tuple[Callable, Callable, Callable]:
    """The jitted steps of models of one structure: visual, guide, render."""

    @jax.jit
    def visual(state, visible, infrared, valid, factor):
        found = nnx.merge(graphdef, state).visual(visible, infrared, valid)
        return dataclasses.replace(found, cell_size=found.cell_size * factor)

    @jax.jit
    def guide(state, visual, guidance):
        return nnx.merge(graphdef, state).guide(visual, guidance)

    @jax.jit
    def render(state, visible, infrared, valid, context, origin):
        model = nnx.merge(graphdef, state)
        luma = model.render(visible, infrared, context, valid, (origin[0], origin[1]))
        return luma[0, ..., 0]

    return visual, guide, render


def _canonical(entities: Sequence[str]) -> tuple[str, ...]:
    """Entities without duplicates, by their canonical names where the vocabulary has them."""
    if isinstance(entities, str):
        raise UserError(f"entities={entities!r}: give a list of names")
    vocabulary = load_vocabulary()
    names = tuple(
        dict.fromkeys(
            vocabulary.canonical(name) if name in vocabulary else name.strip().lower()
            for name in entities
        )
    )
    if len(names) > MOST_ENTITIES:
        raise UserError(f"{len(names)} entities given; at most {MOST_ENTITIES} guide a fusion")
    return names


def fuse(
    visible: np.ndarray,
    infrared: np.ndarray,
    entities: Sequence[str] | None = None,
    *,
    workdir: str | os.PathLike | None = None,
    infrared_range: InfraredRange | tuple[float, float] | None = None,
    black_hot: bool = False,
) -> np.ndarray:
    """Fuses one pair into an image; see `Fuser.__call__`, and `Fused.image` for the result.

    Args:
      visible: uint8, uint16 or float in [0, 1]; [H, W], [H, W, 1], RGB or RGBA.
      infrared: the same forms and size.
      entities: see `by_names`.
      workdir: see `load_fuser`.
      infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
      black_hot: warm is dark in the infrared image.
    """
    fuser, guidance = load_fuser(workdir), by_names(entities)
    options = dict(infrared_range=infrared_range, black_hot=black_hot)
    return fuser(visible, infrared, guidance, **options).image


def by_names(entities: Sequence[str] | None) -> Guidance:
    """Guidance by names; None: the classifier's own choice; empty: none."""
    return PREDICTED if entities is None else Guidance(_canonical(entities))


def load_pretrained(folder: str | os.PathLike = packed.FOLDER) -> Fuser:
    """A `Fuser` with the released weights, or others in the same form; see `load_packed`."""
    return Fuser(*packed.load_packed(folder))


def load_fuser(workdir: str | os.PathLike | None = None) -> Fuser:
    """The `Fuser` of a workdir's newest checkpoint or of the released weights; keeps the last."""
    checkpoints = pathlib.Path(workdir or "", "checkpoints").absolute()
    changed = checkpoints.stat().st_mtime_ns if workdir and checkpoints.is_dir() else 0
    return _load(workdir, changed)


@functools.lru_cache(maxsize=1)
def _load(workdir: str | os.PathLike | None, changed: int) -> Fuser:
    """`changed` makes a workdir load again after more training."""
    return load_pretrained() if workdir is None else Fuser.load(workdir)
