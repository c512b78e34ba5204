"""The mesh of devices, and the sharding of each array of the training state."""

import functools
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from egmt_jax.errors import UserError

RULES = (
    # Output channels of every convolution and linear layer, with their Adam moments.
    (re.compile(r"kernel'\]$"), -1),
    (re.compile(r"(value|output)'\]$"), -1),
)
"""Pattern of the path of a leaf -> axis that is split over `model`; other leaves are replicated."""


def make_mesh(data: int, model: int) -> Mesh:
    """A mesh with axes `data` and `model` over the devices of all processes.

    Args:
      data: number of shards of a batch; -1: all devices that `model` leaves.
      model: number of shards of the parameters.

    Raises:
      UserError: the product is not the number of devices.
    """
    devices = jax.device_count()
    if data == -1 and model > 0 and devices % model == 0:
        data = devices // model
    if data * model != devices or model < 1:
        raise UserError(
            f"mesh.data={data} x mesh.model={model} does not fit {devices} devices; "
            "mesh.data=-1 takes all devices that mesh.model leaves"
        )
    # Explicit axes, jax's default, do not support sharded convolutions.
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def state_shardings(state, mesh: Mesh):
    """A sharding per leaf of the training state, by `RULES`; replicated if an axis does not divide.

    Args:
      state: any tree of arrays or shapes.
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


def replicated(tree, mesh: Mesh):
    """A sharding per leaf with a copy on every device."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree)


def put(tree, shardings):
    """Places a tree of arrays, which every process has in full, on the devices of all processes."""
    return jax.device_put(jax.tree.map(np.asarray, tree), shardings)


def local_copy(tree):
    """Sharded arrays as full NumPy arrays in every process; all processes must call it."""
    if all(leaf.is_fully_addressable for leaf in jax.tree.leaves(tree)):
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


@functools.cache  # called at every step
def data_share(mesh: Mesh) -> tuple[int, int]:
    """Index of the share of every batch that this process's devices need, and number of shares.

    Processes whose devices lie along the `model` axis need the same share.
    """

    def blocks(process):
        return tuple(
            block
            for block, devices in enumerate(mesh.devices)
            if any(device.process_index == process for device in devices)
        )

    shares = sorted({blocks(device.process_index) for device in mesh.devices.flat})
    return shares.index(blocks(jax.process_index())), len(shares)


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this process's share of a batch on its devices, split along the first axis.

    Args:
      batch: the share of `data_share`.
      mesh: from `make_mesh`.

    Raises:
      UserError: the batch does not split evenly.
    """
    rows = len(next(iter(batch.values()))) * data_share(mesh)[1]
    if rows % mesh.shape["data"]:
        raise UserError(
            f"data.batch_size={rows} must be a multiple of the {mesh.shape['data']} devices of the "
            "mesh's data axis"
        )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return {
        name: jax.make_array_from_process_local_data(sharding, value, (rows, *value.shape[1:]))
        for name, value in batch.items()
    }
