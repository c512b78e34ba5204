"""Meshes: the same losses on one device and on many, parameters split or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from egmt_jax.data import pipeline
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.testing import made_up_pair, text_features, tiny_model
from egmt_jax.training.sharding import global_batch, make_mesh, state_shardings
from egmt_jax.training.step import Objective, initial_state, make_optimizer, make_step

AIM = Objective(
    weights={
        "intensity": 1.0,
        "gradient": 1.0,
        "structure": 1.0,
        "classification": 1.0,
        "localisation": 1.0,
    },
    sharpen=1.0,
    boost=0.25,
    emphasis=1.0,
    self_guided=0.3,
    unguided=0.2,
    keep=0.5,
    distractors=1.0,
)


def made_up_source():
    source = []
    for number in range(16):
        visible, infrared = made_up_pair(48, 40, number)
        masks = [np.zeros((48, 40, 1), np.uint8) for _ in range(2)]
        masks[0][:20], masks[1][30:] = 255, 255
        source.append(
            {
                "id": b"x",
                "visible": visible,
                "infrared": infrared,
                "entities": [b"person", b"tree"],
                "masks": masks,
            }
        )
    return source


def mixture():
    vocabulary, source = load_vocabulary(), made_up_source()
    transform = pipeline.CropAndAugment(size=32, whole=0.5, jitter=0.1, vocabulary=vocabulary)
    return [pipeline.Part(source, transform), pipeline.Part(source[:3], transform, 0.4)]


def batches(count):
    iterator = iter(pipeline.training_batches(mixture(), 8, seed=0))
    return [next(iterator) for _ in range(count)]


def losses_on(mesh, steps):
    entities = len(load_vocabulary())
    model = tiny_model(text_features(entities))
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    optimizer = make_optimizer(1e-3, 2, steps, 1e-4, 1.0)
    state = initial_state(params, optimizer, averaged=True)
    shardings = state_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    step = make_step(graphdef, constants, optimizer, jnp.ones(entities), 0, AIM, shardings, ema=0.9)
    losses = []
    for batch in batches(steps):
        state, scalars = step(state, global_batch(batch, mesh))
        losses.append(float(scalars["loss"]))
    return losses, state


def one_device():
    return jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))


def test_eight_devices_give_the_losses_of_one_and_share_the_parameters():
    expected, _ = losses_on(one_device(), 4)
    losses, state = losses_on(make_mesh(4, 2), 4)
    np.testing.assert_allclose(losses, expected, atol=1e-4)
    kernel = state.params["visible_encoder"]["deep"]["conv"]["kernel"]
    assert kernel.addressable_shards[0].data.shape[-1] == kernel.shape[-1] // 2
    moments = [leaf for leaf in jax.tree.leaves(state.optimizer) if leaf.shape == kernel.shape]
    assert moments
    average = state.ema["visible_encoder"]["deep"]["conv"]["kernel"]
    for like in (*moments, average):
        assert like.addressable_shards[0].data.shape[-1] == kernel.shape[-1] // 2


@pytest.fixture(scope="module")
def expected():
    return losses_on(one_device(), 20)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "model"), [(8, 1), (4, 2), (1, 8)])
def test_every_mesh_gives_the_loss_curve_of_one_device(data, model, expected):
    losses, _ = losses_on(make_mesh(data, model), 20)
    np.testing.assert_allclose(losses, expected, atol=1e-4)


def test_batches_start_anywhere_and_shares_make_the_whole():
    whole, parts = batches(6), mixture()
    later = iter(pipeline.training_batches(parts, 8, seed=0, start=4))
    jax.tree.map(np.testing.assert_array_equal, next(later), whole[4])
    shares = [
        next(iter(pipeline.training_batches(parts, 8, 0, start=5, share=(k, 4)))) for k in range(4)
    ]
    together = jax.tree.map(lambda *rows: np.concatenate(rows), *shares)
    jax.tree.map(np.testing.assert_array_equal, together, whole[5])


def test_a_mesh_takes_all_devices_or_is_refused():
    assert dict(make_mesh(-1, 2).shape) == {"data": 4, "model": 2}
    with pytest.raises(UserError, match="does not fit 8 devices"):
        make_mesh(3, 2)
    with pytest.raises(UserError, match="does not fit 8 devices"):
        make_mesh(-1, 0)


def test_a_batch_that_does_not_split_evenly_is_refused():
    with pytest.raises(UserError, match="must be a multiple of the 8 devices"):
        global_batch({"visible": np.zeros((6, 4))}, make_mesh(8, 1))
