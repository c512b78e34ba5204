"""One mesh of devices, and where each array of the training state lies on it."""

import re

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from egmt_jax.errors import UserError

RULES = (
    # Output channels of every convolution and linear layer, and of their Adam moments.
    (re.compile(r"kernel'\]$"), -1),
    (re.compile(r"(value|output)'\]$"), -1),
)
"""Path of a leaf -> the axis that is split over `model`; what matches nothing is replicated."""


def make_mesh(data: int, model: int) -> Mesh:
    """A mesh with axes `data` and `model` over the devices of all processes.

    Args:
      data: how many ways a batch is split; -1: as many as are left.
      model: how many ways parameters are split.

    Raises:
      UserError: the two do not multiply to the number of devices.
    """
    devices = jax.device_count()
    if data == -1 and model > 0 and devices % model == 0:
        data = devices // model
    if data * model != devices or model < 1:
        raise UserError(
            f"mesh.data={data} x mesh.model={model} does not fit {devices} devices; "
            "mesh.data=-1 takes what mesh.model leaves"
        )
    # Explicit axes, jax's default, do not support sharded convolutions.
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def state_shardings(state, mesh: Mesh):
    """A sharding per leaf of the training state, by `RULES`; what does not divide is kept whole.

    Args:
      state: any tree of arrays or of their shapes.
      mesh: from `make_mesh`.
    """

    def sharding(path, leaf):
        name = jax.tree_util.keystr(path)
        for pattern, axis in RULES:
            if pattern.search(name) and leaf.ndim and leaf.shape[axis] % mesh.shape["model"] == 0:
                spec = [None] * leaf.ndim
                spec[axis] = "model"
                return NamedSharding(mesh, PartitionSpec(*spec))
        return NamedSharding(mesh, PartitionSpec())

    return jax.tree_util.tree_map_with_path(sharding, state)


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this process's share of a batch on its devices, split along the first axis.

    Raises:
      UserError: the batch does not split evenly.
    """
    rows = len(next(iter(batch.values()))) * jax.process_count()
    if rows % mesh.shape["data"]:
        raise UserError(
            f"data.batch_size={rows} must be a multiple of the {mesh.shape['data']} devices of the "
            "mesh's data axis"
        )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return {
        name: jax.make_array_from_process_local_data(sharding, value)
        for name, value in batch.items()
    }
