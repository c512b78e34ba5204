"""Scores of many fused images: padded to few shapes, reading overlaps with computing."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io.lookahead import map_ahead
from egmt_jax.io.pairs import SMALLEST_SIDE
from egmt_jax.metrics.table import METRICS, fusion_metrics

Triple = tuple[str, np.ndarray, np.ndarray, np.ndarray]
Row = dict[str, Any]


def score_pairs(
    triples: Iterable[Triple], *, total: int | None = None, progress: bool | str = "scoring"
) -> list[Row]:
    """Scores fused images against their sources.

    Args:
      triples: (id, fused, visible, infrared), uint8 [H, W] each; sizes may differ between triples.
        A generator that decodes files overlaps with the computation.
      total: number of triples, for the progress bar.
      progress: label of the progress bar (on a terminal only); False for none.

    Returns:
      A row per triple, in order: `id`, then the metrics by name, rounded to six significant digits
      (float32 results differ between machines beyond that).

    Raises:
      UserError: images are not uint8 [H, W], differ in size, or have a side below 17 pixels.
    """
    # one worker: XLA spreads each computation over all cores
    rows = map_ahead(score_triple, triples, workers=1, ahead=4)
    return list(tqdm(rows, progress, total, unit="image", disable=None if progress else True))


def score_triple(triple: Triple) -> Row:
    """One row of `score_pairs`; padding lets images of similar size share compiled programs."""
    name, *images = triple
    shapes = [image.shape for image in images]
    if any(image.dtype != np.uint8 or image.ndim != 2 for image in images) or len(set(shapes)) > 1:
        kinds = ", ".join(f"{image.dtype} {list(image.shape)}" for image in images)
        raise UserError(f"{name}: images must be uint8 [H, W] and of one size, not {kinds}")
    if min(shapes[0]) < SMALLEST_SIDE:
        found = f"{list(shapes[0])} is below {SMALLEST_SIDE} pixels"
        raise UserError(f"{name}: {found}, the VIF window")
    padding = [(0, padded_side(side) - side) for side in shapes[0]]
    fused, visible, infrared = (jax.device_put(np.pad(image, padding)) for image in images)
    values = jax.device_get(fusion_metrics(fused, visible, infrared, shapes[0]))
    return {"id": name, **{metric: float(f"{float(values[metric]):.6g}") for metric in METRICS}}


def padded_side(side: int) -> int:
    """The padded length of a side: 128, 256, 512, 640, 768, 1024, 1280, 1536, 2048 and so on.

    There are few, since compiling for a new shape takes as long as scoring a hundred small images.
    """
    power = max(128, 2 ** (side - 1).bit_length())  # the least power of two that fits
    lengths = (power * 5 // 8, power * 3 // 4, power) if power > 512 else (power,)
    return next(length for length in lengths if side <= length)
