"""One update: optimizer, average, guidance, dtypes, missing infrared data."""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from training_batches import ENTITIES, batch

from egmt_jax.models import EGMT, Guidance
from egmt_jax.testing import TINY, text_features, tiny_model
from egmt_jax.training.step import (
    SELF_GUIDED,
    Objective,
    draw_guidance,
    initial_state,
    loss_terms,
    make_optimizer,
    make_step,
)

TERMS = ("intensity", "prominence", "gradient", "structure", "classification", "localisation")
OBJECTIVE = Objective(weights=dict.fromkeys(TERMS, 1.0))


def split(**arguments):
    model = tiny_model(text_features(ENTITIES), **arguments)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(constants)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _terms(graphdef, params, constants, batch, source):
    objective = dataclasses.replace(OBJECTIVE, source=source)
    weight, key = jnp.ones(ENTITIES), jax.random.key(0)
    return loss_terms(graphdef, params, constants, batch, weight, key, objective)[1]


def terms_of(changes=None, source="own", **arguments):
    graphdef, params, constants = split(**arguments)
    return _terms(graphdef, params, constants, batch() | (changes or {}), source)


def test_one_step_updates_parameters_and_average_and_donates_the_state():
    graphdef, params, constants = split()
    optimizer = make_optimizer(1e-2, 0, 10, 0.0, 1e9)
    state = initial_state(params, optimizer, averaged=True)
    before, donated = jax.tree.map(np.array, params), jax.tree.leaves(state)
    single = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), state)
    weight = jnp.ones(ENTITIES)
    step = make_step(graphdef, constants, optimizer, weight, 0, OBJECTIVE, single, ema=0.05)
    state, scalars = step(state, batch())
    assert all(leaf.is_deleted() for leaf in donated)
    assert int(state.step) == 1
    assert {*TERMS, "loss", "norm/gradients", "norm/parameters", "norm/updates"} == set(scalars)
    expected = jax.tree.map(lambda old, new: new + 0.05 * (old - new), before, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state.ema, expected)
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: (a != b).any(), before, state.params)))


def test_matrices_decay_and_vectors_do_not():
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    optimizer = make_optimizer(1e-2, 0, 10, 0.1, 1.0)
    with jax.numpy_dtype_promotion("standard"):
        zeros = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    assert (updates["w"] < 0.0).all()
    np.testing.assert_array_equal(updates["b"], 0.0)


def updates_for(clip, gradients, warmup=0):
    """Sizes of updates; for equal gradients Adam's have the size of the learning rate."""
    params = {"w": jnp.ones((2, 2))}
    optimizer = make_optimizer(1e-2, warmup, len(gradients), 0.0, clip)
    state, updates = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        update = jax.jit(optimizer.update)
        for gradient in gradients:
            step, state = update({"w": jnp.full((2, 2), gradient)}, state, params)
            updates.append(float(-step["w"][0, 0]))
    return updates


def test_the_learning_rate_rises_linearly_and_falls_to_one_percent():
    rates = np.asarray(updates_for(1.0, [0.1] * 100, warmup=10))
    np.testing.assert_allclose(rates[:11], np.linspace(0.0, 1e-2, 11), rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(rates[55], 0.505e-2, rtol=1e-2)
    assert (np.diff(rates[10:]) < 0.0).all()
    assert 1e-4 <= rates[-1] < 1.2e-4


def test_gradients_are_clipped_by_their_norm():
    same = updates_for(1.0, [5.0, 5.0, 5.0])
    np.testing.assert_allclose(updates_for(1.0, [5.0, 5e3, 50.0]), same, rtol=1e-5)
    assert not np.allclose(updates_for(float("inf"), [5.0, 5e3, 50.0]), same, rtol=0.1)


def test_guidance_is_drawn_by_the_shares_of_the_objective():
    rows, entities = 4000, 20
    objective = Objective({}, self_guided=0.3, unguided=0.2, keep=0.5, distractors=1.0)
    candidates = jnp.zeros((rows, entities)).at[:, :2].set(1.0)
    labels = candidates.at[:, 2].set(1.0)
    probabilities = jnp.full((rows, entities), 0.125)
    weight, target = draw_guidance(jax.random.key(0), candidates, labels, probabilities, objective)
    weight, target = np.asarray(weight), np.asarray(target)
    self_guided = (weight == 0.125).all(axis=1)
    assert self_guided.mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(target[self_guided], SELF_GUIDED * candidates[self_guided])
    rest = ~self_guided
    np.testing.assert_array_equal(weight[rest, :2], target[rest, :2])
    assert not target[:, 2:].any()  # no distractor is in the target
    assert not weight[rest, 2].any()  # and none is present
    given = weight[rest].any(axis=1)
    assert weight[rest, :2].mean() == pytest.approx(0.5 * 0.5 / 0.7, abs=0.03)
    assert weight[rest, 3:].sum(axis=1).mean() == pytest.approx(17 / 20 * 0.5 / 0.7, abs=0.05)
    assert 0.2 / 0.7 < 1.0 - given.mean() < 0.4  # unguided, or nothing drawn


def test_shuffled_guidance_comes_from_another_pair():
    own, shuffled = terms_of(), terms_of(source="shuffled")
    assert shuffled["intensity"] != own["intensity"]
    np.testing.assert_array_equal(shuffled["classification"], own["classification"])


def test_labels_do_not_guide_and_candidates_are_not_classified():
    own = terms_of()
    other_labels = terms_of({"labels": jnp.roll(batch()["labels"], 1, axis=0)})
    other_guide = terms_of({"guide": jnp.zeros((4, ENTITIES))})
    assert other_labels["classification"] != own["classification"]
    np.testing.assert_array_equal(other_labels["intensity"], own["intensity"])
    np.testing.assert_array_equal(other_guide["classification"], own["classification"])
    assert other_guide["intensity"] != own["intensity"]


def test_terms_of_images_are_relative_to_the_plain_average():
    model = EGMT(text_features(ENTITIES), rngs=nnx.Rngs(0), **TINY)  # untrained: the sum
    graphdef, *parts = nnx.split(model, nnx.Param, ...)
    params, constants = map(nnx.to_pure_dict, parts)
    unguided = batch() | {"guide": jnp.zeros((4, ENTITIES))}
    found = _terms(graphdef, params, constants, unguided, "own")
    visible, infrared, target = (
        np.asarray(unguided[name], np.float32) / 255.0 for name in ("visible", "infrared", "target")
    )
    fused = np.clip(visible + infrared - 0.5, 0.0, 1.0)
    expected = np.abs(fused - target).mean() / np.abs((visible + infrared) / 2.0 - target).mean()
    assert float(found["intensity"]) == pytest.approx(float(expected), rel=1e-3)


TRACE = """
import hashlib, jax, jax.numpy as jnp
from test_step import ENTITIES, OBJECTIVE, batch, loss_terms, split

graphdef, params, constants = split()
rows, key = jax.eval_shape(batch), jax.eval_shape(lambda: jax.random.key(0))
trace = jax.make_jaxpr(
    lambda *x: loss_terms(graphdef, *x[:3], jnp.ones(ENTITIES), x[3], OBJECTIVE)
)(params, constants, rows, key)
print(hashlib.sha256(str(trace).encode()).hexdigest())
"""


def test_every_process_traces_the_same_program():
    paths = os.pathsep.join([str(pathlib.Path(__file__).parent), *sys.path])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TRACE],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")  # of the order of sets of strings
    ]
    one, two = (process.communicate()[0] for process in started)
    assert one == two
    assert len(one) == 65  # a digest in hexadecimal digits and a line end


def test_bfloat16_activations_keep_losses_in_float32_and_close():
    full, half = terms_of(), terms_of(dtype=jnp.bfloat16)
    for name, value in full.items():
        assert half[name].dtype == jnp.float32
        np.testing.assert_allclose(half[name], value, rtol=0.03, err_msg=name)


@functools.partial(jax.jit, static_argnums=0)
def fuse(graphdef, params, constants, batch):
    model = nnx.merge(graphdef, params, constants)
    visible, infrared = batch["view"][..., :1], batch["view"][..., 3:4]
    return model(visible, infrared, Guidance(weight=batch["labels"])).luma


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_training_lowers_the_loss_and_the_model_agrees_in_both_dtypes(dtype):
    graphdef, params, constants = split(dtype=dtype)
    optimizer = make_optimizer(3e-3, 5, 40, 0.0, 1.0)
    state = initial_state(params, optimizer)
    single = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), state)
    step = make_step(graphdef, constants, optimizer, jnp.ones(ENTITIES), 0, OBJECTIVE, single)
    losses = []
    for _ in range(40):
        state, scalars = step(state, batch())
        losses.append(float(scalars["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    kept = (state.params, scalars, [x for x in jax.tree.leaves(state.optimizer) if x.ndim])
    assert {leaf.dtype for leaf in jax.tree.leaves(kept)} == {jnp.dtype(jnp.float32)}
    full, low = (
        fuse(split(dtype=each)[0], state.params, constants, batch())
        for each in (jnp.float32, jnp.bfloat16)
    )
    assert 0.0 < float(jnp.mean(jnp.abs(low - full))) < 1.0 / 255.0
