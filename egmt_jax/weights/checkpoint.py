"""Training checkpoints read back as models (Orbax)."""

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

FOLDER, BEST = "checkpoints", "best"

MODEL = frozenset({"config", "constants", "params", "ema"})
"""Items of a checkpoint that make a model."""

METADATA = {".zarray": "zarr", "zarr.json": "zarr3"}
"""File that describes an array on disk -> TensorStore's driver for it."""


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
    steps = sorted(checkpoint_steps(folder), reverse=True)
    if not steps:
        found = (
            "no checkpoint"
            if not best
            else "no best model, which evaluations during training keep,"
        )
        raise UserError(f"{workdir}: {found} in it; train there first, or name another folder")
    for step in steps:
        try:
            read_through(folder / str(step), MODEL)
            return _model_of(folder / str(step))
        except Exception as error:
            failure = f"{folder / str(step)}: not a checkpoint of this model "
            failure += f"({first_line(error)[:300]})"
            if step == steps[-1]:
                raise UserError(failure) from error
            logging.warning("%s; the one before it is used", failure)
    raise AssertionError("not reached")


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


def checkpoint_steps(folder: pathlib.Path) -> list[int]:
    """Steps of the complete checkpoints in a folder; unfinished ones have other names."""
    return [int(path.name) for path in pathlib.Path(folder).glob("[0-9]*") if path.name.isdigit()]


def first_line(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def read_through(path: pathlib.Path, wanted: frozenset[str] | None = None) -> None:
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
