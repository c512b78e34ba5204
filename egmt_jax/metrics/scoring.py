"""Scores of many fused images: padded to few shapes, reading overlaps with computing."""

from collections.abc import Generator, Iterable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io.lookahead import map_ahead
from egmt_jax.metrics.table import METRICS, fusion_metrics

Triple = tuple[str, np.ndarray, np.ndarray, np.ndarray]
Row = dict[str, Any]

SMALLEST_SIDE = 17


def score_pairs(
    triples: Iterable[Triple], *, total: int | None = None, progress: bool = True
) -> list[Row]:
    """Scores fused images against their sources.

    Args:
      triples: (id, fused, visible, infrared), uint8 [H, W] each; the size may differ between
        triples. A generator that decodes files overlaps with the computation.
      total: number of triples, for the progress bar.
      progress: whether to show a progress bar (on a terminal only).

    Returns:
      One dictionary per triple, in order: `id`, then the metrics by name as Python floats rounded
      to six significant digits, beyond which float32 results differ between machines.

    Raises:
      UserError: the images of a triple differ in size, are not uint8 [H, W], or have a side below
        17 pixels.
    """
    rows = iterate_scores(triples)
    return list(tqdm(rows, "scoring", total, unit="image", disable=None if progress else True))


def iterate_scores(triples: Iterable[Triple]) -> Generator[Row, None, None]:
    """Yields the rows of `score_pairs` one by one."""
    # one worker: XLA spreads each computation over all cores
    return map_ahead(score_triple, triples, workers=1, ahead=4)


def score_triple(triple: Triple) -> Row:
    """One row of `score_pairs`; it does not depend on what else is scored.

    Images are padded to `padded_side`s, so that images of similar size share compiled programs.
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
    padding = [(0, padded_side(side) - side) for side in shapes[0]]
    padded = [jax.device_put(np.pad(image, padding)) for image in images]
    values = jax.device_get(fusion_metrics(padded[0], padded[1], padded[2], shapes[0]))
    return {"id": name, **{metric: float(f"{float(values[metric]):.6g}") for metric in METRICS}}


def padded_side(side: int) -> int:
    """The padded length of a side: 128, 256, 512, 640, 768, 1024, 1280, 1536, 2048 and so on.

    There are few, since compiling for a new shape takes as long as scoring a hundred small images.
    """
    if side <= 128:
        return 128
    octave = 2 ** ((side - 1).bit_length() - 1)  # the largest power of two below the side
    steps = (octave + octave // 4, octave + octave // 2) if octave >= 512 else ()
    return next((step for step in steps if side <= step), 2 * octave)
