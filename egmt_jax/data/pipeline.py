"""From TFDS records to training batches (Grain), and to whole pairs for evaluation."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import grain.python as grain
import jax
import numpy as np

from egmt_jax.entities import Vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.images import to_grey

MOST_ENTITIES = 8

PRESENT_SHARE = 0.002
"""Share of a crop that the mask of an entity must cover to count as being in it."""

LABELLED_SHARE = 0.6
"""Share of a pair that a crop at full detail, without masks, must show to be labelled with the
entities of the pair; its largest square always is."""

MOST_LISTED = 20

WORKERS_OUTLIVE = 20.0
"""Seconds that worker processes go on after a SIGTERM: one that reaches a whole run must not take
the batches from the process that has yet to save."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One whole pair.

    Attributes:
      id: names exported files.
      visible: uint8 [H, W, 3] RGB.
      infrared: uint8 [H, W, 1].
      entities: up to 8 names; empty where unknown.
      masks: uint8 [N, H, W], 0 or 255, of the entities, black for one that was not found; None
        where nobody has looked.
      caption: see `caption_of`.
    """

    id: str
    visible: np.ndarray
    infrared: np.ndarray
    entities: tuple[str, ...]
    masks: np.ndarray | None
    caption: str = ""

    @property
    def luma(self) -> np.ndarray:
        """uint8 [H, W] grey of the visible image, see `egmt_jax.io.images.to_grey`."""
        return to_grey(self.visible)


def to_pair(record: dict[str, Any]) -> Pair:
    """A record of a TFDS data source as a `Pair`; raises UserError if the sizes differ.

    Of more than 8 entities the first 8, the most salient, and their masks are kept.
    """
    name = record["id"].decode()
    visible, infrared = record["visible"], record["infrared"]
    if visible.shape[:2] != infrared.shape[:2]:
        raise UserError(
            f"{name}: visible {visible.shape[:2]} and infrared {infrared.shape[:2]} differ in "
            "size; prepare the data set again from registered pairs"
        )
    masks = None
    if len(record.get("masks", ())):
        most_salient = record["masks"][:MOST_ENTITIES]
        masks = np.zeros((len(most_salient), *visible.shape[:2]), np.uint8)
        for k, mask in enumerate(most_salient):
            masks[k] = mask[..., 0]
    entities = tuple(entity.decode() for entity in record["entities"][:MOST_ENTITIES])
    return Pair(name, visible, infrared, entities, masks, caption_of(record))


def caption_of(record: dict[str, Any]) -> str:
    """The captions of both images of a record as one text; empty where it has none."""
    captions = (record.get(f"caption_{kind}", b"").decode() for kind in ("visible", "infrared"))
    return " ".join(caption for caption in captions if caption)


def check_entities(source, vocabulary: Vocabulary) -> np.ndarray:
    """Reads the entities of every record, before any work starts.

    Args:
      source: a TFDS data source; its images are not looked at.
      vocabulary: that the entities must be in.

    Returns:
      float32 [records, K] multi-hot labels, of the first 8 entities as in `to_pair`; a record
      without entities gives a row of zeros.

    Raises:
      UserError: entities outside the vocabulary: a line for each record that names one, up to 20.
    """
    labels = np.zeros((len(source), len(vocabulary)), np.float32)
    problems: list[str] = []
    for row in range(len(source)):
        record = source[row]
        for place, entity in enumerate(record["entities"]):
            try:
                number = vocabulary.id_of(entity.decode())
            except UserError as error:
                problems.append(f"pair {record['id'].decode()}: {error}")
                continue
            if place < MOST_ENTITIES:
                labels[row, number] = 1.0
    if problems:
        more = len(problems) - MOST_LISTED
        listed = problems[:MOST_LISTED] + ([f"and {more} more"] if more > 0 else [])
        raise UserError("\n".join(listed))
    return labels


@dataclasses.dataclass(frozen=True)
class CropAndAugment(grain.RandomMapTransform):
    """A record -> one training example: a square crop at full detail or of the whole pair, reduced.

    Attributes:
      size: side of the crop in pixels.
      whole: probability of the largest square of the pair, reduced to `size`, instead of a crop.
      jitter: largest change of the infrared image's gain and of both images' gamma.
      vocabulary: of the entity ids.
      detail: how much the losses of gradient, structure, information and edges count for the
        example, 0 to 1.
      sentences: float32 [D] by caption, for the examples' `sentence`; None leaves it out.
    """

    size: int
    whole: float
    jitter: float
    vocabulary: Vocabulary
    detail: float = 1.0
    sentences: Mapping[str, np.ndarray] | None = None

    def random_map(
        self, element: dict[str, Any], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Returns one example of a batch, see `training_batches`."""
        pair = to_pair(element)
        height, width = pair.visible.shape[:2]
        short = min(height, width)
        whole = rng.random() < self.whole
        side = short if whole else min(self.size, short)
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        window = np.s_[top : top + side, left : left + side]

        def prepare(image):
            image = image[window]
            if side != self.size:
                method = cv2.INTER_AREA if side > self.size else cv2.INTER_LINEAR
                image = cv2.resize(image, (self.size, self.size), interpolation=method)
            return image.astype(np.float32) / 255.0

        visible, infrared = prepare(pair.luma), prepare(pair.infrared[..., 0])
        masks = np.zeros((self.size, self.size, MOST_ENTITIES), np.float32)
        ids = np.full(MOST_ENTITIES, -1, np.int32)
        names = [self.vocabulary.id_of(entity) for entity in pair.entities]
        labels = np.zeros(len(self.vocabulary), np.float32)
        # The largest square of a wide pair shows less than the share, but nothing shows more.
        shown = whole or side * side >= LABELLED_SHARE * height * width
        if pair.masks is None:
            ids[: len(names)] = names
            labels[names] = 1.0
            labelled = bool(names) and shown
        else:
            labelled = True
            for k, name in enumerate(names):
                if not pair.masks[k].any():  # somewhere in the pair, as where masks are not known
                    labels[name] = 1.0
                    labelled &= shown
                    continue
                mask = prepare(pair.masks[k])
                share = mask.mean()
                if share >= PRESENT_SHARE:
                    masks[..., k], labels[name] = mask, 1.0
                if share >= PRESENT_SHARE or not share:  # a sliver is neither here nor elsewhere
                    ids[k] = name
        if rng.random() < 0.5:
            visible, infrared, masks = visible[:, ::-1], infrared[:, ::-1], masks[:, ::-1]
        if self.jitter:
            changes = np.exp(rng.uniform(-1, 1, 3) * self.jitter)
            gain, gamma_visible, gamma_infrared = changes.tolist()  # which keep float32
            visible = visible**gamma_visible
            infrared = np.clip(infrared**gamma_infrared * gain, 0.0, 1.0)
        example = {
            "visible": np.ascontiguousarray(visible[..., None], np.float32),
            "infrared": np.ascontiguousarray(infrared[..., None], np.float32),
            "entity_ids": ids,
            "labels": labels,
            "labelled": np.bool_(labelled),
            "masks": np.ascontiguousarray(masks),
            "masked": np.bool_(pair.masks is not None),
            "detail": np.float32(self.detail),
        }
        if self.sentences is not None:
            example["sentence"] = self.sentences[pair.caption]
        return example


@dataclasses.dataclass(frozen=True)
class Part:
    """One set of a mixture.

    Attributes:
      source: records with random access.
      transform: makes an example of a record.
      weight: how many examples it gives, relative to the other parts.
    """

    source: Sequence
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
    """Endless shuffled batches, the same for a seed whatever the number of workers or processes.

    Args:
      parts: of the mixture, one or more; they take turns by weight, each in its own order.
      batch_size: examples per batch over all processes; each process gets its share of every batch.
      seed: of order and augmentation.
      workers: processes that prepare batches; 0 uses threads of this one.
      start: batches to leave out at the beginning, at no cost: what a resumed run has seen.
      share: which of how many equal shares of each batch this process gets; by default one share
        per process, in order.

    Returns:
      An iterable of batches: `visible`, `infrared` float32 [B, S, S, 1] in [0, 1]; `entity_ids`
      int32 [B, 8], padded with -1; `labels` float32 [B, K]; `labelled` bool [B]; `masks` float32
      [B, S, S, 8] of the entities and `masked` bool [B], whether they are known; `detail` float32
      [B], the weight of each example in the losses of detail; where the parts'
      transforms have them, `sentence` float32 [B, D], the features of the captions, zeros where
      there is none.
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
    """Makes a worker process end with its parent, also where that is killed, and not before it."""
    del worker, workers

    def end():
        os._exit(1)

    def watch():
        multiprocessing.parent_process().join()
        end()

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(WORKERS_OUTLIVE, end).start())


def batches_of_process(
    parts: Sequence[Part], batch_size: int, seed: int, process: int, processes: int
) -> grain.MapDataset:
    """The share of one process of the batches of `training_batches`, with random access.

    Of each batch, process p of n gets the p-th of n equal runs of examples: put together in order
    they are the same batch whatever n.

    Raises:
      UserError: the batch does not split evenly over the processes.
    """
    if batch_size % processes:
        raise UserError(f"data.batch_size={batch_size} must be a multiple of {processes} processes")
    examples = [
        grain.MapDataset.source(part.source)
        .seed(seed + place)
        .shuffle()
        .repeat(None)
        .random_map(part.transform)
        for place, part in enumerate(parts)
    ]
    mixture = grain.MapDataset.mix(examples, [part.weight for part in parts])
    share = batch_size // processes
    return _Runs(mixture, batch_size, process * share, share).batch(share)


class _Runs(grain.MapDataset):
    """A run of examples at the same place of each batch: `length` of `every`, from `first` on."""

    _MUTATES_ELEMENT_SPEC = False

    def __init__(self, parent: grain.MapDataset, every: int, first: int, length: int):
        super().__init__(parent)
        self._every, self._first, self._length = every, first, length

    def __len__(self) -> int:
        return len(self._parent) // self._every * self._length

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        batch, place = divmod(index, self._length)
        return self._parent[batch * self._every + self._first + place]
