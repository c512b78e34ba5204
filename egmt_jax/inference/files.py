"""Files of pairs to files of pictures: reading and writing go on beside the network."""

import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fused, Fuser
from egmt_jax.inference.overlay import attention_overlay
from egmt_jax.io import images, registration
from egmt_jax.io.thermal import InfraredRange, check_float
from egmt_jax.models.egmt import SMALLEST_SIDE

ASPECT = 0.05
"""Share by which width to height may differ within a pair that is resampled to one size."""

FEW_OF_16_BITS = 1 << 14
"""Visible 16-bit values that stay below this are likely 10, 12 or 14 bits that were not scaled."""


class Job(NamedTuple):
    """What becomes what.

    Attributes:
      visible: file.
      infrared: file.
      out: PNG file.
      overlay: PNG file of the attention over the picture; None: not drawn.
    """

    visible: pathlib.Path
    infrared: pathlib.Path
    out: pathlib.Path
    overlay: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """How pairs become pictures.

    Attributes:
      entities: that guide; None: the model's own; empty: none.
      size: "visible" or "infrared": whose size the picture has where the two differ.
      grey: luma without colour.
      infrared_range: see `egmt_jax.io.thermal.infrared_to_unit`.
      black_hot: warm is dark in the infrared images.
    """

    entities: Sequence[str] | None = None
    size: str = "visible"
    grey: bool = False
    infrared_range: InfraredRange | None = None
    black_hot: bool = False


@dataclasses.dataclass(frozen=True)
class Pair:
    """A pair as it is fused: uint8 [H, W, 1 or 3], and infrared [H, W, 1 or 3] of any depth."""

    visible: np.ndarray
    infrared: np.ndarray
    warnings: tuple[str, ...]


def fuse_files(
    fuser: Fuser, jobs: Sequence[Job], settings: Settings, threads: int = 2
) -> tuple[list[str], list[str]]:
    """Fuses pairs of files into 8-bit PNG files; one that fails does not stop the others.

    Args:
      fuser: of a model.
      jobs: any number.
      settings: of all of them.
      threads: that read and write; at most twice as many pairs are in memory beside the one that
        is being fused.

    Returns:
      What failed, and what is suspicious: a line each, in the order of `jobs`.
    """
    failures: dict[int, str] = {}
    warnings: list[str] = []
    writes: collections.deque = collections.deque()

    def wait_for_a_write():
        place, future = writes.popleft()
        if (error := future.exception()) is not None:
            failures[place] = _line(jobs[place], error)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            readers = _ahead(pool, jobs, settings, threads)
            bar = tqdm(readers, "Fusing", len(jobs), unit="pair", disable=len(jobs) == 1 or None)
            for place, future in enumerate(bar):
                if (error := future.exception()) is not None:
                    failures[place] = _line(jobs[place], error)
                    continue
                pair = future.result()
                warnings += pair.warnings
                try:
                    fused = fuser(
                        pair.visible,
                        pair.infrared,
                        settings.entities,
                        infrared_range=settings.infrared_range,
                        black_hot=settings.black_hot,
                    )
                except Exception as error:
                    failures[place] = _line(jobs[place], error)
                    continue
                writes.append((place, pool.submit(_write, jobs[place], fused, settings)))
                if len(writes) > threads:
                    wait_for_a_write()
            while writes:
                wait_for_a_write()
        except BaseException:
            # What is being written is finished, what has not begun is not begun.
            pool.shutdown(cancel_futures=True)
            raise
    return [failures[place] for place in sorted(failures)], warnings


def _line(job: Job, error: BaseException) -> str:
    """What to tell of a pair that failed, for whatever reason; Ctrl-C stays what it is."""
    if not isinstance(error, Exception):
        raise error
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    if not isinstance(error, UserError):
        reason = f"{type(error).__name__}: {reason}"
    elif str(job.visible) in reason or str(job.infrared) in reason or str(job.out) in reason:
        return str(error)
    return f"{job.visible} and {job.infrared}: {reason}"


def _ahead(pool, jobs: Iterable[Job], settings: Settings, threads: int):
    """Futures of the pairs in order, of which some are being read already."""
    jobs = iter(jobs)
    waiting = collections.deque(
        pool.submit(read_pair, job, settings.size) for job in itertools.islice(jobs, threads)
    )
    while waiting:
        future = waiting.popleft()
        waiting.extend(
            pool.submit(read_pair, job, settings.size) for job in itertools.islice(jobs, 1)
        )
        yield future


def read_pair(job: Job, size: str = "visible") -> Pair:
    """Reads a pair, brings it to one size, and looks for what is suspicious about it.

    Args:
      job: names the files.
      size: "visible" or "infrared": whose size counts where the two differ.

    Raises:
      UserError: a file that cannot be read, one of less than 16 pixels, both are one file, or
        shapes that differ by more than `ASPECT`.
    """
    deep, infrared = images.read_deep_image(job.visible), images.read_deep_image(job.infrared)
    pair = prepare(job, _eight_bits(deep, job.visible), infrared, size)
    if deep.dtype == np.uint16 and (brightest := int(deep.max())) < FEW_OF_16_BITS:
        warning = (
            f"{job.visible}: no value above {brightest} of 65535, so it comes out dark; if it was "
            "taken in fewer than 16 bits, multiply it first"
        )
        return dataclasses.replace(pair, warnings=(warning, *pair.warnings))
    return pair


def prepare(job: Job, visible: np.ndarray, infrared: np.ndarray, size: str = "visible") -> Pair:
    """Brings two images to one size, and looks for what is suspicious about them.

    Args:
      job: names the files that they are from.
      visible: uint8 [H, W, 1 or 3].
      infrared: [H, W, 1 or 3] of any depth.
      size: as for `read_pair`.

    Raises:
      UserError: as `read_pair`, of images that are read.
    """
    for path, image in ((job.visible, visible), (job.infrared, infrared)):
        if min(image.shape[:2]) < SMALLEST_SIDE:
            raise UserError(
                f"{path}: {image.shape[1]} x {image.shape[0]} pixels; at least {SMALLEST_SIDE} "
                "each way are needed"
            )
    if job.visible.samefile(job.infrared):
        raise UserError(f"{job.visible}: one file is both visible and infrared; name two")
    if infrared.dtype == np.float32:
        check_float(infrared, str(job.infrared), None)
    warnings = []
    if images.is_colourful(infrared):
        warnings.append(
            f"{job.infrared}: colourful for an infrared picture: are visible and infrared swapped, "
            "or is it drawn in false colours?"
        )
    if visible.shape[:2] != infrared.shape[:2]:
        _check_aspect(job, visible.shape, infrared.shape)
        if size == "visible":
            infrared = resample(infrared, visible.shape[:2])
        else:
            visible = resample(visible, infrared.shape[:2])
    if min(visible.shape[:2]) >= registration.SMALLEST_SIDE:
        lumas = images.to_grey(visible), infrared.mean(axis=2, dtype=np.float32)
        shift = registration.edge_shift(*lumas)
        if shift is not None:
            warnings.append(
                f"{job.infrared}: seems to lie {shift[0]:+.0f} pixels down and {shift[1]:+.0f} to "
                f"the right of {job.visible}: register the two first"
            )
    return Pair(visible, infrared, tuple(warnings))


def resample(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples [H, W, C] to rows and columns: averages areas to shrink, linear to enlarge."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=method).reshape(*size, image.shape[2])


def _check_aspect(job: Job, visible: tuple[int, ...], infrared: tuple[int, ...]) -> None:
    aspects = [shape[1] / shape[0] for shape in (visible, infrared)]
    difference = max(aspects) / min(aspects) - 1.0
    if difference > ASPECT:
        raise UserError(
            f"{job.visible} has {visible[1]} x {visible[0]} pixels, {job.infrared} "
            f"{infrared[1]} x {infrared[0]}: their shapes differ by {difference:.0%}, {ASPECT:.0%} "
            "is allowed; crop one of them first"
        )


def _eight_bits(visible: np.ndarray, path: pathlib.Path) -> np.ndarray:
    """Pictures are written in 8 bits: a deeper visible image is brought to that, by full range."""
    if visible.dtype == np.uint16:
        return np.rint(visible / np.float32(257.0)).astype(np.uint8)
    if visible.dtype == np.float32:
        check_float(visible, str(path), "divide them")
        return images.to_uint8(visible)
    return visible


def _write(job: Job, fused: Fused, settings: Settings) -> None:
    picture = images.to_uint8(fused.fused) if settings.grey else fused.image
    if job.overlay is not None:
        overlay = attention_overlay(fused, None if settings.entities is None else fused.guides)
        images.write_png(job.overlay, overlay)
    images.write_png(job.out, picture)  # last: where it exists, the pair is done
