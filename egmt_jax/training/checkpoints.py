"""Orbax checkpoints: the training state, the data iterator and the config; and models read back."""

import json
import os
import pathlib
from typing import Any

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.models import EGMT
from egmt_jax.training.step import TrainState

FOLDER = "checkpoints"


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
    """The checkpoints of one run.

    Args:
      workdir: of the run.
      every: steps between checkpoints.
      keep: how many of the newest stay.
    """

    def __init__(self, workdir: pathlib.Path, every: int, keep: int):
        policies = ocp.checkpoint_managers
        self.manager = ocp.CheckpointManager(
            workdir.absolute() / FOLDER,
            options=ocp.CheckpointManagerOptions(
                save_decision_policy=policies.FixedIntervalPolicy(every),
                preservation_policy=policies.LatestN(keep),
                create=True,
            ),
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self.manager.latest_step()

    def save(
        self,
        state: TrainState,
        constants: dict[str, Any],
        config: ConfigDict,
        vocabulary: tuple[str, ...],
        iterator,
        force: bool = False,
    ) -> None:
        """Saves if the step is due, or with `force`; returns before the files are written."""
        step = int(state.step)
        if step == self.latest or not (force or self.manager.should_save(step)):
            return
        self.manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(state.params),
                optimizer=ocp.args.StandardSave(state.optimizer),
                constants=ocp.args.StandardSave(constants),
                config=ocp.args.JsonSave(
                    {
                        "config": json.loads(config.to_json()),
                        "vocabulary": list(vocabulary),
                        "text_dimension": constants["text_features"].shape[1],
                    }
                ),
                data=grain.PyGrainCheckpointSave(iterator),
            ),
            force=True,
        )

    def restore(self, state: TrainState, config: ConfigDict, iterator) -> TrainState:
        """The newest checkpoint, in the shapes and shardings of `state`; the iterator is moved too.

        Raises:
          UserError: the checkpoint is of another model.
        """
        step = self.latest
        saved = self.manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
        saved = saved["config"]["config"]
        for name in ("model", "text_features", "data.batch_size", "seed"):
            mine, theirs = config, saved
            for part in name.split("."):
                mine, theirs = mine[part], theirs[part]
            mine = mine.to_dict() if isinstance(mine, ConfigDict) else mine
            if mine != theirs:
                raise UserError(
                    f"{self.manager.directory}: its run has {name}={theirs}, this config {mine}; "
                    "resume with the same value or choose another --workdir"
                )
        restored = self.manager.restore(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardRestore(_abstract(state.params)),
                optimizer=ocp.args.StandardRestore(_abstract(state.optimizer)),
                data=grain.PyGrainCheckpointRestore(iterator),
            ),
        )
        count = jax.device_put(jnp.asarray(step, jnp.int32), state.step.sharding)
        return TrainState(count, restored["params"], restored["optimizer"])

    def finish(self) -> None:
        """Waits until everything is on disk."""
        self.manager.wait_until_finished()
        self.manager.close()


def _abstract(tree):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )


def load_model(workdir: str | os.PathLike) -> tuple[EGMT, tuple[str, ...], ConfigDict]:
    """The model of the newest checkpoint of a run, on the default device.

    Args:
      workdir: of a training run, made on any number of devices.

    Returns:
      The model, the names of its entities, and the config it was trained by.

    Raises:
      UserError: there is no checkpoint, or it is not one of this kind of model.
    """
    folder = pathlib.Path(workdir).absolute() / FOLDER
    # Not through a manager: one that only reads still warns of every item it was not told about.
    steps = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit()]
    if not steps:
        raise UserError(
            f"{workdir}: no checkpoint in it; train there first, or name another folder"
        )
    path = folder / str(max(steps))
    try:
        saved = ocp.JsonCheckpointHandler().restore(path / "config", args=ocp.args.JsonRestore())
        config, vocabulary = ConfigDict(saved["config"]), tuple(saved["vocabulary"])
        table = np.zeros((len(vocabulary), saved["text_dimension"]), np.float32)
        graphdef, params, constants = nnx.split(build_model(config.model, table), nnx.Param, ...)
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        variables = {}
        for name, state in (("params", params), ("constants", constants)):
            template = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
                nnx.to_pure_dict(state),
            )
            variables[name] = ocp.StandardCheckpointer().restore(path / name, template)
    except (OSError, KeyError, ValueError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a checkpoint of this model ({reason})") from error
    return nnx.merge(graphdef, variables["params"], variables["constants"]), vocabulary, config
