"""The target picture, and the masks of the guiding entities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_batches import images, square

from egmt_jax.training import targets

NO_MASKS = jnp.zeros((1, 48, 48, 3))


def dim_images():
    """Sources whose maximum is not darkened."""
    return tuple(0.6 * image for image in images())


def test_without_guidance_the_target_is_the_brighter_source():
    visible, infrared = dim_images()
    target = targets.intensity_target(visible, infrared, NO_MASKS, 0.25)
    np.testing.assert_allclose(target, jnp.maximum(visible, infrared), atol=1e-6)


def test_two_bright_sources_are_darkened_but_white_stays_white():
    visible, infrared = (0.6 + 0.4 * image for image in images())
    target = targets.intensity_target(visible, infrared, NO_MASKS, 0.25)
    plain = jnp.maximum(visible, infrared)
    np.testing.assert_allclose(target, plain**targets.LARGEST_GAMMA, rtol=1e-5)
    assert float(targets.intensity_target(*jnp.ones((2, 1, 48, 48, 1)), NO_MASKS, 0.0).min()) == 1.0


def test_the_additive_share_keeps_structure_of_both_sources():
    visible, infrared = dim_images()
    maximum, total = (
        targets.intensity_target(visible, infrared, NO_MASKS, 0.0, share) for share in (0.0, 1.0)
    )
    smaller = jnp.minimum(jnp.mean(visible), jnp.mean(infrared))
    np.testing.assert_allclose(total, jnp.clip(visible + infrared - smaller, 0.0, 1.0), atol=1e-5)
    assert float(jnp.std(total)) > float(jnp.std(maximum))


def test_a_guided_entity_that_the_maximum_would_hide_keeps_its_contrast():
    mask = square()
    visible = jnp.asarray(0.4 - 0.3 * mask)  # dark in the visible image only
    infrared = jnp.full_like(visible, 0.5)
    plain = jnp.maximum(visible, infrared)
    target = targets.intensity_target(visible, infrared, jnp.asarray(mask), 0.0)
    inside = mask[..., 0] > 0
    assert float(target[..., 0][inside].mean()) == pytest.approx(0.5 - 0.3, abs=1e-4)
    np.testing.assert_allclose(target[..., 0][~inside], plain[..., 0][~inside], atol=1e-6)
    boosted = targets.intensity_target(visible, infrared, jnp.asarray(mask), 0.5)
    assert float(boosted[..., 0][inside].mean()) == pytest.approx(0.5 - 0.45, abs=1e-4)


def test_a_guided_entity_that_the_brighter_source_shows_well_stays_bright():
    mask = square()
    bright, dark = jnp.asarray(0.36 + 0.24 * mask), jnp.asarray(0.36 - 0.35 * mask)  # as the sky
    inside = mask[..., 0] > 0
    for sources in ((bright, dark), (dark, bright)):
        target = targets.intensity_target(*sources, jnp.asarray(mask), 0.0)
        np.testing.assert_allclose(target[..., 0][inside], 0.6, atol=1e-6)


def test_entities_that_fill_the_picture_keep_the_plain_target():
    visible, infrared = dim_images()
    masks = np.zeros((1, 48, 48, 2), np.float32)
    masks[:, :20, :, 0], masks[:, 20:, :, 1] = 1.0, 1.0
    target = targets.intensity_target(visible, infrared, jnp.asarray(masks), 0.5)
    np.testing.assert_allclose(target, jnp.maximum(visible, infrared), atol=1e-6)


@pytest.mark.parametrize("boost", [0.0, 5.0])
def test_the_target_is_finite_and_in_range_for_any_masks(boost):
    noise = np.random.default_rng(1).normal(size=(1, 48, 48, 4)) * 9
    masks = jax.nn.softmax(jnp.asarray(noise, jnp.float32))[..., :3]
    target = targets.intensity_target(*images(), masks, boost)
    assert np.isfinite(target).all()
    assert 0.0 <= float(target.min()) <= float(target.max()) <= 1.0


def test_coverage_is_the_share_of_each_cell_by_entity():
    masks = np.zeros((1, 16, 24, 2), np.float32)
    masks[0, :8, :4, 0] = 1.0
    masks[0, 8:, 16:, 1] = 1.0
    coverage = targets.cell_coverage(jnp.asarray(masks), jnp.asarray([[3, 1]]), (2, 3), 5)
    expected = np.zeros((1, 2, 3, 5), np.float32)
    expected[0, 0, 0, 3], expected[0, 1, 2, 1] = 0.5, 1.0
    np.testing.assert_allclose(coverage, expected)
