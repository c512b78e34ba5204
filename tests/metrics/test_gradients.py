"""Gradients of the differentiable metrics against finite differences in float64."""

import jax
import numpy as np
import pytest
import reference_metrics
from metric_images import SHAPE, made_up_triple

from egmt_jax import metrics

OF_FUSED = ("standard_deviation", "spatial_frequency", "average_gradient")
OF_ALL = (
    "correlation_coefficient",
    "sum_of_correlations_of_differences",
    "mean_squared_error",
    "peak_signal_to_noise_ratio",
    "visual_information_fidelity",
    "edge_preservation",
    "structural_similarity",
)


@pytest.mark.parametrize("name", OF_FUSED + OF_ALL)
def test_gradient_agrees_with_finite_differences(name):
    random = np.random.default_rng(0)
    # no integers: Qabf jumps where two edges are equally strong
    fused, *sources = (image + random.uniform(0, 0.9, SHAPE) for image in made_up_triple())
    sources = sources if name in OF_ALL else []
    gradient = jax.grad(getattr(metrics, name))(*(x.astype(np.float32) for x in (fused, *sources)))
    assert np.isfinite(gradient).all()
    direction = random.normal(size=SHAPE) + np.sign(gradient)
    step = 1e-5 * direction
    reference = getattr(reference_metrics, name)
    change = (reference(fused + step, *sources) - reference(fused - step, *sources)) / 2e-5
    np.testing.assert_allclose((gradient * direction).sum(), change, rtol=1e-3)


@pytest.mark.parametrize("name", OF_FUSED + OF_ALL)
def test_gradients_of_flat_and_equal_images_are_finite(name):
    function, count = getattr(metrics, name), 1 if name in OF_FUSED else 3
    gradient = jax.grad(function, argnums=tuple(range(count)))
    image = made_up_triple()[1].astype(np.float32)
    black, grey = np.zeros(SHAPE, np.float32), np.full(SHAPE, 90.0, np.float32)
    triples = [
        (black,) * 3,
        (grey,) * 3,
        (grey, image, black),
        (image, grey, grey),
        (image,) * 3,
    ]
    for triple in triples:
        for part in gradient(*triple[:count]):
            assert np.isfinite(part).all()
