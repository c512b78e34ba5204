"""Scores of a model on pairs: fusion metrics and classifier scores."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from egmt_jax import metrics
from egmt_jax.entities import load_vocabulary
from egmt_jax.evaluation.guidance import guided
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8
from egmt_jax.io.pairs import Pair
from egmt_jax.metrics.classification import classification_scores
from egmt_jax.models import EGMT


def score(
    fuser: Fuser, pairs: Iterable[Pair], policy: str = "predicted"
) -> tuple[list[dict[str, Any]], dict[str, float] | None]:
    """Fuses pairs, and scores the fused images and the classifier.

    Args:
      fuser: a model.
      pairs: 8-bit pairs.
      policy: see `egmt_jax.evaluation.guidance.guided`.

    Returns:
      A row of metrics per pair, see `metrics.score_pairs`; and the classifier's scores on the pairs
      with `present` names, see `metrics.classification`, None if there are none.
    """
    probabilities, labels = [], []

    def fusions():
        for pair, guidance in guided(pairs, policy):
            fused = fuser(pair.luma, pair.infrared, guidance)
            if pair.present is not None:
                probabilities.append(list(fused.probabilities.values()))
                labels.append([name in pair.present for name in fuser.names])
            yield scored_images(pair, to_uint8(fused.luma))

    rows = metrics.score_pairs(fusions(), progress=False)
    if not labels:
        return rows, None
    return rows, classification_scores(np.asarray(probabilities), np.asarray(labels))


def scored_images(pair: Pair, fused: np.ndarray) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Id, fused, visible and infrared, uint8 [H, W], without borders that hold no infrared data."""
    top, left, bottom, right = 0, 0, *pair.infrared.shape[:2]
    while pair.has_infrared is not None:
        inside = pair.has_infrared[top:bottom, left:right]
        missing = [np.mean(~side) for side in (inside[0], inside[:, 0], inside[-1], inside[:, -1])]
        worst = int(np.argmax(missing))
        if not missing[worst]:
            break
        top, left = top + (worst == 0), left + (worst == 1)
        bottom, right = bottom - (worst == 2), right - (worst == 3)
    window = np.s_[top:bottom, left:right]
    return pair.id, fused[window], pair.luma[window], pair.infrared[window][..., 0]


def score_model(model: EGMT, pairs: Iterable[Pair], policy: str) -> dict[str, float]:
    """The mean of every metric, and every classifier score, by name."""
    rows, scores = score(Fuser(model, load_vocabulary().names), pairs, policy)
    return (metrics.summary(rows) if rows else {}) | (scores or {})
