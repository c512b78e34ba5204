"""Fuses pairs of any size and depth with a model, by at most four compiled programs."""

import copy
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Float32, Shaped

from egmt_jax.entities import embed, load_vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.inference.tiles import Image
from egmt_jax.io.images import with_chroma
from egmt_jax.io.thermal import InfraredRange, check_float, infrared_to_unit
from egmt_jax.io.valid import continued, no_data_border
from egmt_jax.models import EGMT, PREDICTED, Context, Guidance, Visual
from egmt_jax.models.egmt import SMALLEST_SIDE
from egmt_jax.weights import packed

TILES = ((352, 544), (480, 640))  # shapes to render in, margins included
LARGEST_TILE = 1024  # longest side of a tile for images of one size, without margins
SMALLEST_WITH_BORDER = 64  # pixels a side; in smaller images a border may be content


@dataclasses.dataclass(frozen=True)
class Fused:
    """The fusion of one pair."""

    luma: Float32[np.ndarray, "h w"]  # in [0, 1]
    probabilities: dict[str, float]  # that an entity is in the pair, in the vocabulary's order
    visible: np.ndarray  # as given
    guides: tuple[str, ...]  # entities that guided; empty without, and for features without names
    grid: Float[np.ndarray, "y x n"]  # attention of each cell to each guide
    cell_size: float  # pixels per cell

    @property
    def image(self) -> np.ndarray:
        """The fused image in the dtype of the visible image: uint8, uint16, or float in [0, 1].

        RGB [H, W, 3] with the chroma of a visible image in colour (alpha is dropped), otherwise the
        shape of the visible image, [H, W] or [H, W, 1].
        """
        dtype, shape, luma = self.visible.dtype, self.visible.shape, self.luma
        if dtype.kind == "u":
            luma = np.rint(np.float32(np.iinfo(dtype).max) * luma)
        luma = luma.astype(dtype)
        in_colour = len(shape) == 3 and shape[2] > 1
        return with_chroma(luma, self.visible) if in_colour else luma.reshape(shape)

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
      names: the entities of the model's table, in order.
      encoder: embeds names outside the table; see `egmt_jax.entities.embed`.
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
        self._margin = margin = -(-model.receptive_field // cell) * cell
        if any(side % cell or side <= 2 * margin for shape in tile for side in shape):
            raise UserError(f"tile={tuple(tile)}: sides are multiples of {cell} above {2 * margin}")
        self.model, self.names, self._tiles = model, tuple(names), tuple(tile)
        self._encoder, self._table = encoder, np.asarray(model.text_features[...])
        graphdef, self._state = nnx.split(model)
        self._visual, self._guide, self._render = _programs(graphdef)

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
                feature = self._table[self.names.index(name)]
            else:
                (feature,) = embed([name], self._encoder)
            if len(feature) != features.shape[2]:
                reason = f"trained without, and with other text features than {self._encoder}"
                raise UserError(f"this model does not know {name}: it was {reason}")
            features[0, row] = feature
        weight = (np.arange(MOST_ENTITIES) < len(names)).astype(np.float32)[None]
        return Guidance(names, jnp.asarray(weight), jnp.asarray(features))

    def __call__(
        self,
        visible: np.ndarray,
        infrared: np.ndarray,
        guidance: Guidance = PREDICTED,
        *,
        infrared_range: InfraredRange | tuple[float, float] | None = None,
        black_hot: bool = False,
    ) -> Fused:
        """Fuses one pair; continues the infrared image smoothly into a no-data border.

        Args:
          visible: as for `to_luma`, H and W at least 16.
          infrared: the same forms and size; the luma of colour images is used.
          guidance: see `Guidance`.
          infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
          black_hot: warm is dark in the infrared image.

        Raises:
          UserError: arrays of another form, size or range, or an unknown entity.
        """
        guidance = self.resolve(guidance)
        luma, values = to_luma(visible, "visible"), to_luma(infrared, "infrared", deep=True)
        if luma.shape != values.shape:
            found = f"visible {luma.shape} and infrared {values.shape}"
            raise UserError(f"{found} differ in size (rows, columns); resample one of them first")
        unit = infrared_to_unit(values, infrared_range, black_hot)
        unit, has_infrared = fill_border(values, unit)
        visual = self.see(visible, luma, unit, has_infrared)
        return self.fuse_luma(visible, luma, unit, visual, guidance)

    def see(
        self,
        visible: np.ndarray,
        luma: Image,
        infrared: Image,
        has_infrared: Bool[np.ndarray, "h w"] | None,
    ) -> Visual:
        """The global features of a pair; for the last two see `fill_border`."""
        view, valid, factor = tiles.view_canvas(visible, luma, infrared, has_infrared)
        visual = self._visual(self._state, view, valid)
        return dataclasses.replace(visual, cell_size=visual.cell_size * np.float32(factor))

    def fuse_luma(
        self, visible: np.ndarray, luma: Image, infrared: Image, visual: Visual, guidance: Guidance
    ) -> Fused:
        """Fuses with features of `see` and resolved guidance; `visible` gives the colour."""
        context = self._guide(self._state, visual, dataclasses.replace(guidance, names=None))
        own = self.names if guidance.features is None else ()
        guides = own if guidance.names is None else guidance.names
        probabilities = np.asarray(jax.nn.sigmoid(visual.entity_logits))[0]
        rows, columns = np.asarray(visual.cells)[0]
        return Fused(
            self._render_tiles(luma, infrared, context),
            dict(zip(self.names, probabilities.tolist(), strict=True)),
            np.asarray(visible),
            guides,
            np.asarray(context.attention)[0, :rows, :columns, : len(guides)],
            float(visual.cell_size[0]),
        )

    def _render_tiles(self, luma: Image, infrared: Image, context: Context) -> np.ndarray:
        # The number of entities must not make another program; rendering uses the modulation only.
        unused = jnp.zeros((*context.modulation.shape[:3], 0), jnp.float32)
        context = dataclasses.replace(context, attention=unused)
        shape, layout = tiles.layout(luma.shape, self._tiles, self._margin)
        fused = np.empty(luma.shape, np.float32)
        for (top, left), core in layout:
            part = np.s_[top : top + shape[0], left : left + shape[1]]
            *pair, valid = tiles.to_canvas(luma[part], infrared[part], shape)
            origin = np.int32(top), np.int32(left)
            rendered = np.asarray(self._render(self._state, *pair, context, valid, origin))
            rows, columns = core
            rendered = rendered[0, rows.start - top :, columns.start - left :, 0]
            fused[core] = rendered[: rows.stop - rows.start, : columns.stop - columns.start]
        return fused


def to_luma(image: np.ndarray, name: str, deep: bool = False) -> Shaped[np.ndarray, "h w"]:
    """BT.601 luma of [H, W], or [H, W, C] with C of 1, 3 (RGB) or 4 (RGBA, alpha is ignored).

    Args:
      image: uint8, uint16, or float in [0, 1].
      name: of the image, in errors.
      deep: keep the dtype and range of uint16 and float images; else they become float32 in [0, 1].

    Raises:
      UserError: another dtype or shape, fewer than 16 pixels, or floats out of range.
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise UserError(f"{name} image has dtype {image.dtype}; give uint8, uint16 or float")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        forms = "[H, W], or [H, W, C] with C of 1, 3 or 4"
        raise UserError(f"{name} image has shape {image.shape}; give {forms}")
    if min(image.shape[:2]) < SMALLEST_SIDE:
        found = f"{image.shape[0]} x {image.shape[1]} pixels"
        raise UserError(f"{name} image has {found}: at least {SMALLEST_SIDE} each way are needed")
    image = image[..., :3] if image.ndim == 3 else image
    if not deep and image.dtype.kind == "f":
        check_float(image, f"{name} image", "divide them")
    if image.ndim == 3 and image.shape[2] > 1:
        working = np.float32 if image.dtype.kind == "f" else image.dtype
        image = cv2.cvtColor(np.ascontiguousarray(image, working), cv2.COLOR_RGB2GRAY)
    image = image.reshape(image.shape[:2])
    if deep or image.dtype == np.uint8:
        return image
    scale = np.float32(65535.0 if image.dtype == np.uint16 else 1.0)
    return np.clip(image.astype(np.float32) / scale, 0.0, 1.0)  # rounding of the weighted sum


def fill_border(values: np.ndarray, unit: Image) -> tuple[Image, Bool[np.ndarray, "h w"] | None]:
    """Continues infrared `unit`, of `values` in their own depth, into its no-data borders.

    Returns the image and where it holds data; None: everywhere.
    """
    if min(values.shape) < SMALLEST_WITH_BORDER or (valid := no_data_border(values)).all():
        return unit, None
    return continued(tiles.to_unit_range(unit), valid), valid


@functools.lru_cache(maxsize=4)
def _programs(graphdef: nnx.GraphDef) -> tuple[Callable, Callable, Callable]:
    """The jitted methods of models of one structure: visual, guide, render."""

    def jitted(method: str) -> Callable:
        return jax.jit(lambda state, *inputs: getattr(nnx.merge(graphdef, state), method)(*inputs))

    return jitted("visual"), jitted("guide"), jitted("render")


def _canonical(entities: Sequence[str]) -> tuple[str, ...]:
    """Entities without duplicates, by their canonical names where the vocabulary has them."""
    if isinstance(entities, str):
        raise UserError(f"entities={entities!r}: give a list of names")
    known = load_vocabulary()
    found = (known.canonical(x) if x in known else x.strip().lower() for x in entities)
    names = tuple(dict.fromkeys(found))
    if len(names) > MOST_ENTITIES:
        raise UserError(f"{len(names)} entities given; at most {MOST_ENTITIES} guide a fusion")
    return names


def fuse(
    visible: np.ndarray,
    infrared: np.ndarray,
    entities: Sequence[str] | None = None,
    *,
    model: str = "base",
    workdir: str | os.PathLike | None = None,
    **options: Any,
) -> np.ndarray:
    """Fuses one pair; see `load_fuser`, `by_names`, `Fuser.__call__` (options), `Fused.image`."""
    return load_fuser(workdir, model)(visible, infrared, by_names(entities), **options).image


def by_names(entities: Sequence[str] | None) -> Guidance:
    """Guidance by names; None: the classifier's own choice; empty: none."""
    return PREDICTED if entities is None else Guidance(_canonical(entities))


def load_pretrained(model: str | os.PathLike = "base") -> Fuser:
    """A `Fuser` with released weights, "base" or "tiny", or with those in a folder."""
    return Fuser(*packed.load_packed(model))


def load_fuser(workdir: str | os.PathLike | None = None, model: str = "base") -> Fuser:
    """The `Fuser` of a workdir's newest checkpoint or of released weights; keeps the last."""
    checkpoints = pathlib.Path(workdir or "", "checkpoints").absolute()
    changed = checkpoints.stat().st_mtime_ns if workdir and checkpoints.is_dir() else 0
    # After more training it is loaded again.
    return _load(os.fspath(workdir) if workdir else None, model, changed)


@functools.lru_cache(maxsize=1)
def _load(workdir: str | None, model: str, changed: int) -> Fuser:
    return load_pretrained(model) if workdir is None else Fuser.load(workdir)
