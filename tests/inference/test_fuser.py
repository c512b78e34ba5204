"""Fusing single pairs: any size, guidance by name, one result whatever the padding."""

import numpy as np
import pytest
from flax import nnx

from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.testing import made_up_pair, text_features, tiny_model

NAMES = load_vocabulary().names


@pytest.fixture(scope="module")
def model():
    return tiny_model(text_features(len(NAMES)))


@pytest.fixture(scope="module")
def fuser(model):
    return Fuser(model, NAMES)


def pair(height, width):
    visible, infrared = made_up_pair(height, width)
    return visible[..., :1], infrared


@pytest.mark.parametrize("size", [(16, 16), (47, 61), (64, 64)])
def test_a_picture_comes_back_at_its_size_as_the_model_alone_gives_it(model, fuser, size):
    visible, infrared = pair(*size)
    fused = fuser(visible, infrared).fused
    assert fused.shape == size
    direct = nnx.jit(lambda model, v, i: model(v, i).fused)(
        model, visible[None] / np.float32(255.0), infrared[None] / np.float32(255.0)
    )
    np.testing.assert_allclose(fused, direct[0, :, :, 0], atol=1e-4)


def test_entities_guide_by_name_synonym_and_plural(fuser):
    visible, infrared = pair(40, 48)
    by_itself = fuser(visible, infrared).fused
    given = fuser(visible, infrared, ["person", "car"]).fused
    off = fuser(visible, infrared, []).fused
    assert np.abs(given - by_itself).max() > 1e-4
    assert np.abs(given - off).max() > 1e-4
    np.testing.assert_array_equal(given, fuser(visible, infrared, ["pedestrians", "cars"]).fused)


def test_probabilities_are_named_and_do_not_depend_on_the_guidance(fuser):
    visible, infrared = pair(40, 48)
    probabilities = fuser(visible, infrared).probabilities
    assert tuple(probabilities) == NAMES
    assert all(0.0 < value < 1.0 for value in probabilities.values())
    assert probabilities == pytest.approx(fuser(visible, infrared, ["dog"]).probabilities)


def test_what_cannot_be_fused_is_told(fuser):
    visible, infrared = pair(40, 48)
    with pytest.raises(UserError, match=r"visible \(40, 48\) and infrared \(40, 47\) differ"):
        fuser(visible, infrared[:, :-1])
    with pytest.raises(UserError, match="at least 16"):
        fuser(visible[:15], infrared[:15])
    with pytest.raises(UserError, match="'zebra' is not in the vocabulary"):
        fuser(visible, infrared, ["zebra"])
    with pytest.raises(UserError, match="9 entities given"):
        fuser(visible, infrared, list(NAMES[:9]))


def test_an_entity_that_the_model_was_trained_without_is_told():
    fuser = Fuser(tiny_model(text_features(3)), NAMES[:3])
    with pytest.raises(UserError, match=f"does not know {NAMES[4]}"):
        fuser.ids([NAMES[4]])
