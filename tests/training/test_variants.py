"""The ablations: what each takes away from the model or the training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import base, demo, variants
from egmt_jax.testing import made_up_pair, tiny_model


def pair():
    visible, infrared = made_up_pair(32, 48)
    return tuple(jnp.asarray(x[None, ..., :1], jnp.float32) / 255.0 for x in (visible, infrared))


@nnx.jit
def fuse(model, visible, infrared, ids):
    return model(visible, infrared, model.entity_tokens(ids))


def test_without_the_entity_level_entities_change_nothing_but_are_still_classified():
    model = tiny_model(entity_level="none")
    one = fuse(model, *pair(), jnp.asarray([[0, 1]]))
    two = fuse(model, *pair(), jnp.asarray([[3, -1]]))
    np.testing.assert_array_equal(one.fused, two.fused)
    assert len(np.unique(one.entity_logits)) == 6
    np.testing.assert_array_equal(one.context.attention, 0.0)


def test_average_attention_is_the_same_everywhere_and_for_each_entity():
    model = tiny_model(entity_level="average")
    fusion = fuse(model, *pair(), jnp.asarray([[0, 4, -1]]))
    np.testing.assert_allclose(fusion.context.attention[..., :2], 0.5)
    np.testing.assert_array_equal(fusion.context.attention[..., 2], 0.0)
    other = fuse(model, *pair(), jnp.asarray([[1, 2, -1]]))
    assert (fusion.fused != other.fused).any()


def test_without_visual_interaction_the_streams_carry_nothing_over():
    model = tiny_model(visual_interaction=False)
    fusion = fuse(model, *pair(), jnp.asarray([[0]]))
    np.testing.assert_array_equal(fusion.context.visual.into_visible, 0.0)
    names = set(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    assert not {"visible_attention", "infrared_attention"} & names
    assert np.isfinite(fusion.fused).all()


@pytest.mark.parametrize("config", [base, demo])
def test_the_widened_variant_has_the_parameters_of_the_whole(config):
    whole = variants.count_parameters(config.get_config())
    without = variants.count_parameters(config.get_config("no_entities"))
    widened = variants.count_parameters(config.get_config("same_parameters"))
    assert without < 0.95 * whole
    assert 0.99 * whole < widened <= whole


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_every_variant_differs_from_the_config_and_keeps_its_fields(variant):
    plain, varied = base.get_config().to_dict(), base.get_config(variant).to_dict()
    assert varied != plain
    assert jax.tree.structure(varied) == jax.tree.structure(plain)


def test_the_variant_without_classification_is_given_the_entities():
    config = base.get_config("no_classification")
    assert config.loss.classification == 0.0
    assert config.guidance.self_guided == 0.0
    assert config.evaluation.given == "own"


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="config variant 'no_text': known are no_entities"):
        base.get_config("no_text")
