"""The target: the target picture, raised where guiding entities are."""

import jax.numpy as jnp
import numpy as np
from training_batches import images, square

from egmt_jax.training import targets


def test_without_guidance_the_target_is_the_target_picture():
    picture, _ = images()
    found = targets.guided_target(picture, jnp.asarray(square()), jnp.zeros((1, 1)))
    np.testing.assert_array_equal(found, picture)


def test_an_entity_is_raised_by_its_amount_and_the_rest_stays():
    mask, picture = square(), jnp.full((1, 48, 48, 1), 0.5)
    for amount in (0.2, -0.2):
        found = targets.guided_target(picture, jnp.asarray(mask), jnp.asarray([[amount]]))
        np.testing.assert_allclose(found[0, 22, 22, 0], 0.5 + amount, atol=1e-5)
        np.testing.assert_array_equal(found[0, :8], picture[0, :8])


def test_raised_bright_pixels_stay_below_one_in_their_order():
    ramp = jnp.broadcast_to(jnp.linspace(0.5, 1.0, 48)[None, None, :, None], (1, 48, 48, 1))
    found = targets.guided_target(ramp, jnp.ones((1, 48, 48, 1)), jnp.asarray([[0.25]]))
    row = np.asarray(found[0, 24, 6:-6, 0])
    assert (np.diff(row) > 0.0).all()
    assert row.max() < 1.0


def test_slots_take_the_value_of_their_entity_and_padding_zero():
    values = jnp.asarray([[0.1, 0.2, 0.3]])
    np.testing.assert_allclose(
        targets.of_slots(values, jnp.asarray([[2, 0, -1]])), [[0.3, 0.1, 0.0]]
    )


def test_a_mean_counts_its_weights_only_and_is_zero_without_any():
    mask = jnp.asarray(square())
    picture = 0.25 + 0.5 * mask
    both = jnp.concatenate([mask, jnp.zeros_like(mask)], axis=-1)
    np.testing.assert_allclose(targets.mean_in(both, picture)[0, :, 0], [0.75, 0.0], atol=1e-6)
