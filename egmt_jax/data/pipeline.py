"""From records of a data set to training batches (Grain), and to pairs for evaluation."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import grain.python as grain
import jax
import numpy as np

from egmt_jax.data.examples import Targets, enlarge_to, make_example
from egmt_jax.entities import Vocabulary
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair
from egmt_jax.io.valid import no_data_border

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


@dataclasses.dataclass(frozen=True)
class Augment(grain.RandomMapTransform):
    """A record -> one training example, see `egmt_jax.data.examples.make_example`.

    Attributes:
      view: side of the canvas of a view in pixels, a multiple of 16.
      crop: side of the crops in pixels.
      crops: number of crops.
      targets: computes the target picture of a pair, and keeps it for later epochs.
    """

    view: int
    crop: int
    crops: int
    vocabulary: Vocabulary
    targets: Targets

    def random_map(self, element: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Returns one example of a batch, see `training_batches`."""
        pair = enlarge_to(self.crop, to_pair(element))
        sizes = self.view, self.crop, self.crops
        return make_example(pair, self.targets.of(pair), self.vocabulary, *sizes, rng)


class Part(NamedTuple):
    """One set of a mixture; `weight` is the relative number of its examples."""

    records: Records
    transform: Augment
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
        `view`: float32 [B, V, V, 5], see `models.make_view`; zeros beyond
        `extent`: int32 [B, 2], its rows and columns;
        `factor`: float32 [B], pixels of the pair per pixel of the view;
        `visible`, `infrared`, `target`: uint8 [B, N, S, S, 1], N crops of luma, infrared
          (continued where it has no data) and the target picture;
        `origin`: int32 [B, N, 2], row and column of the crops in the part of the pair that the view
          shows;
        `entity_ids`: int32 [B, 8], entities with masks, padded with -1;
        `salience`: float32 [B, 8], what their guidance adds to the target;
        `masks`: uint8 [B, N, S, S, 8], their masks in the crops;
        `coverage`: float32 [B, V/8, V/8, 8] in [0, 1], their shares of the cells of the view;
        `masked`: bool [B], whether masks are known;
        `guide`: float32 [B, K], entities that may guide: those of the pair with a mask in the view;
        `labels`: float32 [B, K], what the classifier should predict;
        `labelled`: bool [B, K], whether a label is known. What an annotated pair lacks is known to
          be absent; of what it shows, a small view without its mask knows nothing.

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
