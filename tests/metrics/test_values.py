"""Values against an independent float64 implementation, in edge cases, and with padding."""

import jax
import numpy as np
import pytest
import reference_metrics
from metric_images import SHAPE, made_up_triple

from egmt_jax import metrics
from egmt_jax.metrics import METRICS, fusion_metrics


def assert_agrees_with_reference(triple, tolerance=1e-5):
    values = fusion_metrics(*triple)
    expected = reference_metrics.fusion_metrics(*(image.astype(np.float64) for image in triple))
    assert list(values) == list(expected) == list(METRICS)
    for name, value in values.items():
        assert value.dtype == np.float32
        assert value.shape == ()
        np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=1e-6, err_msg=name)


def test_agrees_with_float64_on_made_up_images_and_noise():
    for seed in range(3):
        assert_agrees_with_reference(made_up_triple(seed))
    random = np.random.default_rng(0)
    assert_agrees_with_reference(random.integers(0, 256, (3, *SHAPE)).astype(np.uint8))


def test_small_variances_of_bright_images_survive_float32():
    random = np.random.default_rng(0)
    bright = random.integers(254, 256, (3, *SHAPE)).astype(np.uint8)
    bright[:, :, 20:] = 255  # most windows have no variance at all
    assert_agrees_with_reference(bright)


def test_sums_over_many_pixels_survive_float32():
    random = np.random.default_rng(0)
    triple = random.integers(200, 256, (3, 1500, 2000)).astype(np.uint8)
    exact = [image.astype(np.float64) for image in triple]
    for name in ("standard_deviation", "spatial_frequency", "average_gradient"):
        expected = getattr(reference_metrics, name)(exact[0])
        np.testing.assert_allclose(getattr(metrics, name)(triple[0]), expected, rtol=1e-5)
    for name in ("mean_squared_error", "sum_of_correlations_of_differences", "mutual_information"):
        expected = getattr(reference_metrics, name)(*exact)
        np.testing.assert_allclose(getattr(metrics, name)(*triple), expected, rtol=1e-4)


def test_single_metrics_equal_the_table(triple):
    fused = triple[0]
    alone = {
        "EN": metrics.entropy(fused),
        "SD": metrics.standard_deviation(fused),
        "SF": metrics.spatial_frequency(fused),
        "AG": metrics.average_gradient(fused),
        "MI": metrics.mutual_information(*triple),
        "NMI": metrics.normalised_mutual_information(*triple),
        "CC": metrics.correlation_coefficient(*triple),
        "SCD": metrics.sum_of_correlations_of_differences(*triple),
        "PSNR": metrics.peak_signal_to_noise_ratio(*triple),
        "MSE": metrics.mean_squared_error(*triple),
        "VIF": metrics.visual_information_fidelity(*triple),
        "Qabf": metrics.edge_preservation(*triple),
        "SSIM": metrics.structural_similarity(*triple),
        "SSIM_legacy": metrics.structural_similarity(*triple, data_range=2.0),
    }
    for name, value in fusion_metrics(*triple).items():
        np.testing.assert_allclose(alone[name], value, rtol=1e-6, err_msg=name)


def test_float_images_of_grey_values_score_like_uint8(triple):
    values, same = fusion_metrics(*triple), fusion_metrics(*(x.astype(np.float32) for x in triple))
    for name in METRICS:
        np.testing.assert_allclose(same[name], values[name], rtol=1e-6, err_msg=name)


def flat(level):
    return np.full(SHAPE, level, np.uint8)


def test_three_black_images_have_the_documented_values():
    assert {name: float(value) for name, value in fusion_metrics(*[flat(0)] * 3).items()} == {
        **{"EN": 0, "SD": 0, "SF": 0, "AG": 0, "MI": 0, "NMI": 0, "CC": 0, "SCD": 0},
        **{"PSNR": 100, "MSE": 0, "VIF": 2, "Qabf": 0, "SSIM": 2, "SSIM_legacy": 2},
    }


def test_only_the_border_of_a_grey_constant_is_an_edge():
    expected = 0.9994 * 0.9879 / (1 + np.exp(-22 * 0.2))
    assert metrics.edge_preservation(*[flat(93)] * 3) == pytest.approx(expected, rel=1e-5)


def test_large_constants_are_exactly_constant():
    constant = np.full((611, 733), 173, np.uint8)  # its float32 mean is not 173
    noise = np.random.default_rng(0).integers(0, 256, constant.shape).astype(np.uint8)
    assert metrics.standard_deviation(constant) == 0
    assert metrics.correlation_coefficient(constant, noise, noise) == 0
    assert metrics.sum_of_correlations_of_differences(constant, noise, constant) == 0


def test_a_black_result_has_the_documented_values(triple):
    _, visible, infrared = triple
    values = fusion_metrics(flat(0), visible, infrared)
    for name in ("EN", "SD", "SF", "AG", "MI", "NMI", "CC", "VIF"):
        assert values[name] == 0, name
    error = (visible.astype(float) ** 2).mean() / 2 + (infrared.astype(float) ** 2).mean() / 2
    np.testing.assert_allclose(values["PSNR"], -10 * np.log10(error), rtol=1e-5)
    both = np.corrcoef(visible.ravel(), infrared.ravel())[0, 1]
    np.testing.assert_allclose(values["SCD"], -2 * both, rtol=1e-5)
    assert 0 <= values["Qabf"] < 0.01


def test_a_flat_source_adds_one_to_vif(triple):
    fused, visible, _ = triple
    both = metrics.visual_information_fidelity(fused, visible, flat(7))
    alone = reference_metrics.visual_information_fidelity(
        fused.astype(float), visible.astype(float), visible.astype(float)
    )
    np.testing.assert_allclose(both, 1 + alone / 2, rtol=1e-5)


@pytest.mark.parametrize("source", [1, 2])
def test_a_copy_of_a_source_has_one_term_of_scd(triple, source):
    copy, other = triple[source], triple[3 - source].astype(float)
    assert_agrees_with_reference((copy, *triple[1:]))
    expected = np.corrcoef(copy.ravel(), (copy - other).ravel())[0, 1]
    value = metrics.sum_of_correlations_of_differences(copy, *triple[1:])
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (17, 128), (25, 40)])
def test_padding_changes_nothing(shape):
    random = np.random.default_rng(1)
    triple = made_up_triple(5, shape)
    padded = random.integers(0, 256, (3, 128, 128)).astype(np.uint8)
    padded[:, : shape[0], : shape[1]] = triple
    values, same = fusion_metrics(*triple), fusion_metrics(*padded, shape)
    for name in METRICS:
        np.testing.assert_allclose(same[name], values[name], rtol=3e-6, err_msg=name)


def test_works_over_a_batch_and_in_one_program(triple):
    triples = [triple, made_up_triple(1)]
    batch = [np.stack(images) for images in zip(*triples, strict=True)]
    values = jax.jit(jax.vmap(fusion_metrics))(*batch)
    for k, single in enumerate(triples):
        for name, value in fusion_metrics(*single).items():
            np.testing.assert_allclose(values[name][k], value, rtol=3e-6, err_msg=name)


@pytest.mark.parametrize(
    "function",
    [metrics.visual_information_fidelity, metrics.edge_preservation, metrics.mutual_information],
)
def test_different_shapes_are_refused(function):
    with pytest.raises(ValueError, match="of one shape"):
        function(np.zeros((20, 20), np.uint8), np.zeros((20, 21), np.uint8), np.zeros((20, 20)))
    with pytest.raises(ValueError, match="of one shape"):
        function(*[np.zeros((20, 20, 1), np.uint8)] * 3)


def test_too_small_images_are_refused():
    small = [np.zeros((16, 40), np.uint8)] * 3
    with pytest.raises(ValueError, match="VIF needs at least 17 x 17"):
        metrics.visual_information_fidelity(*small)
    with pytest.raises(ValueError, match="SSIM needs at least 7 x 7"):
        metrics.structural_similarity(*[image[:, :6] for image in small])
