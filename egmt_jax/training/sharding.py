"""The mesh of devices, and the sharding of each array of the training state."""

import functools
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from egmt_jax.errors import UserError

SPLIT = re.compile(r"(kernel|value|output)'\]$")
"""Paths of leaves whose last axis, the output channels, is split over `model`."""


def make_mesh(data: int, model: int) -> Mesh:
    """A mesh with axes `data` and `model` over the devices of all processes.

    `data` may be -1, for all devices that `model` leaves. Raises UserError if the product of both
    is not the number of devices.
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
    """A sharding per leaf of a state, by `SPLIT`; replicated if the axis does not divide."""

    def sharding(path, leaf):
        split = SPLIT.search(jax.tree_util.keystr(path)) and leaf.ndim
        if split and leaf.shape[-1] % mesh.shape["model"] == 0:
            return NamedSharding(mesh, PartitionSpec(*[None] * (leaf.ndim - 1), "model"))
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
        owners = [{device.process_index for device in devices} for devices in mesh.devices]
        return tuple(block for block, owner in enumerate(owners) if process in owner)

    shares = sorted({blocks(device.process_index) for device in mesh.devices.flat})
    return shares.index(blocks(jax.process_index())), len(shares)


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this process's share of a batch, see `data_share`, on its devices.

    Raises UserError if the batch does not split evenly along its first axis.
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
