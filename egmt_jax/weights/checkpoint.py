"""Reads models from the checkpoints of a training run (Orbax)."""

import math
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from flax import nnx
from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.metrics import METRICS
from egmt_jax.models import EGMT

FOLDER = "checkpoints"
ABOUT = "config"
"""Item of a checkpoint with the config, the vocabulary, the data and the scores, as JSON."""


def build_model(settings: ConfigDict, text_features, seed: int = 0) -> EGMT:
    """The model of a config's `model` part; raises UserError if it does not fit."""
    arguments = settings.to_dict()
    try:
        arguments["dtype"] = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[arguments["dtype"]]
        return EGMT(text_features, **arguments, rngs=nnx.Rngs(seed))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"model: {error}") from error


def load_model(
    workdir: str | os.PathLike, best: bool = False
) -> tuple[EGMT, tuple[str, ...], ConfigDict]:
    """Loads the model of the newest readable checkpoint of a run to the default device.

    With `best`, of the best one by the run's `evaluation.metric`.

    Returns:
      The model (with averaged parameters, if the run has them), the names of its entities, and the
      config of the run.

    Raises:
      UserError: there is no checkpoint, or it has another kind of model.
    """
    folder = absolute(workdir) / FOLDER
    steps = checkpoint_steps(folder)
    if best:
        steps = _evaluated_steps(folder, steps)
    if not steps:
        what = "no best model, because no checkpoint has scores," if best else "no checkpoint"
        raise UserError(f"{workdir}: {what} in it; train there first, or name another folder")
    for step in reversed(steps):
        try:
            return _read_model(folder / str(step))
        except Exception as error:
            failure = f"{folder / str(step)}: not a checkpoint of this model ({first_line(error)})"
            if step == steps[0]:
                raise UserError(failure) from error
            logging.warning("%s; the one before it is used", failure)
    raise AssertionError("not reached")


def absolute(path: str | os.PathLike) -> epath.Path:
    """A local path, made absolute, or a remote one such as gs://bucket/run."""
    found = epath.Path(path)
    return found if found.is_absolute() else found.absolute()


def checkpoint_steps(folder: epath.Path) -> list[int]:
    """Steps of the complete checkpoints in a folder, in order; unfinished ones have other names."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(int(name) for name in names if name.isdigit())


def read_checkpoint(path: epath.Path, **items: ocp.args.CheckpointArgs) -> dict[str, Any]:
    """Reads items of a checkpoint in this process; raises whatever goes wrong."""
    hook = sys.unraisablehook

    def without_closed_loops(unraisable):
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    # When one read fails, Orbax closes its event loop, and other reads fail to report to it, then
    # or later: so after a failure this hook stays.
    sys.unraisablehook = without_closed_loops
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        restored = dict(checkpointer.restore(path, args=ocp.args.Composite(**items)))
    sys.unraisablehook = hook
    return restored


def read_about(path: epath.Path) -> dict[str, Any]:
    """The item `ABOUT` of a checkpoint."""
    return read_checkpoint(path, **{ABOUT: ocp.args.JsonRestore()})[ABOUT]


def as_numpy(tree: Any) -> ocp.args.StandardRestore:
    """Restores arrays as NumPy arrays with the shapes and types of a tree, on any devices."""
    return ocp.args.StandardRestore(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), tree))


def first_line(error: Exception) -> str:
    """The first line of the message of an exception, without the middle of a long one."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 300 else f"{line[:140]} ... {line[-140:]}"


def _read_model(path: epath.Path) -> tuple[EGMT, tuple[str, ...], ConfigDict]:
    about = read_about(path)
    config, vocabulary = ConfigDict(about["config"]), tuple(about["vocabulary"])
    table = np.zeros((len(vocabulary), about["text_dimension"]), np.float32)
    model = nnx.eval_shape(lambda: build_model(config.model, table))
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    templates = {
        "ema" if (path / "ema").exists() else "params": nnx.to_pure_dict(params),
        "constants": nnx.to_pure_dict(constants),
    }
    read = read_checkpoint(path, **{name: as_numpy(tree) for name, tree in templates.items()})
    states = [jax.tree.map(jnp.asarray, read[name]) for name in templates]
    return nnx.merge(graphdef, *states), vocabulary, config


def _evaluated_steps(folder: epath.Path, steps: list[int]) -> list[int]:
    """Steps with scores, the best last, by the metric of the newest one."""
    scores: dict[int, dict[str, float]] = {}
    metric = ""
    for step in steps:
        try:
            about = read_about(folder / str(step))
        except Exception as error:
            logging.warning("%s cannot be read (%s)", folder / str(step), first_line(error))
            continue
        scores[step] = about.get("scores") or {}
        metric = about["config"]["evaluation"]["metric"]
    steps = [step for step in scores if metric in scores[step]]
    return sorted(steps, key=lambda step: quality(metric, scores[step]))


def quality(metric: str, scores: dict[str, float]) -> float:
    """The score of a metric, negated if lower is better; -inf if there is none."""
    if metric not in scores:
        return -math.inf
    return scores[metric] if METRICS[metric] == "higher" else -scores[metric]
