"""The loss terms: where they are zero, what they ignore, and what they prefer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_batches import images, square

from egmt_jax.training import losses


def test_derivatives_of_a_ramp_are_its_slope_and_zero():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None, None] * 0.1, (1, 8, 6, 1))
    rows, columns = losses.derivatives(ramp)
    np.testing.assert_allclose(rows[:, 1:-1], 0.1, rtol=1e-5)
    np.testing.assert_allclose(columns, 0.0, atol=1e-6)


def test_a_picture_equal_to_target_and_sources_has_no_loss():
    visible, _ = images()
    assert float(losses.intensity(visible, visible, jnp.asarray(square()))) == 0.0
    assert float(losses.gradient(visible, visible)) == 0.0
    assert float(losses.prominence(visible, visible, jnp.asarray(square()))) == 0.0
    assert float(losses.structure(visible, visible, visible)) == pytest.approx(0.0, abs=1e-3)


def test_gradients_on_flat_images_are_finite():
    flat = jnp.full((1, 32, 32, 1), 0.5)
    for loss in (losses.structure, lambda f, v, i: losses.gradient(f, v)):
        assert np.isfinite(jax.grad(loss)(flat, flat, flat)).all()


def test_the_gradient_term_ignores_the_level_and_counts_the_direction_of_edges():
    visible, _ = images()
    assert float(losses.gradient(visible + 0.1, visible)) == pytest.approx(0.0, abs=1e-6)
    lost, turned = losses.gradient(0.0 * visible, visible), losses.gradient(-visible, visible)
    assert float(turned) == pytest.approx(2.0 * float(lost), rel=1e-4)


def test_an_error_inside_a_guiding_entity_costs_more():
    mask = jnp.asarray(square())
    target = jnp.full_like(mask, 0.5)
    inside, beside = target + 0.1 * mask, target + 0.1 * jnp.roll(mask, 20, axis=1)
    plain = float(losses.intensity(beside, target, mask))
    found = float(losses.intensity(inside, target, mask))
    assert found == pytest.approx((1.0 + losses.EMPHASIS) * plain, rel=1e-4)


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
    ids = jnp.asarray([[0, -1]])
    coverage = np.zeros((1, 6, 6, 2), np.float32)
    coverage[0, 2:4, 2:4, 0] = 1.0
    covered = coverage[0, ..., 0] > 0.0
    coverage = jnp.asarray(coverage)

    def loss(similarity, counted=True):
        where = jnp.full((1, 6, 6), counted)
        return losses.localisation(similarity, coverage, ids, where)

    slope = np.asarray(jax.grad(loss)(jnp.zeros((1, 6, 6, 3))))[0]
    assert (slope[covered, 0] < 0.0).all()  # the listed entity is here
    assert (slope[covered, 1:] > 0.0).all()  # and no other one
    assert (slope[~covered, 0] > 0.0).all()  # it is nowhere else
    assert (slope[~covered, 1:] < 0.0).all()  # where any other one may be
    for other in ((-20.0, 20.0, -20.0), (-20.0, -20.0, 20.0), (-20.0, -20.0, -20.0)):
        similarity = jnp.where(covered[..., None], jnp.asarray([20.0, -20.0, -20.0]), 0.0)[None]
        similarity += jnp.where(covered[..., None], 0.0, jnp.asarray(other))[None]
        assert float(loss(similarity)) < 1e-3
        assert float(loss(-similarity)) > 1.0
        assert float(loss(-similarity, counted=False)) == 0.0
