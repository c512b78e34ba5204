"""Fuses pairs of any size and depth with one model, compiling once per bucket of sizes."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence

import cv2
import jax
import numpy as np
from flax import nnx

from egmt_jax.entities import embed, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.inference.arrays import BUCKET, check_sizes, to_canvas, to_luma, working_dtype
from egmt_jax.io.images import to_uint8, with_chroma
from egmt_jax.io.thermal import InfraredRange, infrared_to_unit
from egmt_jax.models import EGMT, Entities
from egmt_jax.models.egmt import CONTEXT_SIDE, Context, Visual
from egmt_jax.weights import packed

MOST_ENTITIES = 8

TILE = 1024
"""Longest side of what is rendered at once, unless told otherwise; without margins."""


@dataclasses.dataclass(frozen=True)
class Fused:
    """The fusion of one pair.

    Attributes:
      fused: float32 [H, W] in [0, 1], luma.
      probabilities: entity -> probability that it is in the pair, in the vocabulary's order.
      visible: as it was given.
      guides: entities whose attention can be asked for: those given, or the model's whole
        vocabulary where it guided itself; empty without guidance.
      grid: float32 [h, w, len(guides)], attention per cell.
      step: pixels per cell.
    """

    fused: np.ndarray
    probabilities: dict[str, float]
    visible: np.ndarray
    guides: tuple[str, ...]
    grid: np.ndarray
    step: float

    @property
    def image(self) -> np.ndarray:
        """The picture in the dtype of the visible image: uint8, uint16, or float in [0, 1].

        RGB [H, W, 3] with the visible image's chroma where that has colour (its alpha is dropped),
        otherwise grey [H, W], or [H, W, 1] where it was given so.
        """
        dtype, shape = self.visible.dtype, self.visible.shape
        if dtype == np.uint8:
            fused = to_uint8(self.fused)
        elif dtype == np.uint16:
            fused = np.rint(np.float32(65535.0) * self.fused).astype(np.uint16)
        else:
            fused = self.fused.astype(dtype)
        if len(shape) == 2 or shape[2] == 1:
            return fused.reshape(shape)
        if dtype == np.uint8:
            return with_chroma(fused, np.ascontiguousarray(self.visible[..., :3]))
        visible = np.ascontiguousarray(self.visible[..., :3], working_dtype(dtype))
        ycrcb = cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb)
        ycrcb[..., 0] = fused
        image = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
        return image if dtype == np.uint16 else np.clip(image, 0.0, 1.0).astype(dtype)

    @property
    def predicted(self) -> tuple[str, ...]:
        """Entities that the classifier finds more likely in the pair than not, likeliest first."""
        likely = [name for name, value in self.probabilities.items() if value > 0.5]
        return tuple(sorted(likely, key=lambda name: -self.probabilities[name]))

    def attention(self, entity: str) -> np.ndarray:
        """How much each place looked at an entity: float32 [H, W] in [0, 1].

        Over all guides it sums to 1 at most; the rest looked at nothing.

        Raises:
          UserError: the entity did not guide this fusion.
        """
        (name,) = _listed([entity])
        if name not in self.guides:
            raise UserError(f"{name} did not guide this fusion; give it among the entities")
        return tiles.enlarge(self.grid[..., self.guides.index(name)], self.step, self.fused.shape)


class Fuser:
    """A model ready to fuse: weights and compiled shapes are kept between calls.

    Args:
      model: trained or not.
      names: of the entities of its table, in order.
      encoder: the table that the model was trained with, as for `egmt_jax.entities.embed`, which
        makes features of names outside it.
      tile: pixels; a side longer than this is rendered in tiles, which changes the result by
        float32 rounding only. Halving it quarters the memory that rendering takes.
    """

    def __init__(
        self, model: EGMT, names: Sequence[str], encoder: str = "minilm", tile: int = TILE
    ):
        if tile < BUCKET:
            raise UserError(f"tile={tile}: at least {BUCKET} pixels")
        self.names, self._tile = tuple(names), tile
        self._margin, self._align = model.receptive_field, 2 * model.patch
        self._encoder, self._table = encoder, np.asarray(model.text_features[...])
        self._graphdef, self._state = nnx.split(model)
        self._whole, self._look, self._guide, self._render = _functions(self._graphdef)

    @classmethod
    def load(cls, workdir: str | os.PathLike, tile: int = TILE) -> "Fuser":
        """The model of a training run's newest checkpoint.

        Raises:
          UserError: there is none in the workdir, or it is not one of this kind of model.
        """
        from egmt_jax.weights.checkpoint import load_model  # Orbax is slow to import

        model, names, config = load_model(workdir)
        return cls(model, names, config.text_features, tile)

    @property
    def model(self) -> EGMT:
        """The model, for what is not a pair at a time."""
        return nnx.merge(self._graphdef, self._state)

    def ids(self, entities: Sequence[str]) -> np.ndarray:
        """Ids of entities by name, synonym or plural: int32 [8], padded with -1.

        Raises:
          UserError: more than 8, or one that is not in the model's table.
        """
        names = _listed(entities)
        unknown = [name for name in names if name not in self.names]
        if unknown:
            nearest = ", ".join(load_vocabulary().nearest(unknown[0]))
            raise UserError(
                f"entity {unknown[0]!r} is not in the vocabulary of this model; nearest known: "
                f"{nearest}"
            )
        ids = np.full(MOST_ENTITIES, -1, np.int32)
        ids[: len(names)] = [self.names.index(name) for name in names]
        return ids

    def guides(self, entities: Sequence[str] | Entities) -> tuple[tuple[str, ...], Entities]:
        """Names and text features of the entities that are to guide, in the model's table or not.

        Names outside the table are embedded by its encoder, if the extra [annotate] is installed.
        Features, [1, N, D], come back as they are, without names.

        Returns:
          The names without doubles, and features float32 [1, 8, D] with weights, padded.

        Raises:
          UserError: more than 8, or a name that cannot be embedded; lists the nearest known ones.
        """
        if isinstance(entities, Entities):
            return (), entities
        names = _listed(entities)
        features = np.zeros((MOST_ENTITIES, self._table.shape[1]), np.float32)
        for row, name in enumerate(names):
            if name in self.names:
                features[row] = self._table[self.names.index(name)]
                continue
            (feature,) = embed([name], self._encoder)
            if feature.shape != features[row].shape:
                raise UserError(
                    f"this model does not know {name}: it was trained without, and with other text "
                    f"features than {self._encoder}"
                )
            features[row] = feature
        weight = (np.arange(MOST_ENTITIES) < len(names)).astype(np.float32)
        return names, Entities(features[None], weight[None])

    def __call__(
        self,
        visible: np.ndarray,
        infrared: np.ndarray,
        entities: Sequence[str] | Entities | None = None,
        *,
        infrared_range: InfraredRange | None = None,
        black_hot: bool = False,
    ) -> Fused:
        """Fuses one pair.

        Args:
          visible: uint8, uint16 (0 to 65535) or float (in [0, 1]); grey [H, W] or [H, W, 1], RGB
            [H, W, 3] or RGBA [H, W, 4]; 16 pixels or more each way.
          infrared: likewise, the same size; of colour only the luma counts.
          entities: names of those that guide, or text features, see `guides`; None: the
            classifier's own; empty: no guidance.
          infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
          black_hot: warm is dark in the infrared image.

        Raises:
          UserError: sizes that differ or are below 16, values that are not finite or out of range,
            another dtype or shape, or an unknown entity.
        """
        return self.batch(
            [visible],
            [infrared],
            entities,
            infrared_range=infrared_range,
            black_hot=black_hot,
        )[0]

    def batch(
        self,
        visible: Sequence[np.ndarray],
        infrared: Sequence[np.ndarray],
        entities: Sequence[str] | Entities | None = None,
        *,
        infrared_range: InfraredRange | None = None,
        black_hot: bool = False,
    ) -> list[Fused]:
        """Fuses pairs of one size together; every pair comes out as it would alone.

        Args:
          visible: images as a call takes them, or one array of them along the first axis.
          infrared: as many.
          entities: of every pair, as in a call.
          infrared_range: as in a call.
          black_hot: as in a call.

        Raises:
          UserError: as a call, or sizes that differ within the batch.
        """
        if len(visible) != len(infrared) or len(visible) == 0:
            raise UserError(f"{len(visible)} visible and {len(infrared)} infrared images given")
        names, given = (None, None) if entities is None else self.guides(entities)
        given = jax.tree.map(lambda x: np.repeat(x, len(visible), axis=0), given)
        lumas = [to_luma(image, "visible") for image in visible]
        heats = [
            infrared_to_unit(to_luma(image, "infrared", False), infrared_range, black_hot)
            for image in infrared
        ]
        for luma, heat in zip(lumas, heats, strict=True):
            check_sizes(luma.shape, heat.shape, lumas[0].shape)
        height, width = lumas[0].shape
        if max(height, width) <= self._tile:
            context, fused = self._whole(self._state, *to_canvas(lumas, heats), given)
            fused = np.asarray(fused)[:, :height, :width]
        else:  # the whole pair may not fit the device
            context = self.guide(self.visual(lumas, heats), given)
            fused = self.render(lumas, heats, context)
        return self.results(visible, fused, context, names)

    def results(
        self,
        visible: Sequence[np.ndarray],
        fused: np.ndarray,
        context: Context,
        guides: Sequence[str] | None,
    ) -> list[Fused]:
        """What is told of each pair.

        Args:
          visible: images as they were given.
          fused: float32 [B, H, W].
          context: that led to it.
          guides: names of the entities that were given, or None: the model guided itself.
        """
        probabilities = np.asarray(jax.nn.sigmoid(context.visual.entity_logits))
        guides = self.names if guides is None else tuple(guides)
        cells = np.asarray(context.visual.cells)
        steps = np.asarray(context.visual.step)
        grids = np.asarray(context.attention)
        return [
            Fused(
                fused[k],
                dict(zip(self.names, probabilities[k].tolist(), strict=True)),
                np.asarray(visible[k]),
                guides,
                grids[k, : cells[k, 0], : cells[k, 1], : len(guides)],
                float(steps[k]),
            )
            for k in range(len(visible))
        ]

    def visual(self, lumas: Sequence[np.ndarray], heats: Sequence[np.ndarray]) -> Visual:
        """What whole pairs of one size show; the host reduces them.

        Args:
          lumas: uint8, or float32 in [0, 1], [H, W].
          heats: infrared likewise.
        """
        how = tiles.reduction(lumas[0].shape, CONTEXT_SIDE)
        reduced = [
            [tiles.reduce_image(image, how) for image in images] for images in (lumas, heats)
        ]
        return self._look(self._state, *to_canvas(*reduced), np.float32(how.factor))

    def guide(self, visual: Visual, entities: Entities | None) -> Context:
        """Adds the entities to what pairs show, see `EGMT.guide`."""
        return self._guide(self._state, visual, entities)

    def render(
        self, lumas: Sequence[np.ndarray], heats: Sequence[np.ndarray], context: Context
    ) -> np.ndarray:
        """Renders pairs of one size with a context that is known, tile by tile.

        Args:
          lumas: uint8, or float32 in [0, 1], [H, W].
          heats: infrared likewise.
          context: of all of them.

        Returns:
          float32 [B, H, W] in [0, 1].
        """
        extent, layout = tiles.layout(lumas[0].shape, self._tile, self._margin, self._align)
        fused = np.empty((len(lumas), *lumas[0].shape), np.float32)
        for (top, left), (rows, columns) in layout:
            part = slice(top, top + extent[0]), slice(left, left + extent[1])
            canvas = to_canvas(
                [image[part] for image in lumas], [image[part] for image in heats], extent
            )
            origin = np.asarray([top, left], np.int32)
            rendered = np.asarray(self._render(self._state, *canvas, context, origin))
            fused[:, rows, columns] = rendered[
                :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
        return fused


@functools.lru_cache(maxsize=4)
def _functions(graphdef: nnx.GraphDef) -> tuple[Callable, ...]:
    """What a `Fuser` calls; models of one structure share what is compiled."""

    @jax.jit
    def whole(state, visible, infrared, valid, entities):
        model = nnx.merge(graphdef, state)
        found = model.context(visible, infrared, entities, valid)
        return found, model.render(visible, infrared, found, valid)[..., 0]

    @jax.jit
    def look(state, visible, infrared, valid, factor):
        visual = nnx.merge(graphdef, state).visual(visible, infrared, valid)
        return dataclasses.replace(visual, step=visual.step * factor)

    @jax.jit
    def guide(state, visual, entities):
        return nnx.merge(graphdef, state).guide(visual, entities)

    @jax.jit
    def render(state, visible, infrared, valid, context, origin):
        model = nnx.merge(graphdef, state)
        return model.render(visible, infrared, context, valid, (origin[0], origin[1]))[..., 0]

    return whole, look, guide, render


def _listed(entities: Sequence[str]) -> tuple[str, ...]:
    """Entities without doubles, by their canonical names where the vocabulary has them."""
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
    infrared_range: InfraredRange | None = None,
    black_hot: bool = False,
) -> np.ndarray:
    """Fuses one pair into a picture. For many pairs, or more than the picture, take a `Fuser`.

    Args:
      visible: uint8, uint16 or float in [0, 1]; grey [H, W] or [H, W, 1], RGB [H, W, 3] or RGBA
        [H, W, 4].
      infrared: likewise, the same size.
      entities: names of those that guide; None: the classifier's own; empty: no guidance.
      workdir: of a training run, whose newest checkpoint is used; None: the released weights.
        Either is kept for the next call.
      infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
      black_hot: warm is dark in the infrared image.

    Returns:
      The dtype of `visible`: [H, W, 3] RGB where that has colour, otherwise its shape.

    Raises:
      UserError: see `Fuser`.
    """
    fused = load_fuser(workdir)(
        visible, infrared, entities, infrared_range=infrared_range, black_hot=black_hot
    )
    return fused.image


def load_pretrained(folder: str | os.PathLike = packed.FOLDER, tile: int = TILE) -> Fuser:
    """A `Fuser` with the released weights, or with others that `weights.save_packed` wrote.

    Needs no network, and neither Orbax nor the code for training.

    Args:
      folder: holds `weights.npz` and `settings.json`.
      tile: see `Fuser`.

    Raises:
      UserError: a file is missing, or the weights are not those that the settings tell of.
    """
    return Fuser(*packed.load_packed(folder), tile)


def load_fuser(workdir: str | os.PathLike | None = None) -> Fuser:
    """The `Fuser` of a workdir's newest checkpoint, or of the released weights; the last is kept.

    Raises:
      UserError: no checkpoint in the workdir.
    """
    if workdir is None:
        return _load(None, 0)
    checkpoints = pathlib.Path(workdir).absolute() / "checkpoints"
    return _load(workdir, checkpoints.stat().st_mtime_ns if checkpoints.is_dir() else 0)


@functools.lru_cache(maxsize=1)
def _load(workdir: str | os.PathLike | None, changed: int) -> Fuser:
    """`changed` tells a workdir that has been trained further from what it was."""
    if workdir is None:
        return load_pretrained()
    return Fuser.load(workdir)
