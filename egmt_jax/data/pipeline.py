"""From records of a data set to training batches (Grain), and to pairs for evaluation."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import grain.python as grain
import jax
import numpy as np

from egmt_jax.entities import Vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair
from egmt_jax.io.valid import no_data_border

PRESENT_SHARE = 0.002
"""Share of a crop that the mask of an entity must cover for the entity to count as present."""

LABELLED_SHARE = 0.6
"""Share of a pair that a crop without masks must show to have the labels of the pair; the largest
square of the pair always has them."""

MOST_LISTED = 20

WORKER_GRACE = 20.0
"""Seconds that worker processes continue after SIGTERM: a signal to the process group must not stop
the batches of the main process before it has saved."""


class Records(Protocol):
    """Records with random access: of a TFDS data source, or of a folder."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> dict[str, Any]: ...


def to_pair(record: dict[str, Any]) -> Pair:
    """A record as a `Pair`.

    Args:
      record: from a data source. `present` counts only if `has_present` is set; `masks` belong to
        `mask_entities`, in order.

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
        entities=_text(record["entities"])[:MOST_ENTITIES],
        present=_text(record["present"]) if record["has_present"] else None,
        masks=masks or None,
        masks_exact=record["mask_kind"] == b"exact",
        has_infrared=None if (has_infrared := no_data_border(infrared)).all() else has_infrared,
    )


def _text(names: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name.decode() for name in names)


def labels_of(pair_or_record: Pair | dict[str, Any]) -> tuple[str, ...]:
    """Names that the classifier should predict for a pair; empty if nothing is known.

    These are `present`, everything that is visible. Where nobody looked at everything, the guiding
    entities take their place, as in the paper, whose pseudo-labels they are.
    """
    if isinstance(pair_or_record, Pair):
        present, entities = pair_or_record.present, pair_or_record.entities
        return entities if present is None else present
    field = "present" if pair_or_record["has_present"] else "entities"
    return _text(pair_or_record[field])


def read_labels(records: Records, vocabulary: Vocabulary) -> np.ndarray:
    """Reads and checks the names of all records before training starts.

    Args:
      records: records, with or without images.
      vocabulary: must contain all names.

    Returns:
      float32 [records, K], multi-hot `labels_of`; zeros for a record without labels.

    Raises:
      UserError: names outside the vocabulary: one line per record, at most 20.
    """
    labels = np.zeros((len(records), len(vocabulary)), np.float32)
    problems: list[str] = []
    for row in range(len(records)):
        record = records[row]
        try:
            for name in {*_text(record["entities"]), *_text(record["mask_entities"])}:
                vocabulary.id_of(name)
            labels[row, [vocabulary.id_of(name) for name in labels_of(record)]] = 1.0
        except UserError as error:
            problems.append(f"pair {record['id'].decode()}: {error}")
    if problems:
        more = len(problems) - MOST_LISTED
        raise UserError(
            "\n".join(problems[:MOST_LISTED] + ([f"and {more} more"] if more > 0 else []))
        )
    return labels


@dataclasses.dataclass(frozen=True)
class CropAndAugment(grain.RandomMapTransform):
    """A record -> one training example: a square crop, or the largest square of the pair, reduced.

    Attributes:
      size: side of the example in pixels.
      full_frame_probability: probability of the largest square of the pair instead of a crop.
      jitter: largest change of the infrared gain and of both gammas, as a natural logarithm.
      vocabulary: defines the entity ids.
    """

    size: int
    full_frame_probability: float
    jitter: float
    vocabulary: Vocabulary

    def random_map(
        self, element: dict[str, Any], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
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
            has_infrared = crop(pair.has_infrared.astype(np.uint8) * np.uint8(255)) > 0.999
        labels, known = self._labels(pair, masks, full)
        guide = labels * self._multi_hot(pair.entities) * known
        slots = [name for name in pair.entities if name in masks]
        slots = (slots + [name for name in masks if name not in slots])[:MOST_ENTITIES]
        ids, planes = (
            np.full(MOST_ENTITIES, -1, np.int32),
            np.zeros((self.size, self.size, MOST_ENTITIES), np.float32),
        )
        for slot, name in enumerate(slots):
            share = masks[name].mean()
            if share >= PRESENT_SHARE:
                planes[..., slot] = masks[name]
            if share >= PRESENT_SHARE or not share:  # a sliver counts neither as here nor as absent
                ids[slot] = self.vocabulary.id_of(name)
        if pair.masks is None:
            guiding = [self.vocabulary.id_of(name) for name in pair.entities]
            guiding = [entity for entity in guiding if guide[entity]]
            ids[: len(guiding)] = guiding
        if rng.random() < 0.5:
            visible, infrared, planes, has_infrared = (
                image[:, ::-1] for image in (visible, infrared, planes, has_infrared)
            )
        if self.jitter:
            changes = np.exp(rng.uniform(-1, 1, 3) * self.jitter)
            gain, gamma_visible, gamma_infrared = changes.tolist()  # Python floats keep float32
            visible = visible**gamma_visible
            infrared = np.clip(infrared**gamma_infrared * gain, 0.0, 1.0)
        return {
            "visible": np.ascontiguousarray(visible[..., None], np.float32),
            "infrared": np.ascontiguousarray(infrared[..., None], np.float32),
            "has_infrared": np.ascontiguousarray(has_infrared),
            "entity_ids": ids,
            "guide": guide,
            "labels": labels,
            "labelled": np.bool_(known.all()),
            "masks": np.ascontiguousarray(planes),
            "masked": np.bool_(pair.masks is not None),
        }

    def _labels(self, pair: Pair, masks: dict[str, np.ndarray], full: bool):
        """Labels of a crop, float32 [K], and for which entities they are known, bool [K].

        What is absent from the pair is absent from the crop; what is present is known to be in the
        crop, or not, by its mask, or because the crop shows most of the pair.
        """
        names = labels_of(pair)
        labels = self._multi_hot(names)
        known = np.full(labels.shape, pair.present is not None or bool(names))
        if full:
            return labels, known
        for name in names:
            entity, share = self.vocabulary.id_of(name), 0.0
            if name in masks:
                share = masks[name].mean()
                known[entity] = share >= PRESENT_SHARE or not share
            else:
                known[entity] = False
            labels[entity] = share >= PRESENT_SHARE
        return labels, known

    def _multi_hot(self, names: Sequence[str]) -> np.ndarray:
        labels = np.zeros(len(self.vocabulary), np.float32)
        labels[[self.vocabulary.id_of(name) for name in names]] = 1.0
        return labels


@dataclasses.dataclass(frozen=True)
class Part:
    """One set of a mixture.

    Attributes:
      records: records with random access.
      transform: turns a record into an example.
      weight: relative number of examples.
    """

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
      share: (index, number) of the equal share of each batch that this process gets; by default
        one share per process, in order.

    Returns:
      An iterable of dicts:
        `visible`, `infrared`: float32 [B, S, S, 1] in [0, 1], luma and infrared;
        `has_infrared`: bool [B, S, S], False where the infrared image holds no data;
        `masks`: float32 [B, S, S, 8] in [0, 1], masks of the entities in `entity_ids`;
        `masked`: bool [B], whether masks are known;
        `entity_ids`: int32 [B, 8], padded with -1;
        `guide`: float32 [B, K], entities that may guide: those of the pair that are known to be in
          the crop. A small crop without masks has none;
        `labels`: float32 [B, K], what the classifier should predict, see `labels_of`;
        `labelled`: bool [B], whether the labels are known.
    """
    process, processes = share or (jax.process_index(), jax.process_count())
    data = batches_of_process(parts, batch_size, seed, process, processes)[start:]
    options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    iterator = data.to_iter_dataset(options)
    if workers:
        iterator = iterator.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers), worker_init_fn=_end_with_parent
        )
    return iterator


def _end_with_parent(worker: int, workers: int) -> None:
    """Makes a worker process end with its parent, even if that is killed, and not earlier."""
    del worker, workers

    def end():
        os._exit(1)

    def watch():
        multiprocessing.parent_process().join()
        end()

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(WORKER_GRACE, end).start())


def batches_of_process(
    parts: Sequence[Part], batch_size: int, seed: int, process: int, processes: int
) -> grain.MapDataset:
    """One process's share of the batches of `training_batches`, with random access.

    Process p of n gets the p-th of n equal runs of examples of each batch, so the concatenation
    over processes is the same batch for any n.

    Raises:
      UserError: the batch does not split evenly over the processes.
    """
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
    share = batch_size // processes
    return _Runs(mixture, batch_size, process * share, share).batch(share)


class _Runs(grain.MapDataset):
    """The same run of examples of each batch: `length` of `every` examples, starting at `first`."""

    _MUTATES_ELEMENT_SPEC = False

    def __init__(self, parent: grain.MapDataset, every: int, first: int, length: int):
        super().__init__(parent)
        self._every, self._first, self._length = every, first, length

    def __len__(self) -> int:
        return len(self._parent) // self._every * self._length

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        batch, offset = divmod(index, self._length)
        return self._parent[batch * self._every + self._first + offset]
