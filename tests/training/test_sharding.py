"""Meshes: the same losses on one device and on many, with parameters split or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from training_batches import ENTITIES, batch

from egmt_jax.errors import UserError
from egmt_jax.testing import text_features, tiny_model
from egmt_jax.training.sharding import global_batch, make_mesh, state_shardings
from egmt_jax.training.step import Objective, initial_state, make_optimizer, make_step

OBJECTIVE = Objective(
    weights=dict.fromkeys(("intensity", "gradient", "classification", "localisation"), 1.0),
    self_guided=0.3,
    unguided=0.2,
    keep=0.5,
    distractors=1.0,
)


def losses_on(mesh, steps):
    graphdef, params, constants = nnx.split(tiny_model(text_features(ENTITIES)), nnx.Param, ...)
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    optimizer = make_optimizer(1e-3, 2, steps, 1e-4, 1.0)
    state = initial_state(params, optimizer, averaged=True)
    shardings = state_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    weight = jnp.ones(ENTITIES)
    step = make_step(graphdef, constants, optimizer, weight, 0, OBJECTIVE, shardings, ema=0.9)
    losses, rows = [], jax.tree.map(np.asarray, batch(8))
    for _ in range(steps):
        state, scalars = step(state, global_batch(rows, mesh))
        losses.append(float(scalars["loss"]))
    return losses, state


@pytest.fixture(scope="module")
def expected():
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    return losses_on(one, 6)[0]


@pytest.mark.parametrize(
    ("data", "model"),
    [
        (4, 2),
        pytest.param(8, 1, marks=pytest.mark.slow),
        pytest.param(1, 8, marks=pytest.mark.slow),
    ],
)
def test_every_mesh_gives_the_losses_of_one_device_and_splits_the_state(data, model, expected):
    losses, state = losses_on(make_mesh(data, model), 6)
    np.testing.assert_allclose(losses, expected, atol=1e-4)
    kernel = state.params["visible_encoder"]["deep"]["conv"]["kernel"]
    moments = [leaf for leaf in jax.tree.leaves(state.optimizer) if leaf.shape == kernel.shape]
    assert moments
    average = state.ema["visible_encoder"]["deep"]["conv"]["kernel"]
    for leaf in (kernel, *moments, average):
        assert leaf.addressable_shards[0].data.shape[-1] == kernel.shape[-1] // model


def test_a_mesh_takes_all_devices_and_batches_split_evenly():
    assert dict(make_mesh(-1, 2).shape) == {"data": 4, "model": 2}
    for data, model in ((3, 2), (-1, 0)):
        with pytest.raises(UserError, match="does not fit 8 devices"):
            make_mesh(data, model)
    with pytest.raises(UserError, match="must be a multiple of the 8 devices"):
        global_batch({"visible": np.zeros((6, 4))}, make_mesh(8, 1))
