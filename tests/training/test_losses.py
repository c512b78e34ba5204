"""The losses: what they are zero at, what they ignore, where guidance pulls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from egmt_jax import metrics
from egmt_jax.testing import made_up_pair
from egmt_jax.training import losses


def images(size=48, seed=0):
    visible, infrared = made_up_pair(size, size, seed)
    return tuple(jnp.asarray(x[None, ..., :1], jnp.float32) / 255.0 for x in (visible, infrared))


def dim_images():
    """Sources whose maximum is not darkened as a target."""
    return tuple(0.6 * image for image in images())


def test_gradient_magnitude_of_a_ramp_is_its_slope_everywhere_inside():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None, None] * 0.1, (1, 8, 6, 1))
    inside = losses.gradient_magnitude(ramp)[:, 1:-1]
    np.testing.assert_allclose(inside, 0.1, rtol=1e-5)


def test_a_picture_that_is_both_sources_has_no_loss():
    visible, _ = images()
    nothing = jnp.zeros_like(visible)
    assert float(losses.intensity(visible, visible, nothing, 4.0)) == 0.0
    assert float(losses.gradient(visible, visible, visible, visible)) == 0.0
    assert float(losses.structure(visible, visible, visible)) == pytest.approx(0.0, abs=1e-5)


def test_the_strongest_edge_of_sources_and_target_is_the_gradient_target():
    visible, infrared = images()
    flat = jnp.full_like(visible, 0.5)
    assert float(losses.gradient(visible, visible, flat, flat)) == 0.0
    assert float(losses.gradient(infrared, flat, infrared, flat)) == 0.0
    assert float(losses.gradient(infrared, flat, flat, infrared)) == 0.0
    assert float(losses.gradient(flat, visible, flat, flat)) > 0.0


def test_an_error_inside_a_guided_thing_costs_more_than_one_beside_it():
    mask = jnp.asarray(square())
    target = jnp.full_like(mask, 0.5)
    inside, beside = target + 0.1 * mask, target + 0.1 * jnp.roll(mask, 20, axis=1)
    plain = losses.intensity(beside, target, mask, 4.0)
    assert float(losses.intensity(inside, target, mask, 4.0)) > 2.0 * float(plain)
    assert float(losses.intensity(inside, target, mask, 0.0)) == pytest.approx(float(plain))


def test_a_thing_should_stand_out_as_much_as_in_the_target_and_to_the_same_side():
    mask = jnp.asarray(square())
    for sign in (1.0, -1.0):
        target = 0.5 + sign * 0.2 * mask
        shown = [0.5 + sign * gain * mask for gain in (0.3, 0.2, 0.1, 0.0, -0.1)]
        found = [float(losses.prominence(fused, target, mask)) for fused in shown]
        np.testing.assert_allclose(found, [0.1, 0.0, 0.1, 0.2, 0.3], atol=1e-6)


def test_a_small_thing_counts_as_much_as_a_large_one_and_the_level_of_the_picture_for_nothing():
    small, large = (jnp.asarray(square(side=side)) for side in (4, 14))
    found = [float(losses.prominence(0.3 + 0 * m, 0.5 + 0.2 * m, m)) for m in (small, large)]
    np.testing.assert_allclose(found, 0.2, atol=1e-6)
    assert float(losses.prominence(0.5 + 0 * small, 0.5 + small, 0 * small)) == 0.0


def test_structure_prefers_the_sources_to_noise_and_has_finite_gradients_on_flat_images():
    visible, infrared = images()
    noise = jnp.asarray(np.random.default_rng(0).random(visible.shape), jnp.float32)
    average = (visible + infrared) / 2.0
    assert losses.structure(average, visible, infrared) < losses.structure(noise, visible, infrared)
    flat = jnp.full_like(visible, 0.5)
    assert np.isfinite(jax.grad(losses.structure)(flat, flat, flat)).all()


def test_more_contrast_than_the_sources_have_keeps_more_information():
    visible, infrared = images()
    average = (visible + infrared) / 2.0
    bold = 0.5 + 1.2 * (average - 0.5)
    flat = jnp.full_like(visible, 0.5)
    bold, average, flat = (
        float(losses.information(fused, visible, infrared)) for fused in (bold, average, flat)
    )
    assert bold < average < flat == pytest.approx(1.0, abs=1e-3)
    assert float(losses.information(visible, visible, visible)) == pytest.approx(0.0, abs=1e-3)


def test_the_sum_of_the_sources_is_complementary_and_one_of_them_is_not():
    visible, infrared = images()
    total, one = (
        float(losses.complementarity(fused, visible, infrared))
        for fused in (visible + infrared, visible)
    )
    assert total == pytest.approx(0.0, abs=1e-5)
    assert one > 0.3


def test_mutual_information_minds_mixtures_and_noise_and_no_tone_curve():
    visible, infrared = images()
    noise = 0.1 * jnp.asarray(np.random.default_rng(0).normal(size=visible.shape), jnp.float32)
    same, curve, noisy, mixed, flat = (
        float(losses.mutual_information(fused, visible, visible))
        for fused in (
            visible,
            jnp.round(255 * visible**2) / 255,
            visible + noise,
            (visible + infrared) / 2,
            0 * visible,
        )
    )
    assert curve == pytest.approx(same, abs=0.05)
    assert same + 0.2 < min(noisy, mixed) < max(noisy, mixed) < flat
    assert flat == pytest.approx(1.0, abs=1e-4)


def test_mutual_information_has_a_gradient_that_follows_the_metric():
    visible, infrared = images()
    fused = (visible + infrared) / 2.0
    slope = jax.grad(losses.mutual_information)(fused, visible, infrared)
    better = fused - 0.02 * jnp.sign(slope)
    before, after = (
        float(metrics.mutual_information(*(255 * x[0, ..., 0] for x in (f, visible, infrared))))
        for f in (fused, better)
    )
    assert np.isfinite(slope).all()
    assert after > before
    flat = jnp.full_like(visible, 0.5)
    assert np.isfinite(jax.grad(losses.mutual_information)(flat, flat, flat)).all()


def test_contrast_asks_for_more_than_the_sources_have_and_then_no_more():
    visible, infrared = images()
    average = (visible + infrared) / 2.0
    needs = [
        float(losses.contrast(0.5 + gain * (average - 0.5), visible, infrared, 1.5))
        for gain in (1.0, 2.0, 8.0)
    ]
    assert needs[0] > needs[1] > needs[2] == 0.0


def test_exposure_minds_what_is_nearly_clipped_alone():
    ramp = jnp.linspace(0.0, 1.0, 64).reshape(1, 8, 8, 1)
    low, high = losses.EXPOSED
    assert float(losses.exposure(jnp.clip(ramp, low, high))) == 0.0
    slope = jax.grad(losses.exposure)(ramp).ravel()
    assert slope[0] < 0.0 < slope[-1]
    assert float(jnp.abs(slope[2:-2]).max()) == 0.0


@pytest.mark.parametrize("name", ["gradient", "structure", "information"])
def test_detail_weighs_each_example_of_the_losses_of_detail(name):
    one, two = images(seed=0), images(seed=1)
    batch = [jnp.concatenate(pair) for pair in zip(one, two, strict=True)]
    fused = 0.7 * batch[0] + 0.3 * jnp.roll(batch[1], 2, axis=1)

    def loss(fused, visible, infrared, **detail):
        more = (visible,) if name == "gradient" else ()
        return float(getattr(losses, name)(fused, visible, infrared, *more, **detail))

    each = [loss(fused[k : k + 1], batch[0][k : k + 1], batch[1][k : k + 1]) for k in range(2)]
    assert min(each) > 0.0
    assert loss(fused, *batch) == pytest.approx(sum(each) / 2, rel=1e-5)
    weighed = loss(fused, *batch, detail=jnp.asarray([0.0, 0.5]))
    assert weighed == pytest.approx(0.25 * each[1], rel=1e-5)


def test_unlabelled_pairs_add_nothing_to_the_classification_loss():
    logits = jnp.asarray([[2.0, -1.0], [9.0, -9.0]])
    labels = jnp.asarray([[1.0, 0.0], [0.0, 1.0]])
    weight = jnp.ones(2)
    one = losses.classification(logits[:1], labels[:1], jnp.asarray([True]), weight)
    both = losses.classification(logits, labels, jnp.asarray([True, False]), weight)
    assert float(one) == pytest.approx(float(both))
    none = losses.classification(logits, labels, jnp.asarray([False, False]), weight)
    assert float(none) == 0.0


def test_a_positive_weight_scales_positive_labels_alone():
    labels, known = jnp.asarray([[1.0, 0.0]]), jnp.asarray([True])
    logits = jnp.zeros((1, 2))
    plain = losses.classification(logits, labels, known, jnp.asarray([1.0, 1.0]))
    heavy = losses.classification(logits, labels, known, jnp.asarray([3.0, 7.0]))
    assert float(heavy) == pytest.approx(2.0 * float(plain))


def square(size=48, top=16, side=12):
    mask = np.zeros((1, size, size, 1), np.float32)
    mask[:, top : top + side, top : top + side] = 1.0
    return mask


def test_without_entities_the_target_is_the_brighter_source():
    visible, infrared = dim_images()
    target = losses.intensity_target(visible, infrared, jnp.zeros((1, 48, 48, 3)), 0.25)
    np.testing.assert_allclose(target, jnp.maximum(visible, infrared), atol=1e-6)


def test_two_bright_sources_are_darkened_but_white_stays_white():
    visible, infrared = (0.6 + 0.4 * image for image in images())
    nothing = jnp.zeros((1, 48, 48, 3))
    target = losses.intensity_target(visible, infrared, nothing, 0.25)
    plain = jnp.maximum(visible, infrared)
    np.testing.assert_allclose(target, plain**losses.LARGEST_GAMMA, rtol=1e-5)
    assert float(losses.intensity_target(*jnp.ones((2, 1, 48, 48, 1)), nothing, 0.0).min()) == 1.0


def test_the_additive_share_parts_what_both_show_from_what_neither_does():
    visible, infrared = dim_images()
    nothing = jnp.zeros((1, 48, 48, 3))
    maximum, total = (
        losses.intensity_target(visible, infrared, nothing, 0.0, share) for share in (0.0, 1.0)
    )
    smaller = jnp.minimum(jnp.mean(visible), jnp.mean(infrared))
    np.testing.assert_allclose(total, jnp.clip(visible + infrared - smaller, 0.0, 1.0), atol=1e-5)
    assert float(jnp.std(total)) > float(jnp.std(maximum))


def test_a_guided_thing_that_the_maximum_would_drown_keeps_its_contrast():
    mask = square()
    visible = jnp.asarray(0.4 - 0.3 * mask)  # dark in the visible image alone
    infrared = jnp.full_like(visible, 0.5)
    plain = jnp.maximum(visible, infrared)
    target = losses.intensity_target(visible, infrared, jnp.asarray(mask), 0.0)
    inside = mask[..., 0] > 0
    assert float(plain[..., 0][inside].mean()) == pytest.approx(0.5)
    assert float(target[..., 0][inside].mean()) == pytest.approx(0.5 - 0.3, abs=1e-4)
    np.testing.assert_allclose(target[..., 0][~inside], plain[..., 0][~inside], atol=1e-6)
    boosted = losses.intensity_target(visible, infrared, jnp.asarray(mask), 0.5)
    assert float(boosted[..., 0][inside].mean()) == pytest.approx(0.5 - 0.45, abs=1e-4)


def test_a_guided_thing_that_the_brighter_source_shows_well_does_not_change_sides():
    mask = square()
    bright, dark = jnp.asarray(0.36 + 0.24 * mask), jnp.asarray(0.36 - 0.35 * mask)  # as the sky
    inside = mask[..., 0] > 0
    for sources in ((bright, dark), (dark, bright)):
        target = losses.intensity_target(*sources, jnp.asarray(mask), 0.0)
        np.testing.assert_allclose(target[..., 0][inside], 0.6, atol=1e-6)


def test_what_fills_the_picture_keeps_the_plain_target():
    visible, infrared = dim_images()
    masks = np.zeros((1, 48, 48, 2), np.float32)
    masks[:, :20, :, 0], masks[:, 20:, :, 1] = 1.0, 1.0
    target = losses.intensity_target(visible, infrared, jnp.asarray(masks), 0.5)
    np.testing.assert_allclose(target, jnp.maximum(visible, infrared), atol=1e-6)


def test_the_target_stays_in_bounds_and_finite_for_any_masks():
    visible, infrared = images()
    masks = jax.nn.softmax(jnp.asarray(np.random.default_rng(1).normal(size=(1, 48, 48, 4)) * 9))
    masks = masks.astype(jnp.float32)
    for boost in (0.0, 5.0):
        target = losses.intensity_target(visible, infrared, masks[..., :3], boost)
        assert np.isfinite(target).all()
        assert 0.0 <= float(target.min()) <= float(target.max()) <= 1.0


def test_coverage_counts_the_share_of_each_cell_by_entity():
    masks = np.zeros((1, 16, 24, 2), np.float32)
    masks[0, :8, :4, 0] = 1.0
    masks[0, 8:, 16:, 1] = 1.0
    coverage = losses.cell_coverage(jnp.asarray(masks), jnp.asarray([[3, 1]]), (2, 3), 5)
    expected = np.zeros((1, 2, 3, 5), np.float32)
    expected[0, 0, 0, 3], expected[0, 1, 2, 1] = 0.5, 1.0
    np.testing.assert_allclose(coverage, expected)


def test_localisation_is_lowest_where_similarity_matches_the_coverage():
    masks, ids = jnp.asarray(square(48, 16, 16)), jnp.asarray([[0]])
    coverage = losses.cell_coverage(masks, ids, (6, 6), 2)
    right = 20.0 * coverage - 10.0
    known = jnp.asarray([True])
    assert float(losses.localisation(right, coverage, ids, known)) < 1e-3
    assert float(losses.localisation(-right, coverage, ids, known)) > 1.0
    assert float(losses.localisation(-right, coverage, ids, jnp.asarray([False]))) == 0.0


def test_localisation_asks_what_the_outlines_tell_and_no_more():
    masks, ids = jnp.asarray(square(48, 16, 16)), jnp.asarray([[0, -1]])
    coverage = losses.cell_coverage(jnp.pad(masks, ((0, 0),) * 3 + ((0, 1),)), ids, (6, 6), 3)
    covered = np.asarray(coverage[0, ..., 0]) > 0.0

    def asked(similarity):
        return losses.localisation(similarity, coverage, ids, jnp.asarray([True]))

    slope = np.asarray(jax.grad(asked)(jnp.zeros_like(coverage)))[0]
    assert (slope[covered, 0] < 0.0).all()  # the listed one is here
    assert (slope[covered, 1:] > 0.0).all()  # where no other is
    assert (slope[~covered, 0] > 0.0).all()  # and nowhere else
    assert (slope[~covered, 1:] < 0.0).all()  # where any other may be
    for other in ((-20.0, 20.0, -20.0), (-20.0, -20.0, 20.0), (-20.0, -20.0, -20.0)):
        elsewhere = jnp.where(covered[..., None], jnp.asarray([20.0, -20.0, -20.0]), 0.0)[None]
        elsewhere += jnp.where(covered[..., None], 0.0, jnp.asarray(other))[None]
        assert float(asked(elsewhere)) < 1e-3


def test_edges_should_run_as_in_the_source_that_has_them():
    visible, infrared = images()
    flat = jnp.full_like(visible, 0.5)
    turned = visible.swapaxes(1, 2)
    found = [float(losses.edges(f, visible, infrared)) for f in (visible, turned, flat)]
    assert found[0] < found[1] < found[2]
    qabf = metrics.edge_preservation(*(255.0 * x[0, ..., 0] for x in (visible, visible, infrared)))
    assert found[0] == pytest.approx(1.0 - float(qabf), abs=1e-5)
    assert float(losses.edges(visible, visible, infrared, jnp.zeros(1))) == 0.0
    assert np.isfinite(jax.grad(losses.edges)(flat, flat, flat)).all()
