"""Looking at the model on validation pairs during training; the best one is kept."""

from typing import Any

import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from egmt_jax.data import mixtures
from egmt_jax.errors import UserError
from egmt_jax.evaluation import scoring
from egmt_jax.inference.sheets import sample_sheet
from egmt_jax.metrics import METRICS
from egmt_jax.models import EGMT
from egmt_jax.training.checkpoints import Checkpoints
from egmt_jax.training.logs import PREFIX, RunLog
from egmt_jax.training.processes import StopSignal, is_first
from egmt_jax.training.step import TrainState

PICTURED = 4


def is_due(step: int, every: int) -> bool:
    """Whether something that happens every so many steps happens after this one; 0: never."""
    return every > 0 and step % every == 0


class Validation:
    """Pictures and metrics of a few validation pairs, now and then and after the last step.

    The first process does the work, on one device, while the others wait.

    Args:
      config: of the run: `evaluation`, `log.pictures_every`, `data.validation_split`.
      mixture: whose validation pairs are looked at; sets without any give none.

    Raises:
      UserError: there is no such metric.
    """

    def __init__(self, config: ConfigDict, mixture: list[mixtures.Component]):
        metric = config.evaluation.metric
        if metric not in METRICS:
            raise UserError(f"evaluation.metric={metric!r}: known are {', '.join(METRICS)}")
        self.picture: np.ndarray | None = None
        """The last one drawn."""
        self._metric, self._sign = metric, 1.0 if METRICS[metric] == "higher" else -1.0
        self._mixture, self._split = mixture, config.data.validation_split
        self._steps = config.optimizer.steps
        self._pictures_every, self._every = config.log.pictures_every, config.evaluation.every
        self._guidance = config.evaluation.given
        self._most = config.evaluation.most
        if not mixtures.sample_pairs(mixture, self._split, 1):
            if max(self._pictures_every, self._every) > 0:
                logging.warning(
                    "no pairs in data.validation_split=%s: nothing is evaluated or pictured during "
                    "training, and no best model is kept",
                    self._split,
                )
            self._pictures_every = self._every = 0

    def draws_at(self, step: int) -> bool:
        """Whether a picture is due after this step."""
        return self._due(step, self._pictures_every)

    def scores_at(self, step: int) -> bool:
        """Whether an evaluation is due after this step."""
        return self._due(step, self._every)

    def _due(self, step, every):
        return every > 0 and (is_due(step, every) or step == self._steps)

    def draw(self, model: EGMT, log: RunLog, step: int) -> None:
        """Draws and logs a picture."""
        if is_first():
            pairs = mixtures.sample_pairs(self._mixture, self._split, PICTURED)
            self.picture = sample_sheet(model, pairs)
            log.picture(self.picture, step)

    def score(
        self,
        model: EGMT,
        state: TrainState,
        checkpoints: Checkpoints,
        log: RunLog,
        stop: StopSignal,
        step: int,
    ) -> None:
        """Evaluates, logs, and saves the model if it is the best; given up when told to stop."""
        value: Any = np.nan
        if is_first():
            pairs = mixtures.sample_pairs(self._mixture, self._split, self._most)
            scores = scoring.score_model(
                model, (pair for pair in pairs if not stop.noted), self._guidance
            )
            if not stop.noted:
                value = scores[self._metric]
                log.scalars({PREFIX + name: score for name, score in scores.items()}, step)
        value = float(multihost_utils.broadcast_one_to_all(np.asarray(value, np.float32)))
        best = checkpoints.best_value
        if np.isfinite(value) and (best is None or self._sign * (value - best) > 0.0):
            checkpoints.save_best(state, step, value)
