"""Scores of a multi-label classifier: average precision, its gain over chance, F1."""

from collections.abc import Sequence

import numpy as np

Values = np.ndarray | Sequence


def average_precision(scores: Values, labels: Values) -> np.ndarray | float:
    """Mean, over positives, of the precision at each, [...] in (0, 1]; nan without a positive.

    Chance level is the prevalence. Ties count in their worst order.

    Args:
      scores: float [..., N]; higher is more likely.
      labels: bool [..., N].
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    ranked = np.take_along_axis(labels, np.lexsort((labels, -scores), axis=-1), axis=-1)
    precision = np.cumsum(ranked, axis=-1) / np.arange(1, ranked.shape[-1] + 1)
    positives = ranked.sum(axis=-1)
    return (precision * ranked).sum(axis=-1) / np.where(positives > 0, positives, np.nan)


def normalised_gain(precision: Values | float, prevalence: Values | float) -> np.ndarray | float:
    """(AP - p) / (1 - p), [...]: 0 for chance p, 1 for a perfect ranking, nan where p is 1."""
    rest = 1.0 - np.asarray(prevalence, np.float64)
    return (np.asarray(precision) - prevalence) / np.where(rest > 0.0, rest, np.nan)


def classification_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Summary of a classifier over pairs, from float [N, K] in [0, 1] and bool [N, K].

    Returns:
      `mAP`: mean average precision over the entities with a positive; `gain`: mean
      `normalised_gain` over the entities of prevalence 0 < p < 0.5; `F1_micro` and `F1_macro` at
      probability 0.5, `F1_macro` over the entities with a positive; `entities`: number of these.
      A mean over no entity is nan.
    """
    probabilities, labels = np.asarray(probabilities).T, np.asarray(labels, bool).T
    prevalence = labels.mean(axis=1)
    present, rare = prevalence > 0.0, (prevalence > 0.0) & (prevalence < 0.5)
    precision = np.asarray(average_precision(probabilities, labels))
    predicted = probabilities >= 0.5
    correct = (predicted & labels).sum(axis=1)
    either = predicted.sum(axis=1) + labels.sum(axis=1)
    return {
        "mAP": _mean(precision[present]),
        "gain": _mean(np.asarray(normalised_gain(precision, prevalence))[rare]),
        "F1_micro": float(2.0 * correct.sum() / either.sum()) if either.sum() else float("nan"),
        "F1_macro": _mean(2.0 * correct[present] / either[present]),
        "entities": int(present.sum()),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
