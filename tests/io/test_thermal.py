"""Infrared values to [0, 1]: ranges, polarity, no-data values."""

import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.io.thermal import infrared_to_unit, parse_range
from egmt_jax.testing import made_up_pair

CENTIKELVIN = 28800 + 9 * made_up_pair(120, 160)[1][..., 0].astype(np.uint16)


def border(counts, value):
    """A warp by 4 pixels; the column beside the border is interpolated."""
    counts = counts.copy()
    counts[:, :4] = value
    counts[:, 4] = (counts[:, 4].astype(np.float32) + value) / 2
    return counts


def dead_rows(counts, value):
    counts = counts.copy()
    counts[:12] = value
    return counts


@pytest.mark.parametrize("damage", [border, dead_rows])
@pytest.mark.parametrize(("dtype", "value"), [("u2", 0), ("u2", 65535), ("f4", -9999)])
def test_percentiles_leave_out_no_data(damage, dtype, value):
    counts = CENTIKELVIN.astype(dtype)
    if dtype == "f4":
        counts = counts / np.float32(100) - np.float32(273.15)
    value_range = parse_range("0.5%,99.5%")
    expected = infrared_to_unit(counts, value_range)
    found = infrared_to_unit(damage(counts, value), value_range)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[12:, 5:], expected[12:, 5:], atol=0.03)
    assert infrared_to_unit(damage(counts, value), value_range, black_hot=True).std() > 0.1


def test_a_frequent_value_near_the_others_is_data():
    sky = np.maximum(CENTIKELVIN, np.percentile(CENTIKELVIN, 10).astype(np.uint16))
    low, high = np.percentile(sky, [0.5, 99.5])
    expected = np.clip((sky - low) / (high - low), 0.0, 1.0)
    np.testing.assert_allclose(infrared_to_unit(sky), expected, atol=1e-5)


def test_noise_of_a_flat_scene_is_not_amplified():
    noise = np.random.default_rng(0).integers(-2, 3, (64, 64))
    assert infrared_to_unit((30000 + noise).astype(np.uint16)).max() <= 0.25
    assert infrared_to_unit(np.full((8, 8), 30000, np.uint16)).max() == 0.0


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (made_up_pair(64, 64)[1][..., 0], "27000,31000"),
        (CENTIKELVIN, "20,40"),
        (dead_rows(CENTIKELVIN, 0), "0,255"),
    ],
)
def test_a_range_with_almost_no_values_is_refused(image, text):
    with pytest.raises(UserError, match="almost no value of the infrared image lies in it; most"):
        infrared_to_unit(image, parse_range(text))
    assert infrared_to_unit(image, parse_range(text), check=False).dtype == np.float32


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "5,5", "9%,3%", "0%,101%", "1,99%"])
def test_malformed_ranges_are_refused(text):
    with pytest.raises(UserError, match="infrared range"):
        parse_range(text)
