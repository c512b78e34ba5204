"""Shifted pairs are reported; registered ones are not."""

import numpy as np
import pytest

from benchmarks.registration import measure, shifted
from egmt_jax.io.registration import edge_shift
from egmt_jax.testing import made_up_pair


def inverted_pair(height, width):
    """A made-up image and its negative: all edges agree, with opposite signs."""
    luma = made_up_pair(height, width)[0].mean(axis=2)
    return luma, 255.0 - luma


@pytest.mark.parametrize("shift", [(0, 0), (1, -2), (7, -4), (0, 12), (-9, -9)])
@pytest.mark.parametrize("size", [(120, 160), (480, 640)])
def test_shifts_are_estimated_where_they_exceed_parallax(size, shift):
    first, second = inverted_pair(*size)
    estimate = edge_shift(*shifted(first, second, *shift))
    if np.hypot(*shift) < 4:
        assert estimate is None
    else:
        np.testing.assert_allclose(estimate, shift, atol=0 if size[1] <= 320 else 1.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_nothing_is_reported_of_images_without_shared_edges(dtype):
    noise = np.random.default_rng(0).integers(0, 256, (2, 480, 640)).astype(dtype)
    assert edge_shift(*noise) is None
    assert edge_shift(noise[0], np.full_like(noise[1], 9)) is None
    assert edge_shift(np.zeros_like(noise[0]), np.zeros_like(noise[1])) is None


def test_a_strip_has_too_few_edges():
    strip = np.random.default_rng(0).uniform(size=(64, 90_000)).astype(np.float32)
    assert edge_shift(strip, strip) is None


@pytest.mark.parametrize(
    ("name", "step", "most", "least"),
    [
        ("msrs", 20, 0.05, 0.85),
        ("roadscene", 10, 0.0, 0.9),
        ("tno", 3, 0.0, 0.75),
        ("m3fd", 3, 0.0, 0.75),
    ],
)
def test_rates_on_real_pairs(data_dir, name, step, most, least):
    result = measure(data_dir / name, 24, step)
    assert result["published_reported"] <= most, result["reported_ids"]
    assert result["shifted_reported"] >= least
    assert result["by_pixels"]["12-16"] >= 0.85
    assert result["median_error_pixels"] <= 4.0
