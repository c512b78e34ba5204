"""Scores of a multi-label classifier: average precision, its gain over chance, F1."""

import numpy as np


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the precision-recall steps: the mean, over positives, of the precision at each.

    Ties count at their worst order, so that a constant score gets no credit from luck.

    Args:
      scores: float [N], higher is more likely.
      labels: bool [N]; at least one True.

    Returns:
      In (0, 1]; the prevalence is what chance gives.

    Raises:
      ValueError: no positive.
    """
    labels = np.asarray(labels, bool)
    if not labels.any():
        raise ValueError("average precision needs at least one positive")
    ranked = labels[np.lexsort((labels, -np.asarray(scores)))]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def classification_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Summary of a classifier over pairs.

    Args:
      probabilities: float [N, K] in [0, 1].
      labels: bool [N, K].

    Returns:
      `mAP`: mean average precision over the entities with a positive; `gain`: the mean of
      (AP - p) / (1 - p) over entities of prevalence 0 < p < .5, 0 for chance and 1 for a perfect
      ranking; `F1_micro` and `F1_macro` at probability .5, the second over entities with a
      positive; `entities`, how many those are. A value without any entity to count is nan.
    """
    labels = np.asarray(labels, bool)
    prevalence = labels.mean(axis=0)
    present = np.flatnonzero(prevalence > 0.0)
    precision = {k: average_precision(probabilities[:, k], labels[:, k]) for k in present}
    gains = [
        (precision[k] - prevalence[k]) / (1.0 - prevalence[k])
        for k in present
        if prevalence[k] < 0.5
    ]
    chosen = np.asarray(probabilities) >= 0.5
    right = (chosen & labels).sum(axis=0)
    either = chosen.sum(axis=0) + labels.sum(axis=0)
    return {
        "mAP": _mean(list(precision.values())),
        "gain": _mean(gains),
        "F1_micro": float(2.0 * right.sum() / either.sum()) if either.sum() else float("nan"),
        "F1_macro": _mean(list(2.0 * right[present] / either[present])),
        "entities": len(present),
    }


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
