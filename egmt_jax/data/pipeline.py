"""From records of a data set to training batches (Grain), and to pairs for evaluation."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import cv2
import grain.python as grain
import jax
import numpy as np

from egmt_jax.entities import Vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair
from egmt_jax.io.valid import no_data_border

SLIVER = 0.002
"""Share of a crop that the mask of an entity must cover for the entity to count as present."""

LABELLED_SHARE = 0.6
"""Share of a pair that a crop must show to have its labels, unless it is the largest square."""

WORKER_GRACE = 20.0
"""Seconds that worker processes continue after SIGTERM: a signal to the process group must not stop
the batches of the main process before it has saved."""


@runtime_checkable
class Records(Protocol):
    """Records with random access: of a TFDS data source, or of a folder."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class DataSet:
    """An opened data set.

    Attributes:
      name: with version and, where known, a fingerprint of the source files.
      records: `records(split, images=True)` returns the records of a split or of a sum such as
        "train+validation", none if it does not exist; without `images` also without masks.
    """

    name: str
    path: str | os.PathLike
    counts: dict[str, int]
    records: Callable[..., Records]


def to_pair(record: dict[str, Any]) -> Pair:
    """A record of a data source as a `Pair`.

    Raises:
      UserError: the sizes of the images differ.
    """
    name = record["id"].decode()
    visible, infrared = record["visible"], record["infrared"]
    if visible.shape[:2] != infrared.shape[:2]:
        raise UserError(
            f"{name}: visible {visible.shape[:2]} and infrared {infrared.shape[:2]} differ in "
            "size; prepare the data set again from registered pairs"
        )
    masks = {
        entity.decode(): mask[..., 0]
        for entity, mask in zip(record["mask_entities"], record["masks"], strict=True)
    }
    return Pair(
        id=name,
        visible=visible,
        infrared=infrared,
        entities=decode(record["entities"])[:MOST_ENTITIES],
        present=decode(record["present"]) if record["has_present"] else None,
        masks=masks or None,
        masks_exact=record["mask_kind"] == b"exact",
        has_infrared=None if (has_infrared := no_data_border(infrared)).all() else has_infrared,
    )


def decode(names: Sequence[bytes]) -> tuple[str, ...]:
    """Names of a record as text."""
    return tuple(name.decode() for name in names)


def multi_hot(names: Sequence[str], vocabulary: Vocabulary) -> np.ndarray:
    """float32 [K], 1 for each of the names; raises UserError for one outside the vocabulary."""
    labels = np.zeros(len(vocabulary), np.float32)
    labels[[vocabulary.id_of(name) for name in names]] = 1.0
    return labels


@dataclasses.dataclass(frozen=True)
class CropAndAugment(grain.RandomMapTransform):
    """A record -> one training example: a square crop, or the largest square of the pair, reduced.

    Attributes:
      size: side of the example in pixels.
      full_frame_probability: probability of the largest square of the pair instead of a crop.
      jitter: largest change of the infrared gain and of both gammas, as a natural logarithm.
    """

    size: int
    full_frame_probability: float
    jitter: float
    vocabulary: Vocabulary

    def random_map(self, element: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Returns one example of a batch, see `training_batches`."""
        pair = to_pair(element)
        height, width = pair.visible.shape[:2]
        short = min(height, width)
        full = rng.random() < self.full_frame_probability
        side = short if full else min(self.size, short)
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        window = np.s_[top : top + side, left : left + side]
        # Of a wide pair the largest square shows less than the share, but nothing shows more.
        full |= side * side >= LABELLED_SHARE * height * width

        def crop(image):
            image = image[window]
            if side != self.size:
                method = cv2.INTER_AREA if side > self.size else cv2.INTER_LINEAR
                image = cv2.resize(image, (self.size, self.size), interpolation=method)
            return image.astype(np.float32) / np.float32(255.0)

        visible, infrared = crop(pair.luma), crop(pair.infrared[..., 0])
        masks = {name: crop(mask) for name, mask in (pair.masks or {}).items() if mask.any()}
        has_infrared = np.ones((self.size, self.size), bool)
        if pair.has_infrared is not None:
            has_infrared = crop(np.uint8(255) * pair.has_infrared.astype(np.uint8)) > 0.999
        shares = {name: float(mask.mean()) for name, mask in masks.items()}
        # A sliver counts neither as in the crop nor as absent.
        seen = {name: share > 0.0 for name, share in shares.items() if not 0.0 < share < SLIVER}
        labels, known = self._labels(pair, seen, full)
        guide = labels * multi_hot(pair.entities, self.vocabulary) * known
        ids = np.full(MOST_ENTITIES, -1, np.int32)
        planes = np.zeros((self.size, self.size, MOST_ENTITIES), np.float32)
        listed = [name for name in pair.entities if name in masks]
        for slot, name in enumerate(list(dict.fromkeys([*listed, *masks]))[:MOST_ENTITIES]):
            if name in seen:
                ids[slot], planes[..., slot] = self.vocabulary.id_of(name), masks[name]
        if pair.masks is None:
            entities = map(self.vocabulary.id_of, pair.entities)
            guiding = [entity for entity in entities if guide[entity]]
            ids[: len(guiding)] = guiding
        flip = np.s_[:, :: -1 if rng.random() < 0.5 else 1]
        changes = np.exp(rng.uniform(-1, 1, 3) * self.jitter)
        gain, gamma_visible, gamma_infrared = changes.tolist()  # Python floats keep float32
        infrared = np.clip(infrared**gamma_infrared * gain, 0.0, 1.0)
        return {
            "visible": (visible**gamma_visible)[flip][..., None],
            "infrared": infrared[flip][..., None],
            "has_infrared": has_infrared[flip],
            "entity_ids": ids,
            "guide": guide,
            "labels": labels,
            "labelled": known,
            "masks": planes[flip],
            "masked": np.bool_(pair.masks is not None),
        }

    def _labels(self, pair: Pair, seen: dict[str, bool], full: bool):
        """Labels of a crop, float32 [K], and for which entities they are known, bool [K].

        What is absent from the pair is absent from the crop; what is present is known to be in the
        crop, or not, by its mask, or because the crop shows most of the pair. Where nobody looked
        for everything, the entities of a pair are its labels, as in the paper.
        """
        names = pair.entities if pair.present is None else pair.present
        labels = multi_hot(names, self.vocabulary)
        known = np.full(labels.shape, pair.present is not None or bool(names))
        for name in () if full else names:
            entity = self.vocabulary.id_of(name)
            labels[entity], known[entity] = seen.get(name, False), name in seen
        return labels, known


class Part(NamedTuple):
    """One set of a mixture; `weight` is the relative number of its examples."""

    records: Records
    transform: CropAndAugment
    weight: float = 1.0


def training_batches(
    parts: Sequence[Part],
    batch_size: int,
    seed: int,
    workers: int = 0,
    start: int = 0,
    share: tuple[int, int] | None = None,
) -> grain.IterDataset:
    """Endless shuffled batches, equal for equal seeds with any number of workers and processes.

    Args:
      parts: the sets, interleaved by weight, each in its own order.
      batch_size: examples per batch over all processes.
      seed: seed of order and augmentation.
      workers: processes that prepare batches; 0: threads of this process.
      start: batches to skip, at no cost: those that a resumed run has seen.
      share: index and number of the processes that share each batch; by default JAX's.

    Returns:
      An iterable of dicts:
        `visible`, `infrared`: float32 [B, S, S, 1] in [0, 1], luma and infrared;
        `has_infrared`: bool [B, S, S], False where the infrared image holds no data;
        `masks`: float32 [B, S, S, 8] in [0, 1], masks of the entities in `entity_ids`;
        `masked`: bool [B], whether masks are known;
        `entity_ids`: int32 [B, 8], padded with -1;
        `guide`: float32 [B, K], entities that may guide: those of the pair that are known to be in
          the crop. A small crop without masks has none;
        `labels`: float32 [B, K], what the classifier should predict;
        `labelled`: bool [B, K], whether a label is known. What an annotated pair lacks is known to
          be absent from every crop; of what it shows, a small crop without its mask knows nothing.

    Raises:
      UserError: the batch does not split evenly over the processes.
    """
    process, processes = share or (jax.process_index(), jax.process_count())
    if batch_size % processes:
        raise UserError(f"data.batch_size={batch_size} must be a multiple of {processes} processes")
    examples = [
        grain.MapDataset.source(part.records)
        .seed(seed + index)
        .shuffle()
        .repeat(None)
        .random_map(part.transform)
        for index, part in enumerate(parts)
    ]
    mixture = grain.MapDataset.mix(examples, [part.weight for part in parts])
    length = batch_size // processes
    data = _Runs(mixture, batch_size, process * length, length).batch(length)[start:]
    batches = data.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4))
    if not workers:
        return batches
    options = grain.MultiprocessingOptions(num_workers=workers)
    return batches.mp_prefetch(options, worker_init_fn=_end_with_parent)


def _end_with_parent(*_: int) -> None:
    """Makes a worker process end with its parent, even if that is killed, and not earlier."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(WORKER_GRACE, os._exit, (1,)).start())


class _Runs(grain.MapDataset):
    """The same run of examples of each batch: `length` of `every` examples, starting at `first`."""

    _MUTATES_ELEMENT_SPEC = False

    def __init__(self, parent: grain.MapDataset, every: int, first: int, length: int):
        super().__init__(parent)
        self._every, self._first, self._length = every, first, length

    def __len__(self) -> int:
        return len(self._parent) // self._every * self._length

    def __getitem__(self, index):
        batch, offset = divmod(index, self._length)
        return self._parent[batch * self._every + self._first + offset]
