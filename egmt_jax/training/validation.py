"""Sample pictures and scores of validation pairs during training."""

import itertools

import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from egmt_jax.data import mixtures
from egmt_jax.evaluation.scoring import score_model
from egmt_jax.inference.drawing import sample_sheet
from egmt_jax.models import EGMT
from egmt_jax.training.logs import PREFIX, RunLog
from egmt_jax.training.processes import StopSignal, is_first

PICTURED = 4
"""Pairs of a sample picture."""


def is_due(step: int, every: int) -> bool:
    """Whether an event that occurs every so many steps occurs after this one; 0: never."""
    return every > 0 and step % every == 0


class Validation:
    """Pictures and scores of a few validation pairs, at intervals and after the last step.

    The first process does the work on one device; the others wait. `picture` is the newest picture.
    """

    def __init__(self, config: ConfigDict, mixture: list[mixtures.Component]):
        self.picture: np.ndarray | None = None
        self._mixture, self._split = mixture, config.data.validation_split
        self._settings, self._steps = config.evaluation, config.optimizer.steps
        self._pictures_every, self._every = config.log.pictures_every, config.evaluation.every
        wanted = self._pictures_every or self._every
        if wanted and not mixtures.sample_pairs(mixture, self._split, 1):
            message = (
                "no pairs in data.validation_split=%s: no pictures, no evaluation, no best model"
            )
            logging.warning(message, self._split)
            self._pictures_every = self._every = 0

    def due(self, step: int) -> tuple[bool, bool]:
        """Whether a picture, and whether an evaluation, is due after this step."""
        last = step == self._steps
        everies = self._pictures_every, self._every
        draws, scores = (is_due(step, every) or (every > 0 and last) for every in everies)
        return draws, scores

    def draw(self, model: EGMT, log: RunLog, step: int) -> None:
        """Draws and logs a picture."""
        if is_first():
            pairs = mixtures.sample_pairs(self._mixture, self._split, PICTURED)
            self.picture = sample_sheet(model, pairs)
            log.picture(self.picture, step)

    def score(
        self, model: EGMT, log: RunLog, stop: StopSignal, step: int
    ) -> dict[str, float] | None:
        """Evaluates and logs; a stop signal ends the evaluation without scores, None.

        Every process returns the metric of `evaluation.metric`, the first process all scores.
        """
        scores: dict[str, float] = {}
        if is_first():
            pairs = mixtures.sample_pairs(self._mixture, self._split, self._settings.most)
            until_stopped = itertools.takewhile(lambda _: not stop.noted, pairs)
            scores = score_model(model, until_stopped, self._settings.guidance)
            if stop.noted:
                scores = {}
            else:
                log.scalars({PREFIX + name: score for name, score in scores.items()}, step)
        metric = self._settings.metric
        own = np.asarray(scores.get(metric, np.nan), np.float32)
        value = float(multihost_utils.broadcast_one_to_all(own))
        return scores | {metric: value} if np.isfinite(value) else None
