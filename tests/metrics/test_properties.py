"""Properties of the metrics on arbitrary images."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_images import SHAPE

from egmt_jax.metrics import METRICS, fusion_metrics

RANGES = {
    "EN": (0, 8),
    "SD": (0, 127.5),
    "SF": (0, 255 * math.sqrt(2)),
    "AG": (0, 255),
    "MI": (0, 2 * math.log(256)),
    "NMI": (0, 2),
    "CC": (-1, 1),
    "SCD": (-2, 2),
    "PSNR": (-48.2, 100),
    "MSE": (0, 255**2),
    "VIF": (0, math.inf),
    "Qabf": (0, 0.976),
    "SSIM": (-2, 2),
    "SSIM_legacy": (-2, 2),
}

few = settings(max_examples=25, deadline=None)


@st.composite
def images(draw, vary=True):
    """uint8 [H, W]: flat, noise between two levels, steps, ramps or single dots."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = draw(st.integers(0, 254))
    high = draw(st.integers(low + 1, 255))
    kind = draw(st.sampled_from(["noise", "steps", "ramp", "dots"] + ([] if vary else ["flat"])))
    if kind == "flat":
        image = np.full(SHAPE, low)
    elif kind == "noise":
        image = random.integers(low, high, SHAPE, endpoint=True)
    elif kind == "steps":
        image = np.kron(random.integers(low, high, (7, 9), endpoint=True), np.ones((7, 7)))
        image = image[: SHAPE[0], : SHAPE[1]]
    elif kind == "ramp":
        image = np.linspace(low, high, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    else:
        image = np.where(random.random(SHAPE) < 0.02, high, low)
    image = np.array(image, np.uint8)
    if vary and image.min() == image.max():
        image[0, 0] ^= 1
    return image


@few
@given(images(vary=False), images(vary=False), images(vary=False))
def test_values_are_finite_and_within_their_ranges(fused, visible, infrared):
    for name, value in fusion_metrics(fused, visible, infrared).items():
        low, high = RANGES[name]
        assert np.isfinite(value), name
        assert low - 1e-5 <= value <= high * (1 + 1e-5), name  # up to rounding in float32


@few
@given(images(vary=False), images(vary=False), images(vary=False))
def test_metrics_are_symmetric_in_the_sources(fused, visible, infrared):
    values = fusion_metrics(fused, visible, infrared)
    swapped = fusion_metrics(fused, infrared, visible)
    for name in METRICS:
        np.testing.assert_allclose(values[name], swapped[name], rtol=1e-5, atol=1e-6, err_msg=name)


@few
@given(images(), images(), images(), st.sampled_from([0, 1, (0, 1)]))
def test_flips_change_nothing(fused, visible, infrared, axes):
    values = fusion_metrics(fused, visible, infrared)
    flipped = fusion_metrics(*(np.flip(image, axes) for image in (fused, visible, infrared)))
    for name in METRICS:
        if name == "Qabf" and axes != (0, 1):
            continue  # vertical gradients have the angle pi/2, which a single flip does not mirror
        np.testing.assert_allclose(values[name], flipped[name], rtol=1e-4, atol=2e-5, err_msg=name)


@few
@given(images())
def test_an_image_fused_with_itself_is_perfect(image):
    values = fusion_metrics(image, image, image)
    nats = 2 * math.log(2) * values["EN"]
    assert values["MI"] == pytest.approx(float(nats), rel=1e-4, abs=1e-6)
    for name, best in {"NMI": 2, "CC": 1, "SSIM": 2, "SSIM_legacy": 2, "VIF": 2}.items():
        assert values[name] == pytest.approx(best, rel=1e-6 if "SSIM" in name else 1e-4), name
    assert values["MSE"] == 0
    assert values["PSNR"] == 100


@few
@given(images(), images(), images(), st.integers(0, 2**32 - 1))
def test_statistics_and_histograms_ignore_the_order_of_pixels(fused, visible, infrared, seed):
    order = np.random.default_rng(seed).permutation(fused.size)
    shuffled = [image.ravel()[order].reshape(SHAPE) for image in (fused, visible, infrared)]
    values, same = fusion_metrics(fused, visible, infrared), fusion_metrics(*shuffled)
    for name in ("EN", "SD", "MI", "NMI", "CC", "SCD", "MSE"):
        # correlations of almost flat images have few digits
        np.testing.assert_allclose(values[name], same[name], rtol=1e-5, atol=1e-5, err_msg=name)
