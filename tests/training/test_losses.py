"""The loss terms: where they are zero, what they ignore, and what they prefer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_batches import images, square

from egmt_jax import metrics
from egmt_jax.training import losses, targets

TWO_SOURCES = (
    losses.structure,
    losses.information,
    losses.edges,
    losses.complementarity,
    losses.mutual_information,
)


def test_gradient_magnitude_of_a_ramp_is_its_slope():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None, None] * 0.1, (1, 8, 6, 1))
    np.testing.assert_allclose(losses.gradient_magnitude(ramp)[:, 1:-1], 0.1, rtol=1e-5)


def test_a_picture_equal_to_both_sources_has_no_loss():
    visible, _ = images()
    no_masks = jnp.zeros_like(visible)
    assert float(losses.intensity(visible, visible, no_masks, 4.0)) == 0.0
    assert float(losses.gradient(visible, visible, visible, visible)) == 0.0
    for loss in (losses.structure, losses.information):
        assert float(loss(visible, visible, visible)) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("loss", TWO_SOURCES)
def test_gradients_on_flat_images_are_finite(loss):
    flat = jnp.full((1, 32, 32, 1), 0.5)
    assert np.isfinite(jax.grad(loss)(flat, flat, flat)).all()


def test_the_strongest_edge_of_sources_and_target_is_the_gradient_target():
    visible, infrared = images()
    flat = jnp.full_like(visible, 0.5)
    assert float(losses.gradient(visible, visible, flat, flat)) == 0.0
    assert float(losses.gradient(infrared, flat, infrared, flat)) == 0.0
    assert float(losses.gradient(infrared, flat, flat, infrared)) == 0.0
    assert float(losses.gradient(flat, visible, flat, flat)) > 0.0


def test_an_error_inside_a_guiding_entity_costs_more():
    mask = jnp.asarray(square())
    target = jnp.full_like(mask, 0.5)
    inside, beside = target + 0.1 * mask, target + 0.1 * jnp.roll(mask, 20, axis=1)
    plain = losses.intensity(beside, target, mask, 4.0)
    assert float(losses.intensity(inside, target, mask, 4.0)) > 2.0 * float(plain)
    assert float(losses.intensity(inside, target, mask, 0.0)) == pytest.approx(float(plain))


def test_prominence_is_the_error_of_contrast_with_its_sign():
    mask = jnp.asarray(square())
    for sign in (1.0, -1.0):
        target = 0.5 + sign * 0.2 * mask
        fused = [0.5 + sign * gain * mask for gain in (0.3, 0.2, 0.1, 0.0, -0.1)]
        found = [float(losses.prominence(each, target, mask)) for each in fused]
        np.testing.assert_allclose(found, [0.1, 0.0, 0.1, 0.2, 0.3], atol=1e-6)


def test_prominence_depends_neither_on_area_nor_on_the_level_of_the_picture():
    small, large = (jnp.asarray(square(side=side)) for side in (4, 14))
    found = [float(losses.prominence(0.3 + 0 * m, 0.5 + 0.2 * m, m)) for m in (small, large)]
    np.testing.assert_allclose(found, 0.2, atol=1e-6)
    assert float(losses.prominence(0.5 + 0 * small, 0.5 + small, 0 * small)) == 0.0


def test_structure_prefers_the_average_to_noise():
    visible, infrared = images()
    noise = jnp.asarray(np.random.default_rng(0).random(visible.shape), jnp.float32)
    average = (visible + infrared) / 2.0
    assert losses.structure(average, visible, infrared) < losses.structure(noise, visible, infrared)


def test_information_prefers_more_contrast_than_the_sources_have():
    visible, infrared = images()
    average = (visible + infrared) / 2.0
    pictures = (0.5 + 1.2 * (average - 0.5), average, jnp.full_like(visible, 0.5))
    bold, average, flat = (float(losses.information(x, visible, infrared)) for x in pictures)
    assert bold < average < flat == pytest.approx(1.0, abs=1e-3)


def test_edges_should_have_the_direction_of_the_source():
    visible, infrared = images()
    flat = jnp.full_like(visible, 0.5)
    turned = visible.swapaxes(1, 2)
    found = [float(losses.edges(f, visible, infrared)) for f in (visible, turned, flat)]
    assert found[0] < found[1] < found[2]
    qabf = metrics.edge_preservation(*(255.0 * x[0, ..., 0] for x in (visible, visible, infrared)))
    assert found[0] == pytest.approx(1.0 - float(qabf), abs=1e-5)


def test_the_sum_of_the_sources_is_complementary_and_one_of_them_is_not():
    visible, infrared = images()
    total = float(losses.complementarity(visible + infrared, visible, infrared))
    assert total == pytest.approx(0.0, abs=1e-5)
    assert float(losses.complementarity(visible, visible, infrared)) > 0.3


def test_mutual_information_ignores_tone_curves_but_not_mixtures_or_noise():
    visible, infrared = images()
    noise = 0.1 * jnp.asarray(np.random.default_rng(0).normal(size=visible.shape), jnp.float32)
    curve = jnp.round(255 * visible**2) / 255
    pictures = (visible, curve, visible + noise, (visible + infrared) / 2, 0 * visible)
    found = [float(losses.mutual_information(x, visible, visible)) for x in pictures]
    same, curve, noisy, mixed, flat = found
    assert curve == pytest.approx(same, abs=0.05)
    assert same + 0.2 < min(noisy, mixed) < max(noisy, mixed) < flat
    assert flat == pytest.approx(1.0, abs=1e-4)


def test_the_gradient_of_mutual_information_improves_the_metric():
    visible, infrared = images()
    fused = (visible + infrared) / 2.0
    slope = jax.grad(losses.mutual_information)(fused, visible, infrared)
    before, after = (
        float(metrics.mutual_information(*(255 * x[0, ..., 0] for x in (f, visible, infrared))))
        for f in (fused, fused - 0.02 * jnp.sign(slope))
    )
    assert after > before


def test_contrast_is_required_up_to_a_bound():
    visible, infrared = images()
    average = (visible + infrared) / 2.0
    found = [
        float(losses.contrast(0.5 + gain * (average - 0.5), visible, infrared, 1.5))
        for gain in (1.0, 2.0, 8.0)
    ]
    assert found[0] > found[1] > found[2] == 0.0


def test_exposure_affects_nearly_clipped_values_only():
    ramp = jnp.linspace(0.0, 1.0, 64).reshape(1, 8, 8, 1)
    assert float(losses.exposure(jnp.clip(ramp, *losses.EXPOSED))) == 0.0
    slope = jax.grad(losses.exposure)(ramp).ravel()
    assert slope[0] < 0.0 < slope[-1]
    assert float(jnp.abs(slope[2:-2]).max()) == 0.0


def test_classification_is_the_mean_over_known_labels():
    logits = jnp.asarray([[2.0, -1.0], [9.0, -9.0]])
    labels = jnp.asarray([[1.0, 0.0], [0.0, 1.0]])
    weight = jnp.ones(2)

    def loss(*known):
        return float(losses.classification(logits, labels, jnp.asarray(known), weight))

    entries = -jax.nn.log_sigmoid(jnp.where(labels > 0.0, logits, -logits))
    assert loss([True, True], [False, False]) == pytest.approx(float(entries[0].mean()))
    three = (entries[0].sum() + entries[1, 0]) / 3.0
    assert loss([True, True], [True, False]) == pytest.approx(float(three))
    assert loss([False, False], [False, False]) == 0.0


def test_positive_weights_scale_positive_labels_only():
    labels, known = jnp.asarray([[1.0, 0.0]]), jnp.asarray([[True, True]])
    logits = jnp.zeros((1, 2))
    plain = losses.classification(logits, labels, known, jnp.asarray([1.0, 1.0]))
    heavy = losses.classification(logits, labels, known, jnp.asarray([3.0, 7.0]))
    assert float(heavy) == pytest.approx(2.0 * float(plain))


def test_localisation_follows_the_masks_and_allows_unlisted_entities_elsewhere():
    masks, ids = jnp.asarray(square(48, 16, 16)), jnp.asarray([[0, -1]])
    coverage = targets.cell_coverage(jnp.pad(masks, ((0, 0),) * 3 + ((0, 1),)), ids, (6, 6), 3)
    covered = np.asarray(coverage[0, ..., 0]) > 0.0

    def loss(similarity, masked=True):
        return losses.localisation(similarity, coverage, ids, jnp.asarray([masked]))

    slope = np.asarray(jax.grad(loss)(jnp.zeros_like(coverage)))[0]
    assert (slope[covered, 0] < 0.0).all()  # the listed entity is here
    assert (slope[covered, 1:] > 0.0).all()  # and no other one
    assert (slope[~covered, 0] > 0.0).all()  # it is nowhere else
    assert (slope[~covered, 1:] < 0.0).all()  # where any other one may be
    for other in ((-20.0, 20.0, -20.0), (-20.0, -20.0, 20.0), (-20.0, -20.0, -20.0)):
        similarity = jnp.where(covered[..., None], jnp.asarray([20.0, -20.0, -20.0]), 0.0)[None]
        similarity += jnp.where(covered[..., None], 0.0, jnp.asarray(other))[None]
        assert float(loss(similarity)) < 1e-3
        assert float(loss(-similarity)) > 1.0
        assert float(loss(-similarity, masked=False)) == 0.0
