"""Checkpoints of a run (Orbax): training state, position in the data, config and scores."""

import functools
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
from egmt_jax.weights import RELEASED, load_packed
from egmt_jax.weights import checkpoint as files

SAME = ["model", "text_features", "seed", "start_from"]
SAME += ["data.batch_size", "data.crop", "optimizer.ema"]
"""Fields of the config that must not change when a run is resumed."""

FORMAT = 2
"""Number of the format; the state of another one cannot be restored."""


class Checkpoints:
    """The checkpoints of one run: the newest ones, and the best one by a metric.

    `data` is from `mixtures.describe`; `constants` are the variables that are not trained; `state`
    has the shapes, types and shardings to restore. Raises UserError if the newest checkpoint
    belongs to another model or other data, or none can be read.
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
        self._folder = workdir / files.FOLDER
        self._constants = constants
        self._about = {
            "format": FORMAT,
            "config": json.loads(config.to_json()),
            "vocabulary": list(vocabulary),
            "text_dimension": constants["text_features"].shape[1],
            "data": data,
        }
        if is_first():
            _delete_damaged(self._folder, self._about, _parts(state) | {"constants": constants})
        wait_for_all("damaged checkpoints deleted")
        best = functools.partial(files.quality, config.evaluation.metric)
        newest = LatestN(config.checkpoint.keep)
        best_one = BestN(n=1, get_metric_fn=best, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy([newest, best_one]),
            best_fn=best,  # without it Orbax would not keep the scores
            create=True,
            cleanup_tmp_directories=True,
        )
        try:
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        except Exception as error:
            raise UserError(f"{self._folder}: {files.first_line(error)}") from error

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int, scores: dict[str, float] | None = None) -> None:
        """Saves the state after `step` steps; returns before the files are written.

        With scores it replaces a checkpoint of the same step without scores. Raises UserError if
        this or an earlier checkpoint cannot be written.
        """
        if step == self.latest and not scores:
            return
        items = {name: ocp.args.StandardSave(part) for name, part in _parts(state).items()}
        items["constants"] = ocp.args.StandardSave(self._constants)
        scores = {name: value for name, value in (scores or {}).items() if math.isfinite(value)}
        items[files.ABOUT] = ocp.args.JsonSave(self._about | {"scores": scores})
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
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, parts)
        items = {name: ocp.args.StandardRestore(part) for name, part in abstract.items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        count = jax.device_put(np.asarray(step, np.int32), state.step.sharding)
        return TrainState(count, **{name: restored[name] for name in parts})

    def finish(self) -> None:
        """Waits until everything is written; raises UserError if that fails."""
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._failure(error) from error
        self._manager.close()

    def _failure(self, error: Exception) -> UserError:
        reason, steps = files.first_line(error), files.checkpoint_steps(self._folder)
        return UserError(
            f"{self._folder}: a checkpoint cannot be written ({reason}); free some disk space and "
            f"run again. Complete checkpoints: steps {steps}"
        )


def starting_params(start_from: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the newest checkpoint of a workdir, or of the released weights named.

    Raises UserError if there are none, or they have other names or shapes than `params`.
    """
    released = start_from in RELEASED
    model = load_packed(start_from).model if released else files.load_model(start_from)[0]
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


def _delete_damaged(folder: epath.Path, about: dict[str, Any], parts: dict[str, Any]) -> None:
    """Deletes checkpoints newer than the newest complete one; none if that does not fit."""
    items = {name: files.as_numpy(part) for name, part in parts.items()}
    damaged: dict[epath.Path, str] = {}
    for step in reversed(files.checkpoint_steps(folder)):
        path = folder / str(step)
        try:
            _check_same(files.read_about(path), about, folder)
            files.read_checkpoint(path, **items)
        except UserError:
            raise
        except Exception as error:
            damaged[path] = files.first_line(error)
            continue
        for path, reason in damaged.items():
            logging.warning("%s cannot be read (%s): deleted; the one before is used", path, reason)
            path.rmtree()
        return
    for path, reason in damaged.items():
        raise UserError(
            f"{path}: cannot be read ({reason}), nor any other checkpoint; delete it to start again"
        )


def _check_same(saved: dict[str, Any], about: dict[str, Any], folder: epath.Path) -> None:
    """Raises UserError if something changed that must not change on resuming."""
    if saved.get("format") != FORMAT:
        raise UserError(f"{folder}: of another version of egmt_jax; choose another --workdir")
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
