"""Fuses files of pairs into image files; reading and writing overlap with the network."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.inference import drawing
from egmt_jax.inference.fuser import Fused, Fuser, to_luma
from egmt_jax.io import images, registration
from egmt_jax.io.lookahead import map_ahead
from egmt_jax.io.pairs import Pair, PairFiles
from egmt_jax.io.thermal import InfraredRange, check_float
from egmt_jax.models import PREDICTED, Guidance
from egmt_jax.models.egmt import SMALLEST_SIDE

ASPECT = 0.05  # relative difference of aspect ratios up to which a pair is brought to one size
FEW_OF_16_BITS = 1 << 14  # 16-bit values that stay below are likely unscaled 10, 12 or 14 bits
EQUAL_SIZES = 16  # pairs of one size that start a folder before that size gets its own program


class Job(NamedTuple):
    """Input and output files of one fusion: images or videos."""

    pair: PairFiles
    out: pathlib.Path  # PNG file, or video
    overlay: pathlib.Path | None = None  # PNG file for the attention drawn over the image


class Settings(NamedTuple):
    """How files are fused."""

    guidance: Guidance = PREDICTED
    size: str = "visible"  # or "infrared": which size the result has if they differ
    grey: bool = False  # write luma without colour
    infrared_range: InfraredRange | None = None  # see `egmt_jax.io.thermal.infrared_to_unit`
    black_hot: bool = False


def fuse_files(
    fuser: Fuser, jobs: Sequence[Job], settings: Settings, threads: int = 2
) -> tuple[list[str], list[str]]:
    """Fuses pairs of files into 8-bit PNG files; a failure does not stop the other pairs.

    `threads` threads read and as many write; each holds a pair or an image in memory.

    Returns:
      Failures and warnings, a line each, in the order of `jobs`.
    """
    warnings: list[str] = []
    sizes: list[tuple[int, int]] = []
    options: Any = dict(infrared_range=settings.infrared_range, black_hot=settings.black_hot)

    def read(job: Job, _) -> tuple[Pair, list[str]]:
        return read_pair(job.pair, settings.size)

    def fuse(job: Job, found: tuple[Pair, list[str]]) -> Fused:
        nonlocal fuser
        pair, lines = found
        warnings.extend(lines)
        sizes.append(pair.visible.shape[:2])
        if len(sizes) == EQUAL_SIZES and len(set(sizes)) == 1:
            fuser = fuser.for_size(sizes[0])
        return fuser(pair.visible, pair.infrared, settings.guidance, **options)

    def write(job: Job, fused: Fused) -> None:
        if job.overlay is not None:
            entities = None if settings.guidance.names is None else fused.guides
            images.write_png(job.overlay, drawing.overlay(fused, entities))
        # Last: a pair is complete if this file exists.
        images.write_png(job.out, images.to_uint8(fused.luma) if settings.grey else fused.image)

    def attempt(step: Callable, item: tuple[Job, Any]) -> tuple[Job, Any]:
        """(job, value) -> (job, result) or (job, what failed); failures, as text, pass through."""
        job, value = item
        try:
            return job, value if isinstance(value, str) else step(job, value)
        except Exception as error:
            return job, _failure(job, error)

    def ahead(step: Callable, items: Iterable[tuple[Job, Any]]) -> Iterator[tuple[Job, Any]]:
        return map_ahead(functools.partial(attempt, step), items, threads, threads)

    pairs = ahead(read, ((job, None) for job in jobs))
    bar = tqdm(pairs, "Fusing", len(jobs), unit="pair", disable=len(jobs) == 1 or None)
    written = ahead(write, (attempt(fuse, item) for item in bar))
    return [value for _, value in written if isinstance(value, str)], warnings


def _failure(job: Job, error: Exception) -> str:
    """One line about a pair that failed; names its files."""
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    if not isinstance(error, UserError):
        reason = f"{type(error).__name__}: {reason}"
    elif any(str(path) in reason for path in (*job.pair[1:3], job.out)):
        return str(error)
    return f"{job.pair.visible} and {job.pair.infrared}: {reason}"


def read_pair(files: PairFiles, size: str = "visible") -> tuple[Pair, list[str]]:
    """Reads a pair and resamples it to the size of one image: "visible" or "infrared".

    Returns:
      The pair, visible in 8 bits and infrared in the depth of its file; warnings, a line each.

    Raises:
      UserError: a file cannot be read or has a side below 16 pixels, both are one file, or the
        aspect ratios differ by more than `ASPECT`.
    """
    visible, infrared = (images.read_image(path, deep=True) for path in files[1:3])
    warnings = []
    if visible.dtype == np.uint16:
        if (brightest := int(visible.max())) < FEW_OF_16_BITS:
            cure = "so the result is dark; if it has fewer than 16 bits, multiply it first"
            warnings = [f"{files.visible}: no value above {brightest} of 65535, {cure}"]
        visible = np.rint(visible / np.float32(257.0)).astype(np.uint8)
    elif visible.dtype == np.float32:
        check_float(visible, str(files.visible), "divide them")
        visible = images.to_uint8(visible)
    pair, more_warnings = prepare(files, visible, infrared, size)
    return pair, warnings + more_warnings


def prepare(
    files: PairFiles, visible: np.ndarray, infrared: np.ndarray, size: str = "visible"
) -> tuple[Pair, list[str]]:
    """Like `read_pair`, for images in memory: uint8 [H, W, 1 or 3] and any [H, W, 1 or 3]."""
    for path, (height, width, _) in zip(files[1:3], (visible.shape, infrared.shape), strict=True):
        if min(height, width) < SMALLEST_SIDE:
            least = f"at least {SMALLEST_SIDE} each way are needed"
            raise UserError(f"{path}: {width} x {height} pixels; {least}")
    if files.visible.samefile(files.infrared):
        raise UserError(f"{files.visible}: given as both visible and infrared; name two files")
    if infrared.dtype == np.float32:
        check_float(infrared, str(files.infrared), None)
    warnings = []
    if images.is_colourful(infrared):
        question = "are visible and infrared swapped, or is it in false colours?"
        warnings.append(f"{files.infrared}: has colours: {question}")
    infrared = to_luma(infrared, "infrared", deep=True)[..., None]
    _check_aspect(files, visible.shape, infrared.shape)
    shape = (visible if size == "visible" else infrared).shape[:2]
    pair = Pair(files.id, images.resample(visible, shape), images.resample(infrared, shape))
    shift = registration.edge_shift(pair.luma, pair.infrared[..., 0])
    if shift is not None:
        by = f"{shift[0]:+.0f} pixels down and {shift[1]:+.0f} to the right"
        reason = f"seems to be shifted by {by} against {files.visible}: register the two first"
        warnings.append(f"{files.infrared}: {reason}")
    return pair, warnings


def _check_aspect(files: PairFiles, visible: tuple[int, ...], infrared: tuple[int, ...]) -> None:
    aspects = [shape[1] / shape[0] for shape in (visible, infrared)]
    if (difference := max(aspects) / min(aspects) - 1.0) <= ASPECT:
        return
    pictures = [path for path in files[1:3] if path.suffix.lower() in images.SUFFIXES]
    rotated = [x.name for x in pictures if images.has_exif_rotation(images.read_bytes(x))]
    hint = f" (the EXIF data of {rotated[0]} rotate it)" if len(rotated) == 1 else ""
    sizes = f"{visible[1]} x {visible[0]} pixels, {files.infrared} {infrared[1]} x {infrared[0]}"
    limit = f"aspect ratios differ by {difference:.0%}, {ASPECT:.0%} is allowed"
    raise UserError(f"{files.visible} has {sizes}{hint}: their {limit}; crop one of them first")
