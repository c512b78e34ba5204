"""The target picture: range, contrast, texture of both sources, missing infrared data."""

import numpy as np
import pytest

from egmt_jax.data.examples import salience
from egmt_jax.data.target_picture import target_picture
from egmt_jax.testing import made_up_pair


def pair(height=96, width=128, seed=0):
    visible, infrared = made_up_pair(height, width, seed)
    return (x[..., 0].astype(np.float32) / np.float32(255.0) for x in (visible, infrared))


@pytest.mark.parametrize("size", [(16, 16), (33, 90), (96, 128)])
def test_the_target_is_float32_in_range_and_keeps_its_inputs(size):
    visible, infrared = pair(*size)
    before = visible.copy(), infrared.copy()
    target = target_picture(visible, infrared)
    assert target.dtype == np.float32
    assert target.shape == size
    assert 0.0 <= target.min() <= target.max() <= 1.0
    np.testing.assert_array_equal((visible, infrared), before)


def test_constant_pictures_give_a_constant_target():
    for level in (0.0, 0.5, 1.0):
        flat = np.full((40, 50), level, np.float32)
        assert np.ptp(target_picture(flat, flat)) < 1e-4


def test_contrast_raises_the_deviation():
    found = [target_picture(*pair(), contrast=contrast).std() for contrast in (0.7, 1.0, 1.2)]
    assert found[0] < found[1] < found[2]


def test_texture_of_both_sources_shows():
    rows, columns = np.mgrid[:96, :96]
    stripes = [(0.5 + 0.05 * np.sin(axis / 1.5)).astype(np.float32) for axis in (rows, columns)]
    target = target_picture(*stripes)
    for stripe in stripes:
        assert np.corrcoef(target.ravel(), stripe.ravel())[0, 1] > 0.5


def test_values_without_infrared_data_have_no_effect():
    visible, infrared = pair()
    has = np.ones(visible.shape, bool)
    has[:, :12] = False
    one, other = (
        target_picture(visible, np.where(has, infrared, np.float32(fill)), has) for fill in (0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert one[:, :12].std() > 0.01  # the visible image shows


def test_salience_has_the_sign_of_what_the_target_shows():
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 20:30] = 255
    inside = mask / np.float32(255.0)
    flat = np.full((64, 64), 0.5, np.float32)
    bright, dark = (flat + sign * np.float32(0.2) * inside for sign in (1, -1))
    assert salience(mask, bright, flat, bright) > 0.1
    assert salience(mask, dark, flat, dark) < -0.1
    assert salience(np.full_like(mask, 255), bright, flat, bright) == 0.0  # fills the picture
