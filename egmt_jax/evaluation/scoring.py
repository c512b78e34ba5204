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
            yield pair.id, to_uint8(fused.luma), pair.luma, pair.infrared[..., 0]

    rows = metrics.score_pairs(fusions(), progress=False)
    if not labels:
        return rows, None
    return rows, classification_scores(np.asarray(probabilities), np.asarray(labels))


def score_model(model: EGMT, pairs: Iterable[Pair], policy: str) -> dict[str, float]:
    """The mean of every metric, and every classifier score, by name."""
    rows, scores = score(Fuser(model, load_vocabulary().names), pairs, policy)
    return (metrics.summary(rows) if rows else {}) | (scores or {})
