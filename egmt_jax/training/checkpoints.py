"""Checkpoints of a run (Orbax): training state, position in the data, config and scores."""

import json
import math
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from flax import nnx
from ml_collections import ConfigDict
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from egmt_jax.errors import UserError
from egmt_jax.training.processes import is_first, wait_for_all
from egmt_jax.training.step import TrainState
from egmt_jax.weights import load_packed
from egmt_jax.weights.checkpoint import (
    ABOUT,
    FOLDER,
    as_numpy,
    checkpoint_steps,
    first_line,
    load_model,
    quality,
    read_checkpoint,
)

SAME = (
    "model",
    "text_features",
    "seed",
    "data.batch_size",
    "data.crop",
    "optimizer.ema",
    "start_from",
)
"""Fields of the config that must not change when a run is resumed."""

RELEASED = "released"


class Checkpoints:
    """The checkpoints of one run: the newest ones, and the best one by a metric.

    Args:
      workdir: workdir of the run.
      config: config of the run.
      vocabulary: names of the entities.
      data: a description of the data, see `mixtures.describe`.
      constants: variables of the model that are not trained.
      state: training state with the shapes, types and shardings to restore.

    Raises:
      UserError: the newest checkpoint belongs to another model or other data, or no checkpoint can
        be read.
    """

    def __init__(
        self,
        workdir: epath.Path,
        config: ConfigDict,
        vocabulary: tuple[str, ...],
        data: list[str],
        constants: dict[str, Any],
        state: TrainState,
    ):
        self._folder = workdir / FOLDER
        self._constants = constants
        self._about = {
            "config": json.loads(config.to_json()),
            "vocabulary": list(vocabulary),
            "text_dimension": constants["text_features"].shape[1],
            "data": data,
        }
        if is_first():
            _delete_damaged(self._folder, self._about, _parts(state) | {"constants": constants})
        wait_for_all("damaged checkpoints deleted")
        metric = config.evaluation.metric

        def best(scores):
            return quality(metric, scores[metric]) if metric in scores else -math.inf

        try:
            self._manager = ocp.CheckpointManager(
                self._folder,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=AnyPreservationPolicy(
                        [
                            LatestN(config.checkpoint.keep),
                            BestN(n=1, get_metric_fn=best, keep_checkpoints_without_metrics=False),
                        ]
                    ),
                    best_fn=best,  # without it Orbax would not keep the scores
                    create=True,
                    cleanup_tmp_directories=True,
                ),
            )
        except Exception as error:
            raise UserError(f"{self._folder}: cannot be read ({first_line(error)})") from error

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int, scores: dict[str, float] | None = None) -> None:
        """Saves the state after `step` steps; returns before the files are written.

        Args:
          state: the training state.
          step: steps done.
          scores: scores of the model, if it was evaluated; replaces a checkpoint without scores.

        Raises:
          UserError: this or an earlier checkpoint cannot be written.
        """
        if step == self.latest and not scores:
            return
        items = {name: ocp.args.StandardSave(part) for name, part in _parts(state).items()}
        items["constants"] = ocp.args.StandardSave(self._constants)
        scores = {name: value for name, value in (scores or {}).items() if math.isfinite(value)}
        items[ABOUT] = ocp.args.JsonSave(self._about | {"scores": scores})
        try:
            if step == self.latest:
                self._manager.wait_until_finished()
                self._manager.delete(step)
            self._manager.save(
                step, args=ocp.args.Composite(**items), metrics=scores or None, force=True
            )
        except Exception as error:
            raise self._failure(error) from error

    def restore(self, state: TrainState) -> TrainState:
        """The state of the newest checkpoint, with the shardings of `state`."""
        step, parts = self.latest, _parts(state)
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardRestore(_abstract(part)) for name, part in parts.items()}
            ),
        )
        count = jax.device_put(np.asarray(step, np.int32), state.step.sharding)
        return TrainState(count, **{name: restored[name] for name in parts})

    def finish(self) -> None:
        """Waits until everything is written.

        Raises:
          UserError: a checkpoint cannot be written.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._failure(error) from error
        self._manager.close()

    def _failure(self, error: Exception) -> UserError:
        return UserError(
            f"{self._folder}: a checkpoint cannot be written ({first_line(error)}); free some disk "
            f"space and run again. Complete checkpoints: steps {checkpoint_steps(self._folder)}"
        )


def starting_params(start_from: str, params: dict[str, Any]) -> dict[str, Any]:
    """The initial parameters of a new run that does not start with random ones.

    Args:
      start_from: workdir of a run, for its newest checkpoint, or "released" for the weights of the
        package.
      params: parameters of the new run, for their names and shapes.

    Raises:
      UserError: there are no parameters, or they do not fit.
    """
    model = load_packed().model if start_from == RELEASED else load_model(start_from)[0]
    found = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    if jax.tree.map(np.shape, found) != jax.tree.map(np.shape, params):
        raise UserError(
            f"start_from={start_from}: its model differs in size from the config's `model` part; "
            "set that to the same values"
        )
    return found


def _parts(state: TrainState) -> dict[str, Any]:
    """The parts of a state that are saved; the step is the name of the checkpoint."""
    parts = {"params": state.params, "optimizer": state.optimizer}
    return parts if state.ema is None else parts | {"ema": state.ema}


def _abstract(tree):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )


def _delete_damaged(folder: epath.Path, about: dict[str, Any], parts: dict[str, Any]) -> None:
    """Deletes checkpoints, from the newest on, until one can be read completely.

    Raises:
      UserError: none can be read, or the config does not fit.
    """
    steps = checkpoint_steps(folder)
    for step in reversed(steps):
        path = folder / str(step)
        try:
            saved = read_checkpoint(path, **{ABOUT: ocp.args.JsonRestore()})[ABOUT]
            _check_same(saved, about, folder)
            read_checkpoint(path, **{name: as_numpy(part) for name, part in parts.items()})
            return
        except UserError:
            raise
        except Exception as error:
            if step == steps[0]:
                raise UserError(
                    f"{path}: cannot be read ({first_line(error)}), and there is no older "
                    "checkpoint; delete it to start again"
                ) from error
            logging.warning(
                "%s cannot be read (%s): deleted; the checkpoint before it is used",
                path,
                first_line(error),
            )
            path.rmtree()


def _check_same(saved: dict[str, Any], about: dict[str, Any], folder: epath.Path) -> None:
    """Raises UserError if something changed that must not change on resuming."""
    for name in SAME:
        mine, theirs = about["config"], saved["config"]
        for part in name.split("."):
            mine, theirs = mine[part], theirs.get(part)
        if mine != theirs:
            raise UserError(
                f"{folder}: its run has {name}={theirs!r}, this config {mine!r}; "
                "resume with the same value or choose another --workdir"
            )
    if saved["data"] != about["data"]:
        changes = [f"was {line}" for line in saved["data"] if line not in about["data"]]
        changes += [f"is {line}" for line in about["data"] if line not in saved["data"]]
        raise UserError(
            f"{folder}: its run has other data ({'; '.join(changes) or 'in another order'}); "
            "resume with the same or choose another --workdir"
        )
