"""What one update does, beside the losses: averages, rates, accumulation, dtypes, guidance."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.testing import made_up_pair, text_features, tiny_model
from egmt_jax.training.step import (
    Objective,
    guide_by_sentence,
    initial_state,
    loss_terms,
    make_optimizer,
    make_step,
)

AIM = Objective(
    weights=dict.fromkeys(
        ("intensity", "prominence", "gradient", "structure", "classification", "localisation"),
        1.0,
    ),
    sharpen=1.0,
    boost=0.25,
    emphasis=1.0,
    self_guided=0.0,
    unguided=0.0,
    keep=1.0,
    distractors=0.0,
)
ENTITIES = len(load_vocabulary())


def batch(rows=4, side=32):
    """Pairs that each show two entities, with masks."""
    pairs = [made_up_pair(side, side, seed) for seed in range(rows)]
    visible, infrared = (
        np.stack([pair[k][..., :1] for pair in pairs]).astype(np.float32) / 255.0 for k in (0, 1)
    )
    ids = np.full((rows, 8), -1, np.int32)
    ids[:, 0], ids[:, 1] = np.arange(rows), np.arange(rows) + 10
    labels = np.zeros((rows, ENTITIES), np.float32)
    masks = np.zeros((rows, side, side, 8), np.float32)
    masks[:, :8, :8, 0], masks[:, 20:, 20:, 1] = 1.0, 1.0
    for row in range(rows):
        labels[row, ids[row, :2]] = 1.0
    most = np.arange(rows) != 2  # which parts of a batch do not share evenly
    return jax.tree.map(
        jnp.asarray,
        {
            "visible": visible,
            "infrared": infrared,
            "entity_ids": ids,
            "labels": labels,
            "labelled": most,
            "masks": masks,
            "masked": most,
            "detail": np.ones(rows, np.float32),
        },
    )


def split(**arguments):
    model = tiny_model(text_features(ENTITIES), **arguments)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(constants)


def terms_of(aim=AIM, given=None, **arguments):
    """Loss terms of the tiny model; dtypes are those of the real thing."""
    graphdef, params, constants = split(**arguments)

    @jax.jit
    def terms(params, constants, batch):
        weight, key = jnp.ones(ENTITIES), jax.random.key(0)
        return loss_terms(graphdef, params, constants, batch, weight, key, aim)[1]

    return terms(params, constants, batch() if given is None else given)


def one_step(ema=0.0, accumulate=1):
    """Parameters before and after one step, and the state after it."""
    graphdef, params, constants = split()
    optimizer = make_optimizer(1e-2, 0, 10, 0.0, 1e9)
    state = initial_state(params, optimizer, averaged=ema > 0.0)
    before = jax.tree.map(np.array, params)  # copies: what is viewed is not given away
    given = jax.tree.leaves(state)
    one = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), state)
    weight = jnp.ones(ENTITIES)
    step = make_step(
        graphdef, constants, optimizer, weight, 0, AIM, one, ema=ema, accumulate=accumulate
    )
    state, scalars = step(state, batch())
    assert all(leaf.is_deleted() for leaf in given)  # donated
    return before, state, scalars


@pytest.mark.slow
def test_the_average_follows_the_parameters_and_accumulation_changes_nothing():
    before, state, scalars = one_step(ema=0.05)
    expected = jax.tree.map(lambda old, new: new + 0.05 * (old - new), before, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state.ema, expected)
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: (a != b).any(), before, state.params)))
    _, apart, scalars_apart = one_step(accumulate=2)
    assert apart.ema is None
    for name, value in scalars.items():
        np.testing.assert_allclose(scalars_apart[name], value, rtol=1e-4, err_msg=name)


def test_rates_of_modules_scale_or_freeze_them():
    params = {"a": {"w": jnp.ones((2, 2))}, "b": {"c": jnp.ones((2, 2)), "d": jnp.ones(2)}}
    gradients = jax.tree.map(jnp.ones_like, params)

    def update(rates):
        optimizer = make_optimizer(1e-2, 0, 10, 0.1, 1.0, rates)
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(gradients, optimizer.init(params), params)[0]

    plain, scaled = update({}), update({"a": 0.5, "b/d": 0.0})
    np.testing.assert_allclose(scaled["a"]["w"], 0.5 * plain["a"]["w"])
    np.testing.assert_array_equal(scaled["b"]["c"], plain["b"]["c"])
    np.testing.assert_array_equal(scaled["b"]["d"], 0.0)
    assert (plain["b"]["d"] != 0.0).all()
    with pytest.raises(UserError, match="'decoder' is no module; there are a, b"):
        update({"decoder": 0.1})


def test_matrices_decay_and_vectors_do_not():
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    optimizer = make_optimizer(1e-2, 0, 10, 0.1, 1.0)
    with jax.numpy_dtype_promotion("standard"):
        nothing = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    assert (updates["w"] < 0.0).all()
    np.testing.assert_array_equal(updates["b"], 0.0)


def updates_by(clip, gradients, warmup=0):
    """Updates of one matrix in turn; Adam's have the size of the learning rate if all is alike."""
    params = {"w": jnp.ones((2, 2))}
    optimizer = make_optimizer(1e-2, warmup, len(gradients), 0.0, clip)
    state, updates = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        update = jax.jit(optimizer.update)
        for gradient in gradients:
            step, state = update({"w": jnp.full((2, 2), gradient)}, state, params)
            updates.append(float(-step["w"][0, 0]))
    return updates


def test_the_learning_rate_rises_linearly_and_falls_to_a_hundredth():
    rates = np.asarray(updates_by(1.0, [0.1] * 100, warmup=10))
    np.testing.assert_allclose(rates[:11], np.linspace(0.0, 1e-2, 11), rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(rates[55], 0.505e-2, rtol=1e-2)
    assert (np.diff(rates[10:]) < 0.0).all()
    assert 1e-4 <= rates[-1] < 1.2e-4


def test_gradients_are_clipped_by_their_norm():
    same = updates_by(1.0, [5.0, 5.0, 5.0])
    np.testing.assert_allclose(updates_by(1.0, [5.0, 5e3, 50.0]), same, rtol=1e-5)
    assert not np.allclose(updates_by(float("inf"), [5.0, 5e3, 50.0]), same, rtol=0.1)


def test_bfloat16_activations_leave_losses_in_float32_and_close():
    full, half = terms_of(), terms_of(dtype=jnp.bfloat16)
    for name, value in full.items():
        assert half[name].dtype == jnp.float32
        np.testing.assert_allclose(half[name], value, rtol=0.03, err_msg=name)


def trained(steps, **arguments):
    """A tiny model after some steps on one batch: its parts, parameters and scalars."""
    graphdef, params, constants = split(**arguments)
    optimizer = make_optimizer(3e-3, 5, steps, 0.0, 1.0)
    state = initial_state(params, optimizer)
    one = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(jax.devices()[0]), state)
    weight = jnp.ones(ENTITIES)
    step = make_step(graphdef, constants, optimizer, weight, 0, AIM, one)
    scalars = []
    for _ in range(steps):
        state, results = step(state, batch())
        scalars.append(results)
    return graphdef, constants, state, scalars


@functools.partial(jax.jit, static_argnums=0)
def fuse(graphdef, params, constants, given):
    model = nnx.merge(graphdef, params, constants)
    return model(given["visible"], given["infrared"], model.whole_vocabulary(given["labels"])).fused


@pytest.mark.slow
def test_a_trained_model_gives_the_same_picture_in_bfloat16():
    graphdef, constants, state, scalars = trained(40)
    assert float(scalars[-1]["loss"]) < 0.8 * float(scalars[0]["loss"])
    half, _, _ = split(dtype=jnp.bfloat16)
    full, low = (fuse(graph, state.params, constants, batch()) for graph in (graphdef, half))
    assert low.dtype == jnp.float32
    untrained = fuse(graphdef, split()[1], constants, batch())
    difference = float(jnp.mean(jnp.abs(low - full)))
    assert 0.0 < difference < 1.0 / 255.0
    assert float(jnp.mean(jnp.abs(full - untrained))) > 5.0 / 255.0


@pytest.mark.slow
def test_training_in_bfloat16_keeps_parameters_and_losses_in_float32():
    _, _, state, scalars = trained(40, dtype=jnp.bfloat16)
    kept = (state.params, [leaf for leaf in jax.tree.leaves(state.optimizer) if leaf.ndim])
    assert {leaf.dtype for leaf in jax.tree.leaves(kept)} == {jnp.dtype(jnp.float32)}
    assert {leaf.dtype for leaf in jax.tree.leaves(scalars)} == {jnp.dtype(jnp.float32)}
    assert float(scalars[-1]["loss"]) < 0.8 * float(scalars[0]["loss"])


def sentences(rows=4):
    return jnp.asarray(text_features(rows, text_features(ENTITIES).shape[1], seed=1))


def by_sentence(given, unguided=0.0):
    """What guidance by sentence makes of a batch, and the picture of the tiny model."""
    graphdef, params, constants = split()

    @jax.jit
    def guide(params, constants, given):
        model = nnx.merge(graphdef, params, constants)
        visual = model.visual(given["visible"], given["infrared"])
        found = guide_by_sentence(model, visual, given, jax.random.key(0), unguided)
        return found, model.render(given["visible"], given["infrared"], found[0])

    return guide(params, constants, given)


def test_a_sentence_guides_in_place_of_entities_and_these_only_tell_the_target():
    one = batch() | {"sentence": sentences()}
    (context, attention, aimed), fused = by_sentence(one)
    assert context.attention.shape[-1] == 1
    np.testing.assert_array_equal(aimed, one["labels"])
    absent = np.asarray(one["labels"]) == 0.0
    assert (np.asarray(attention).max(axis=(1, 2)) > 0.0).tolist() == (~absent).tolist()
    other_labels = one | {"labels": jnp.roll(one["labels"], 1, axis=0)}
    np.testing.assert_array_equal(by_sentence(other_labels)[1], fused)
    other_text = one | {"sentence": jnp.roll(one["sentence"], 1, axis=0)}
    assert (by_sentence(other_text)[1] != fused).any(axis=(1, 2, 3)).all()


def test_a_pair_without_a_caption_is_unguided():
    some = batch() | {"sentence": sentences().at[1].set(0.0)}
    (context, attention, aimed), fused = by_sentence(some)
    (_, nowhere, nothing), unguided = by_sentence(some, unguided=1.0)
    assert not nothing.any()
    assert not nowhere.any()
    assert not context.attention[1].any()
    assert not attention[1].any()
    assert aimed.any(axis=1).tolist() == [True, False, True, True]
    same = (fused == unguided).all(axis=(1, 2, 3))
    assert same.tolist() == [False, True, False, False]


def test_training_by_sentence_leaves_no_gradient_in_the_target():
    aim = dataclasses.replace(AIM, given="sentence")
    unknown = {"masked": jnp.zeros(4, bool), "sentence": sentences()}
    terms = terms_of(aim, batch() | unknown)
    assert np.isfinite(list(terms.values())).all()
    graphdef, params, constants = split()

    def attention(params):
        model = nnx.merge(graphdef, params, constants)
        given = batch() | unknown
        visual = model.visual(given["visible"], given["infrared"])
        return jnp.sum(guide_by_sentence(model, visual, given, jax.random.key(0), 0.0)[1])

    for gradient in jax.tree.leaves(jax.jit(jax.grad(attention))(params)):
        np.testing.assert_array_equal(gradient, 0.0)
    with pytest.raises(UserError, match=r"given='sentence' goes with guidance\.self_guided=0"):
        dataclasses.replace(aim, self_guided=0.1)


def test_smoothed_labels_cost_a_confident_classifier():
    smooth = terms_of(dataclasses.replace(AIM, label_smoothing=0.2))
    plain = terms_of()
    assert float(smooth["classification"]) > float(plain["classification"])
    np.testing.assert_array_equal(smooth["intensity"], plain["intensity"])


def test_shuffled_guidance_is_that_of_another_pair():
    shuffled = terms_of(dataclasses.replace(AIM, given="shuffled"))
    own = terms_of()
    assert shuffled["intensity"] != own["intensity"]
    np.testing.assert_array_equal(shuffled["classification"], own["classification"])
    with pytest.raises(UserError, match=r"guidance\.given='none': known are own, shuffled"):
        dataclasses.replace(AIM, given="none")
    with pytest.raises(UserError, match=r"loss\.contrat: no such term; there are intensity"):
        dataclasses.replace(AIM, weights={"contrat": 1.0})
