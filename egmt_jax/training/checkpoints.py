"""Orbax checkpoints: training state, position in the data and config; and models read back."""

import itertools
import json
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from flax import nnx
from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.training.processes import is_first, wait_for_all
from egmt_jax.training.step import TrainState
from egmt_jax.weights import load_packed
from egmt_jax.weights.checkpoint import (
    BEST,
    FOLDER,
    checkpoint_steps,
    first_line,
    load_model,
    read_through,
)

UNREADABLE = "unreadable_checkpoints"

SAME = (
    "model",
    "text_features",
    "seed",
    "data.batch_size",
    "data.crop",
    "optimizer.ema",
    "start_from",
)
"""Fields of the config that a resumed run must share with the one it goes on from."""

RELEASED = "released"


class Checkpoints:
    """The checkpoints of one run: the last ones, and the best model by a metric.

    One that cannot be read is moved to `unreadable_checkpoints/` with a warning, and the one before
    it counts as the newest.

    Args:
      workdir: of the run.
      keep: how many of the newest stay.
      config: of the run; saved with each.
      vocabulary: names of the entities; likewise.
      constants: the model's variables that are not trained; likewise.
      data: what it trains on, a line per set, see `mixtures.describe`; likewise.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        keep: int,
        config: ConfigDict,
        vocabulary: tuple[str, ...],
        constants: dict[str, Any],
        data: list[str],
    ):
        workdir = workdir.absolute()
        if is_first():
            _set_aside_unreadable(workdir)
        wait_for_all("unreadable checkpoints set aside")
        self._manager, self._best = (
            ocp.CheckpointManager(
                workdir / folder,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=ocp.checkpoint_managers.LatestN(count),
                    create=True,
                    cleanup_tmp_directories=True,
                ),
            )
            for folder, count in ((FOLDER, keep), (BEST, 1))
        )
        self._constants = constants
        self._about = {
            "config": json.loads(config.to_json()),
            "vocabulary": list(vocabulary),
            "text_dimension": constants["text_features"].shape[1],
            "data": data,
        }
        for step in self._best.all_steps():
            if step > (self.latest or 0):  # its steps are done anew, perhaps in another way
                self._best.delete(step)
        self.best_value: float | None = None
        """The metric of the best model, as it was given to `save_best`; None: of another metric."""
        best = self._best.latest_step()
        if best is not None:
            saved = self._best.restore(best, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
            saved = saved["config"]
            if saved["config"]["evaluation"]["metric"] == config.evaluation.metric:
                self.best_value = saved["value"]

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int) -> None:
        """Saves after `step` steps; returns before the files are written.

        Raises:
          UserError: this or an earlier checkpoint cannot be written.
        """
        if step == self.latest:
            return
        items = {
            "optimizer": ocp.args.StandardSave(state.optimizer),
            # Order and content of batches follow from the config: their number is the position.
            "data": ocp.args.JsonSave({"batches": step}),
        }
        self._write(self._manager, step, state, self._about, items)

    def save_best(self, state: TrainState, step: int, value: float) -> None:
        """Saves the model alone, in place of the best one until now.

        Args:
          state: gives the parameters.
          step: steps done.
          value: of the metric.

        Raises:
          UserError: this or an earlier checkpoint cannot be written.
        """
        if step in self._best.all_steps():
            return
        self._write(self._best, step, state, self._about | {"value": value}, {})
        self.best_value = value

    def _write(self, manager, step, state, about, items):
        items = items | {
            "params": ocp.args.StandardSave(state.params),
            "constants": ocp.args.StandardSave(self._constants),
            "config": ocp.args.JsonSave(about),
        }
        if state.ema is not None:
            items["ema"] = ocp.args.StandardSave(state.ema)
        try:
            # One at a time: the background threads of several processes meet at the same barriers.
            for each in (self._manager, self._best):
                each.wait_until_finished()
            manager.save(step, args=ocp.args.Composite(**items), force=True)
        except Exception as error:
            raise self._failure(error) from error

    def restore(self, state: TrainState) -> tuple[TrainState, int]:
        """The newest checkpoint.

        Args:
          state: gives shapes and shardings.

        Returns:
          The state, and how many batches it has seen.

        Raises:
          UserError: the checkpoint is of another model or of other data.
        """
        step = self.latest
        saved = self._manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
        _check_same(saved["config"], self._about, self._manager.directory)
        parts = {"params": state.params, "optimizer": state.optimizer}
        if state.ema is not None:
            parts["ema"] = state.ema
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                data=ocp.args.JsonRestore(),
                **{name: ocp.args.StandardRestore(_abstract(part)) for name, part in parts.items()},
            ),
        )
        count = jax.device_put(np.asarray(step, np.int32), state.step.sharding)
        state = TrainState(count, **{name: restored[name] for name in parts})
        return state, restored["data"]["batches"]

    def finish(self) -> None:
        """Waits until everything is on disk.

        Raises:
          UserError: a checkpoint cannot be written.
        """
        try:
            for manager in (self._manager, self._best):
                manager.wait_until_finished()
                manager.check_for_errors()
        except Exception as error:
            raise self._failure(error) from error
        for manager in (self._manager, self._best):
            manager.close()

    def _failure(self, error: Exception) -> UserError:
        whole = sorted(checkpoint_steps(self._manager.directory))
        return UserError(
            f"{self._manager.directory}: a checkpoint cannot be written ({first_line(error)}); "
            f"make room and run again. Intact checkpoints: steps {whole}"
        )


def _abstract(tree):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )


def _check_same(saved: dict[str, Any], about: dict[str, Any], where) -> None:
    """Raises UserError where a resumed run has another value of what must not change."""
    for name in SAME:
        mine, theirs = about["config"], saved["config"]
        for part in name.split("."):
            mine, theirs = mine[part], theirs.get(part)
        if theirs is not None and mine != theirs:  # older checkpoints do not tell of all
            raise UserError(
                f"{where}: its run has {name}={theirs!r}, this config {mine!r}; "
                "resume with the same value or choose another --workdir"
            )
    theirs = saved.get("data", about["data"])  # likewise
    if theirs != about["data"]:
        changes = [f"was {line}" for line in theirs if line not in about["data"]]
        changes += [f"is {line}" for line in about["data"] if line not in theirs]
        raise UserError(
            f"{where}: its run has other data ({'; '.join(changes) or 'in another order'}); resume "
            "with the same or choose another --workdir"
        )


def _set_aside_unreadable(workdir: pathlib.Path) -> None:
    """Moves checkpoints away, from the newest on, until one can be read to its last byte."""
    for folder in (FOLDER, BEST):
        for step in sorted(checkpoint_steps(workdir / folder), reverse=True):
            path = workdir / folder / str(step)
            try:
                read_through(path)
                break
            except Exception as error:
                names = (f"{folder}-{step}-{number}" for number in itertools.count(1))
                free = (workdir / UNREADABLE / name for name in names)
                aside = next(path for path in free if not path.exists())
                reason = first_line(error)
                logging.warning(
                    "%s cannot be read (%s): moved to %s; the one before it is used",
                    path,
                    reason[:200],
                    aside,
                )
                try:
                    aside.parent.mkdir(exist_ok=True)
                    path.rename(aside)
                except OSError as failure:
                    raise UserError(
                        f"{path}: cannot be moved to {aside} ({failure.strerror}): delete it"
                    ) from failure


def starting_params(start_from: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that a new run begins with in place of random ones.

    Args:
      start_from: workdir of a run, for its newest checkpoint, or "released", the weights that come
        with the package.
      params: of the new run; gives names and shapes.

    Raises:
      UserError: nothing can be read there, or the model has another size.
    """
    model = load_packed().model if start_from == RELEASED else load_model(start_from)[0]
    found = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    if jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, params):
        raise UserError(
            f"start_from={start_from}: its model has another size than the config's `model` part "
            "says; give that the same values"
        )
    return found
