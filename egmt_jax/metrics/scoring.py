"""Scores of many fused images of many sizes: padded into few shapes, decoding beside computing."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.metrics.table import METRICS, fusion_metrics

Triple = tuple[str, np.ndarray, np.ndarray, np.ndarray]
Row = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

SMALLEST_SIDE = 17
DIGITS = 6


def score_pairs(
    triples: Iterable[Triple], *, total: int | None = None, progress: bool = True
) -> list[Row]:
    """Scores fused images against their sources.

    Args:
      triples: (id, fused, visible, infrared), uint8 [H, W] each; sizes may differ from one to the
        next. Read one by one while earlier ones are scored, so a generator that decodes files
        overlaps with the computation.
      total: how many there are, for the progress bar.
      progress: whether to show one (on a terminal).

    Returns:
      One dictionary per triple, in order: `id`, then the metrics by name as Python floats with six
      significant digits (what float32 holds on every machine).

    Raises:
      UserError: the images of a triple differ in size, are not uint8 [H, W], or are below 17
        pixels.
    """
    rows = iterate_scores(triples)
    return list(
        tqdm(rows, total=total, desc="scoring", unit="image", disable=None if progress else True)
    )


def iterate_scores(triples: Iterable[Triple]) -> Iterator[Row]:
    """The rows of `score_pairs`, each as soon as it is there."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # one: XLA spreads each over all cores
        yield from in_order(pool, score_triple, triples, ahead=4)


def score_triple(triple: Triple) -> Row:
    """One row of `score_pairs`.

    The images are padded to `padded_side`s, so that images of similar size share their compiled
    programs; the scores do not depend on what else is scored or in what order.
    """
    name, *images = triple
    shapes = [image.shape for image in images]
    if any(image.dtype != np.uint8 or image.ndim != 2 for image in images):
        kinds = [f"{image.dtype} {list(image.shape)}" for image in images]
        raise UserError(f"{name}: fused, visible and infrared must be uint8 [H, W], not {kinds}")
    if len(set(shapes)) > 1:
        sizes = ", ".join(f"{width}x{height}" for height, width in shapes)
        raise UserError(
            f"{name}: fused, visible and infrared differ in size ({sizes}); bring them to one size"
        )
    if min(shapes[0]) < SMALLEST_SIDE:
        height, width = shapes[0]
        raise UserError(
            f"{name}: {width}x{height} pixels; VIF needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE}"
        )
    shape = tuple(padded_side(side) for side in shapes[0])
    padding = [(0, large - side) for large, side in zip(shape, shapes[0], strict=True)]
    arrays = [jax.device_put(np.pad(image, padding)) for image in images]
    values = jax.device_get(fusion_metrics(*arrays, shapes[0]))
    return {"id": name, **{metric: round_digits(values[metric]) for metric in METRICS}}


def padded_side(side: int) -> int:
    """The side an image is padded to: 128, 256, 512, 640, 768, 1024, 1280, 1536, 2048 and so on.

    Few sides on purpose: a shape takes a second or two to compile, which is the time of a hundred
    small images.
    """
    if side <= 128:
        return 128
    octave = 2 ** ((side - 1).bit_length() - 1)  # below the side, which is at most twice as long
    steps = (octave + octave // 4, octave + octave // 2) if octave >= 512 else ()
    return next((step for step in steps if side <= step), 2 * octave)


def round_digits(value: float) -> float:
    """Six significant digits: float32 results differ from machine to machine beyond them."""
    return float(f"{float(value):.{DIGITS}g}")


def in_order(
    pool: concurrent.futures.Executor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int | None = None,
) -> Iterator[Result]:
    """`map` over a pool that takes at most `ahead` items from the iterable before their turn."""
    ahead = ahead or 2 * (os.cpu_count() or 1)
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
