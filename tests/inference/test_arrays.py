"""Arrays as users give them: luma of any depth, and canvases of few shapes."""

import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.inference.arrays import BUCKET, to_canvas, to_luma
from egmt_jax.testing import made_up_pair


def test_luma_of_any_depth_is_the_same_up_to_rounding():
    colour, _ = made_up_pair(20, 24)
    luma = to_luma(colour, "visible")
    assert luma.dtype == np.uint8
    for image in (colour.astype(np.uint16) * 257, colour / np.float32(255.0), colour / 255.0):
        deep = to_luma(image, "visible")
        assert deep.dtype == np.float32
        np.testing.assert_allclose(deep * 255.0, luma, atol=0.51)


def test_alpha_is_not_looked_at():
    colour = made_up_pair(20, 24)[0] / np.float32(255.0)
    for alpha in (255.0, np.nan):
        opaque = np.concatenate([colour, np.full((20, 24, 1), alpha, np.float32)], axis=2)
        np.testing.assert_array_equal(to_luma(opaque, "visible"), to_luma(colour, "visible"))


def test_infrared_stays_as_deep_as_it_is_until_its_range_is_known():
    kelvin = np.full((16, 16), 300.0, np.float32)
    np.testing.assert_array_equal(to_luma(kelvin, "infrared", to_unit=False), kelvin)
    with pytest.raises(UserError, match="visible image has values from 300 to 300"):
        to_luma(kelvin, "visible")


def test_a_canvas_holds_the_pair_in_its_corner_and_tells_where():
    image = np.full((30, 70), 51, np.uint8)
    visible, infrared, valid = to_canvas([image], [image.astype(np.float32) / 255.0])
    assert visible.shape == infrared.shape == (1, BUCKET, 2 * BUCKET, 1)
    assert valid.sum() == 30 * 70
    assert valid[0, :30, :70].all()
    np.testing.assert_allclose(visible, infrared, atol=1e-6)
    np.testing.assert_allclose(visible[valid], 0.2, atol=1e-6)
    assert not visible[~valid].any()
