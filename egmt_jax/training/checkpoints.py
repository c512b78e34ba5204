"""Orbax checkpoints: training state, position in the data and config; and models read back."""

import itertools
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import tensorstore
from absl import logging
from flax import nnx
from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.models import EGMT
from egmt_jax.pretrained import load_packed
from egmt_jax.training.processes import is_first, wait_for_all
from egmt_jax.training.step import TrainState

FOLDER, BEST, UNREADABLE = "checkpoints", "best", "unreadable_checkpoints"

MODEL = frozenset({"config", "constants", "params", "ema"})
"""Items of a checkpoint that make a model."""

METADATA = {".zarray": "zarr", "zarr.json": "zarr3"}
"""File that describes an array on disk -> TensorStore's driver for it."""

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


def build_model(settings: ConfigDict, text_features, seed: int = 0) -> EGMT:
    """The model of a config's `model` part.

    Raises:
      UserError: a field that `EGMT` does not know, or a value that does not fit.
    """
    arguments = settings.to_dict()
    try:
        arguments["dtype"] = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[arguments["dtype"]]
    except KeyError as error:
        raise UserError(
            f"model.dtype={arguments.get('dtype')!r}: float32 or bfloat16 is known"
        ) from error
    try:
        return EGMT(text_features, **arguments, rngs=nnx.Rngs(seed))
    except (TypeError, ValueError) as error:
        raise UserError(f"model: {error}") from error


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
        whole = sorted(_steps(self._manager.directory))
        return UserError(
            f"{self._manager.directory}: a checkpoint cannot be written ({_reason(error)}); make "
            f"room and run again. Whole are those of the steps {whole}"
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


def _steps(folder: pathlib.Path) -> list[int]:
    """Steps of the complete checkpoints in a folder; unfinished ones have other names."""
    return [int(path.name) for path in pathlib.Path(folder).glob("[0-9]*") if path.name.isdigit()]


def _set_aside_unreadable(workdir: pathlib.Path) -> None:
    """Moves checkpoints away, from the newest on, until one can be read to its last byte."""
    for folder in (FOLDER, BEST):
        for step in sorted(_steps(workdir / folder), reverse=True):
            path = workdir / folder / str(step)
            try:
                _read_through(path)
                break
            except Exception as error:
                names = (f"{folder}-{step}-{number}" for number in itertools.count(1))
                free = (workdir / UNREADABLE / name for name in names)
                aside = next(path for path in free if not path.exists())
                reason = _reason(error)
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


def _reason(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_through(path: pathlib.Path, wanted: frozenset[str] | None = None) -> None:
    """Reads every array of a checkpoint, or of the wanted items; raises whatever goes wrong."""
    items = {item.name for item in path.iterdir() if item.is_dir()}
    if not {"config", "constants", "params"} <= items:
        raise FileNotFoundError(f"it has only {sorted(items)}")
    for name in items if wanted is None else items & wanted:
        if name in ("config", "data"):
            _read_json(path / name)
            continue
        for file in (path / name).glob("_*"):
            json.loads(file.read_text())
        # Straight from TensorStore: Orbax leaves its other reads running when one of them fails.
        base = {"driver": "ocdbt", "base": f"file://{path / name}/"}
        for key in tensorstore.KvStore.open(base).result().list().result():
            array, _, file = key.decode().rpartition("/")
            if file in METADATA:
                spec = {"driver": METADATA[file], "kvstore": base | {"path": f"{array}/"}}
                tensorstore.open(spec).result().read().result()


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    return ocp.JsonCheckpointHandler().restore(path, args=ocp.args.JsonRestore())


def _read_arrays(path: pathlib.Path, template: dict[str, Any]) -> dict[str, Any]:
    """A tree of a checkpoint, built like `template`, as NumPy arrays, for this process alone."""
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), template)
    return ocp.PyTreeCheckpointHandler().restore(
        path, args=ocp.args.PyTreeRestore(item=template, restore_args=as_numpy)
    )


def load_model(
    workdir: str | os.PathLike, best: bool = False
) -> tuple[EGMT, tuple[str, ...], ConfigDict]:
    """The model of the newest checkpoint of a run that can be read, on the default device.

    Args:
      workdir: of a training run, made on any number of devices.
      best: the best by the run's metric instead of the newest.

    Returns:
      The model (with averaged parameters, where the run kept them), the names of its entities, and
      the config it was trained by.

    Raises:
      UserError: there is no checkpoint, or it is not one of this kind of model.
    """
    folder = pathlib.Path(workdir).absolute() / (BEST if best else FOLDER)
    # Not through a manager: one that only reads still warns of every item it was not told about.
    steps = sorted(_steps(folder), reverse=True)
    if not steps:
        found = (
            "no checkpoint"
            if not best
            else "no best model, which evaluations during training keep,"
        )
        raise UserError(f"{workdir}: {found} in it; train there first, or name another folder")
    for step in steps:
        try:
            _read_through(folder / str(step), MODEL)
            return _model_of(folder / str(step))
        except Exception as error:
            failure = f"{folder / str(step)}: not a checkpoint of this model "
            failure += f"({_reason(error)[:300]})"
            if step == steps[-1]:
                raise UserError(failure) from error
            logging.warning("%s; the one before it is used", failure)
    raise AssertionError("not reached")


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


def _model_of(path: pathlib.Path) -> tuple[EGMT, tuple[str, ...], ConfigDict]:
    saved = _read_json(path / "config")
    config, vocabulary = ConfigDict(saved["config"]), tuple(saved["vocabulary"])
    table = np.zeros((len(vocabulary), saved["text_dimension"]), np.float32)
    graphdef, params, constants = nnx.split(build_model(config.model, table), nnx.Param, ...)
    variables = []
    kept = "ema" if (path / "ema").exists() else "params"
    for name, state in ((kept, params), ("constants", constants)):
        template = nnx.to_pure_dict(state)
        read = _read_arrays(path / name, template)
        shapes = jax.tree.map(jnp.shape, template), jax.tree.map(jnp.shape, read)
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} have other names or shapes than config.json says")
        variables.append(jax.tree.map(jnp.asarray, read))
    return nnx.merge(graphdef, *variables), vocabulary, config
