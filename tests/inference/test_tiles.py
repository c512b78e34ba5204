"""The geometry of large images: reduction on the host, tiles, luma of any depth, memory."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.inference.fuser import to_luma
from egmt_jax.io.images import chroma
from egmt_jax.models import layers, make_view
from egmt_jax.models.egmt import CONTEXT_SIDE
from egmt_jax.testing import made_up_pair


@pytest.mark.parametrize("size", [(16, 20), (300, 420), (700, 90), (2000, 1100)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_reduction_equals_the_models_own(size, dtype):
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    image = image if dtype == np.uint8 else image / np.float32(255.0)
    expected, extent, factor = layers.reduce_to(
        jnp.asarray(tiles.to_unit_range(image))[None, ..., None], None, CONTEXT_SIDE
    )
    reduced, found = tiles.reduce_image(image)
    assert reduced.shape == tuple(extent[0].tolist())
    assert found == pytest.approx(float(factor[0]))
    np.testing.assert_allclose(reduced, expected[0, :, :, 0], atol=2e-5)


@pytest.mark.parametrize("size", [(16, 2000), (100, 100), (129, 64), (1025, 333)])
@pytest.mark.parametrize("fits", [False, True])
def test_tiles_cover_every_pixel_once_with_their_margins(size, fits):
    shapes = [(64, 96), (128, 80)]
    if fits:
        shapes = [tiles.fitting(size, 200, 24, 4)]
        assert all(side % 4 == 0 and side > 48 for side in shapes[0])
    shape, layout = tiles.layout(size, shapes, margin=24)
    assert shape in shapes
    covered = np.zeros(size, int)
    for origins, core in layout:
        covered[core] += 1
        for origin, part, side, length in zip(origins, core, size, shape, strict=True):
            assert origin % 4 == 0
            assert origin == 0 or part.start - origin >= 24
            assert origin + length >= min(side, part.stop + 24)
    assert (covered == 1).all()


def test_the_cheapest_shape_is_chosen():
    shapes = ((64, 64), (128, 128))
    assert tiles.layout((60, 60), shapes, 24)[0] == (64, 64)
    assert tiles.layout((100, 100), shapes, 24)[0] == (128, 128)


def test_luma_of_any_depth_is_the_same_up_to_rounding():
    colour, _ = made_up_pair(20, 24)
    luma = to_luma(colour, "visible")
    assert luma.dtype == np.uint8
    for image in (colour.astype(np.uint16) * 257, colour / np.float32(255.0), colour / 255.0):
        converted = to_luma(image, "visible")
        assert converted.dtype == np.float32
        np.testing.assert_allclose(converted * 255.0, luma, atol=0.51)
    kelvin = np.full((16, 16), 300.0, np.float32)
    np.testing.assert_array_equal(to_luma(kelvin, "infrared", deep=True), kelvin)
    with pytest.raises(UserError, match="visible image has values from 300 to 300"):
        to_luma(kelvin, "visible")


@pytest.mark.slow
def test_8192_pixels_each_way_take_less_than_4_gigabytes():
    code = """
import resource
from egmt_jax.inference.fuser import Fuser
from egmt_jax.testing import made_up_pair, text_features, tiny_model
from egmt_jax.entities import load_vocabulary
import numpy as np

names = load_vocabulary().names
visible, infrared = (np.tile(image, (16, 16, 1)) for image in made_up_pair(512, 512))
image = Fuser(tiny_model(text_features(len(names))), names)(visible, infrared).image
assert image.shape == (8192, 8192, 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 4 * 1024**2  # kilobytes


def test_the_view_on_a_canvas_is_that_of_the_model():
    visible, infrared = made_up_pair(40, 48)
    has_infrared = np.arange(48)[None, :] >= np.full((40, 1), 5)
    luma, warm = to_luma(visible, "visible"), infrared[..., 0]
    view, valid, factor = tiles.view_canvas(visible, luma, warm, has_infrared)
    assert factor == 1.0
    assert valid.sum() == 40 * 48
    expected = make_view(
        *(jnp.asarray(tiles.to_unit_range(x))[None, ..., None] for x in (luma, warm)),
        jnp.asarray(chroma(visible))[None],
        jnp.asarray(has_infrared, jnp.float32)[None, ..., None],
    )
    np.testing.assert_allclose(view[:, :40, :48], expected, atol=1e-6)
    assert not view[:, 40:].any()
    assert not view[:, :, 48:].any()
