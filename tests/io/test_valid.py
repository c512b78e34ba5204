"""Black borders of registered infrared images."""

import cv2
import numpy as np
import pytest

from egmt_jax.io.images import read_image
from egmt_jax.io.valid import continued, no_data_border


def scene(height=192, width=256):
    """Grey levels 20 to 140 with texture, a dark sky on top: 0 to 8 above a rough skyline."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.uniform(20, 140, (height, width)).astype(np.float32), (0, 0), 3)
    skyline = 20 + 12 * np.sin(np.arange(width) / 9) + rng.uniform(0, 6, width)
    image[np.arange(height)[:, None] < skyline] = 2.0
    return np.clip(image + rng.uniform(0, 3, image.shape), 0, 255).astype(np.uint8)


def rotated(image, degrees, shift=(0, 0)):
    """The image after a rotation, and where it then holds data."""
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turn[:, 2] += shift
    warp = [cv2.warpAffine(x, turn, (width, height)) for x in (image, np.full_like(image, 255))]
    return warp[0], warp[1] == 255


@pytest.mark.parametrize(("degrees", "shift"), [(1.5, (0, 0)), (-2.0, (0, 0)), (0.7, (-9, 6))])
@pytest.mark.parametrize("lossy", [False, True])
def test_black_wedges_of_a_rotated_image_are_found(degrees, shift, lossy):
    image, holds_data = rotated(scene() // 2 + 60, degrees, shift)
    if lossy:
        image = cv2.imdecode(cv2.imencode(".jpg", image)[1], 0)
    found = no_data_border(image[..., None])
    assert found.shape == image.shape
    assert found.dtype == bool
    wider, narrower = (
        change(holds_data.astype(np.uint8), np.ones((size, size))).astype(bool)
        for change, size in ((cv2.dilate, 3), (cv2.erode, 5))
    )
    assert (found & ~wider).mean() < 1e-3
    assert (~found & narrower).mean() < 2e-3
    deep = image.astype(np.uint16) * 100
    deep[~holds_data] = 0
    assert (no_data_border(deep) != found).mean() < 2e-2


def test_dark_scenes_hold_data():
    night = np.random.default_rng(1).integers(0, 9, (192, 256)).astype(np.uint8)
    for image in (scene(), night, np.zeros((192, 256), np.uint8), np.zeros((17, 17), np.uint8)):
        for side in range(4):
            assert no_data_border(np.rot90(image, side)).all()
    one_row = scene() // 2 + 60
    one_row[0] = 0
    assert no_data_border(one_row).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most"), [("m3fd", 20), ("msrs", 10), ("roadscene", 2), ("tno", 3)]
)
def test_borders_of_real_images(data_dir, name, most):
    shares = [
        1.0 - no_data_border(read_image(path)[..., :1]).mean()
        for path in sorted((data_dir / name / "ir").iterdir())
    ]
    found = np.count_nonzero(shares)
    assert found <= most
    assert max(shares) < 0.08
    if name == "m3fd":
        assert found >= 18


def test_an_image_continues_from_near_data_and_keeps_its_own():
    image = np.tile(np.linspace(40.0, 200.0, 64, dtype=np.float32)[:, None], (1, 80))
    where = np.ones(image.shape, bool)
    where[:, :12] = False
    found = continued(np.where(where, image, np.float32(999.0)), where)
    np.testing.assert_array_equal(found[where], image[where])
    np.testing.assert_allclose(found[8:-8, 6:12], image[8:-8, 6:12], atol=4.0)
    assert 40.0 <= found.min() <= found.max() <= 200.0
    assert not continued(image, np.zeros_like(where)).any()  # nothing is known
