"""Scores of a model on pairs: fusion metrics and the classifier's, with a choice of guidance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from egmt_jax import metrics
from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8
from egmt_jax.metrics.classification import classification_scores
from egmt_jax.models import EGMT, Entities

GIVEN = ("probabilities", "own", "shuffled")


def guided(
    pairs: Iterable[Pair], given: str, sentences: Mapping[str, np.ndarray] | None = None
) -> Iterator[tuple[Pair, Sequence[str] | Entities | None]]:
    """Pairs with what guides their fusion, as a `Fuser` takes it.

    Args:
      pairs: any number.
      given: "probabilities" leaves guidance to the classifier (None), "own" gives each pair its
        entities, "shuffled" those of the pair half of all pairs away, for neighbours may show the
        same. "sentence" gives the features of each pair's caption in place of entities.
      sentences: those features by caption, see `egmt_jax.entities.sentences`; for "sentence" only.

    Raises:
      UserError: another word.
    """
    if given not in GIVEN:
        raise UserError(f"evaluation.given={given!r}: known are {', '.join(GIVEN)}")
    if given == "shuffled":
        pairs = list(pairs)
        half = len(pairs) // 2
        for pair, other in zip(pairs, pairs[half:] + pairs[:half], strict=True):
            yield pair, other.entities if half else ()
        return
    for pair in pairs:
        if given == "sentence":
            feature, known = sentences[pair.caption], np.full((1, 1), bool(pair.caption))
            yield pair, Entities(feature[None, None], known.astype(np.float32))
        else:
            yield pair, pair.entities if given == "own" else None


def score(
    fuser: Fuser,
    pairs: Iterable[Pair],
    given: str = "probabilities",
    sentences: Mapping[str, np.ndarray] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, float] | None]:
    """Fuses pairs and scores the pictures, and the classifier on those with entities.

    Args:
      fuser: of a model.
      pairs: with at least one pair.
      given: see `guided`.
      sentences: likewise.

    Returns:
      A row of metrics per pair, see `metrics.score_pairs`; and the scores of the classifier, see
      `metrics.classification`, None where no pair has entities.
    """
    probabilities, labels = [], []

    def fused_pairs():
        for pair, entities in guided(pairs, given, sentences):
            fusion = fuser(pair.luma, pair.infrared, entities)
            if pair.entities:
                probabilities.append(list(fusion.probabilities.values()))
                present = np.zeros(len(fuser.names), bool)
                ids = fuser.ids(pair.entities)
                present[ids[ids >= 0]] = True
                labels.append(present)
            yield pair.id, to_uint8(fusion.fused), pair.luma, pair.infrared[..., 0]

    rows = metrics.score_pairs(fused_pairs(), progress=False)
    if not labels:
        return rows, None
    return rows, classification_scores(np.asarray(probabilities), np.asarray(labels))


def score_model(model: EGMT, pairs: Iterable[Pair], given: str) -> dict[str, float]:
    """Scores a model on pairs during training: every metric and classifier score by name."""
    rows, scores = score(Fuser(model, load_vocabulary().names), pairs, given)
    return (metrics.summary(rows) if rows else {}) | (scores or {})
