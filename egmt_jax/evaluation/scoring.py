"""Scores of a model on pairs: fusion metrics and classifier scores."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from egmt_jax import metrics
from egmt_jax.entities import load_vocabulary
from egmt_jax.evaluation.guidance import guided
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8
from egmt_jax.io.pairs import Pair
from egmt_jax.metrics.classification import classification_scores
from egmt_jax.metrics.scoring import Triple
from egmt_jax.models import EGMT


def score(
    fuser: Fuser, pairs: Iterable[Pair], policy: str = "predicted"
) -> tuple[list[dict[str, Any]], dict[str, float] | None]:
    """Fuses 8-bit pairs, guided by a policy (see `guided`), and scores images and classifier.

    Returns the rows of `metrics.score_pairs`; and `classification_scores` on the pairs with
    `present` names, None if there are none.
    """
    probabilities, labels = [], []

    def fusions():
        for pair, guidance in guided(pairs, policy):
            fused = fuser(pair.visible, pair.infrared, guidance)
            if pair.present is not None:
                probabilities.append(list(fused.probabilities.values()))
                labels.append([name in pair.present for name in fuser.names])
            yield scored_images(pair, to_uint8(fused.luma))

    rows = metrics.score_pairs(fusions(), progress=False)
    scores = (
        classification_scores(np.asarray(probabilities), np.asarray(labels)) if labels else None
    )
    return rows, scores


def scored_images(pair: Pair, fused: UInt8[np.ndarray, "h w"]) -> Triple:
    """Id, fused, visible and infrared of an 8-bit pair, cropped to where infrared data exist."""
    crop = np.s_[:] if pair.has_infrared is None else _complete_window(pair.has_infrared)
    return pair.id, fused[crop], pair.luma[crop], pair.infrared[crop][..., 0]


def _complete_window(valid: Bool[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """A large window without missing data: drops the side with the largest missing share."""
    top, left, bottom, right = 0, 0, *valid.shape
    while not (inside := valid[top:bottom, left:right]).all():
        sides = inside[0], inside[:, 0], inside[-1], inside[:, -1]
        worst = int(np.argmin([side.mean() for side in sides]))
        top, left = top + (worst == 0), left + (worst == 1)
        bottom, right = bottom - (worst == 2), right - (worst == 3)
    return np.s_[top:bottom, left:right]


def average(pair: Pair) -> UInt8[np.ndarray, "h w"]:
    """The average of both images of an 8-bit pair: the baseline of every evaluation."""
    return to_uint8((pair.luma.astype(np.float32) + pair.infrared[..., 0]) / np.float32(510.0))


def score_model(model: EGMT, pairs: Iterable[Pair], policy: str) -> dict[str, float]:
    """The mean of every metric, and every classifier score, by name."""
    rows, scores = score(Fuser(model, load_vocabulary().names), pairs, policy)
    return (metrics.summary(rows) if rows else {}) | (scores or {})
