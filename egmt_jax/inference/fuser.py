"""Fuses single pairs of any size with one model, compiling once per bucket of sizes."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.models import EGMT

BUCKET = 64
"""Sides are padded to multiples of this many pixels, so that few shapes are compiled."""

MOST_ENTITIES = 8


@dataclasses.dataclass(frozen=True)
class Fused:
    """The fusion of one pair.

    Attributes:
      fused: float32 [H, W] in [0, 1], luma.
      probabilities: entity -> probability that it is in the pair, in the vocabulary's order.
    """

    fused: np.ndarray
    probabilities: dict[str, float]


class Fuser:
    """A model ready to fuse.

    Args:
      model: trained or not.
      names: of the entities of its table, in order.
    """

    def __init__(self, model: EGMT, names: Sequence[str]):
        self.names = tuple(names)
        graphdef, self._state = nnx.split(model)

        @jax.jit
        def fuse(state, visible, infrared, entity_ids, valid):
            model = nnx.merge(graphdef, state)
            entities = None if entity_ids is None else model.entity_tokens(entity_ids)
            fusion = model(visible, infrared, entities, valid)
            return fusion.fused[0, :, :, 0], jax.nn.sigmoid(fusion.entity_logits[0])

        self._fuse = fuse

    def ids(self, entities: Sequence[str]) -> np.ndarray:
        """Ids of entities by name, synonym or plural: int32 [8], padded with -1.

        Raises:
          UserError: more than 8, or one that the model does not know.
        """
        if len(entities) > MOST_ENTITIES:
            raise UserError(
                f"{len(entities)} entities given; at most {MOST_ENTITIES} guide a fusion"
            )
        vocabulary = load_vocabulary()
        names = [vocabulary.canonical(entity) for entity in entities]
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise UserError(
                f"this model does not know {', '.join(unknown)}; it was trained without"
            )
        ids = np.full(MOST_ENTITIES, -1, np.int32)
        ids[: len(names)] = [self.names.index(name) for name in names]
        return ids

    def __call__(
        self, visible: np.ndarray, infrared: np.ndarray, entities: Sequence[str] | None = None
    ) -> Fused:
        """Fuses one pair.

        Args:
          visible: luma, uint8 [H, W] or [H, W, 1].
          infrared: likewise, the same size.
          entities: names of those that guide; None: the classifier's own; empty: no guidance.

        Raises:
          UserError: sizes that differ or are below 16, or an unknown entity.
        """
        visible, infrared = (np.reshape(x, x.shape[:2]) for x in (visible, infrared))
        if visible.shape != infrared.shape:
            raise UserError(
                f"visible {visible.shape} and infrared {infrared.shape} differ in size (rows, "
                "columns); resample one of them first"
            )
        height, width = visible.shape
        if min(height, width) < 16:
            raise UserError(f"{height} x {width} pixels: at least 16 each way are needed")
        size = (1, -(-height // BUCKET) * BUCKET, -(-width // BUCKET) * BUCKET)
        batch, valid = np.zeros((2, *size, 1), np.float32), np.zeros(size, bool)
        batch[0, 0, :height, :width, 0] = visible.astype(np.float32) / 255.0
        batch[1, 0, :height, :width, 0] = infrared.astype(np.float32) / 255.0
        valid[:, :height, :width] = True
        ids = None if entities is None else jnp.asarray(self.ids(entities))[None]
        fused, probabilities = self._fuse(self._state, batch[0], batch[1], ids, valid)
        return Fused(
            np.asarray(fused)[:height, :width],
            dict(zip(self.names, np.asarray(probabilities).tolist(), strict=True)),
        )
