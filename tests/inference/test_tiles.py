"""Reduction on the host, the layout of tiles, and the memory that a large image takes."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from egmt_jax.inference import tiles
from egmt_jax.models import layers


@pytest.mark.parametrize("size", [(16, 20), (300, 420), (700, 90), (257, 256), (2000, 1100)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_reduction_is_the_models_own(size, dtype):
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    image = image if dtype == np.uint8 else image / np.float32(255.0)
    how = tiles.reduction(size, 256)
    expected, height, width, factor = layers.reduce_to(
        jnp.asarray(tiles.unit(image))[None, ..., None], None, 256
    )
    reduced = tiles.reduce_image(image, how)
    assert reduced.shape == (height, width)
    assert how.factor == pytest.approx(float(factor[0]))
    # Rounding of where cells begin, which is float32 in the model.
    np.testing.assert_allclose(reduced, expected[0, :, :, 0], atol=2e-5)


@pytest.mark.parametrize("size", [(16, 2000), (100, 100), (129, 64), (1025, 333)])
def test_tiles_cover_every_pixel_once_with_their_margins(size):
    extent, layout = tiles.layout(size, longest=64, margin=21, align=4)
    covered = np.zeros(size, int)
    for (top, left), (rows, columns) in layout:
        covered[rows, columns] += 1
        for origin, core, side, length in (
            (top, rows, size[0], extent[0]),
            (left, columns, size[1], extent[1]),
        ):
            assert origin % 4 == 0
            assert 0 < core.stop - core.start <= 64
            assert origin == 0 or core.start - origin >= 21
            assert origin + length >= min(side, core.stop + 21)
    assert (covered == 1).all()


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
picture = Fuser(tiny_model(text_features(len(names))), names)(visible, infrared).image
assert picture.shape == (8192, 8192, 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 4 * 1024**2  # kilobytes
