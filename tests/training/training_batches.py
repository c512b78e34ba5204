"""Made-up images, masks and batches."""

import jax
import jax.numpy as jnp
import numpy as np

from egmt_jax.testing import made_up_pair

ENTITIES = 12


def images(size=48, seed=0):
    """A visible and an infrared image, float32 [1, size, size, 1]."""
    visible, infrared = made_up_pair(size, size, seed)
    return tuple(jnp.asarray(x[None, ..., :1], jnp.float32) / 255.0 for x in (visible, infrared))


def square(size=48, top=16, side=12):
    """A mask, float32 [1, size, size, 1]."""
    mask = np.zeros((1, size, size, 1), np.float32)
    mask[:, top : top + side, top : top + side] = 1.0
    return mask


def batch(rows=4, side=32):
    """Pairs with two entities each and their masks; row 2 has neither labels nor masks."""
    pairs = [images(side, seed) for seed in range(rows)]
    ids = np.full((rows, 8), -1, np.int32)
    ids[:, 0], ids[:, 1] = np.arange(rows) % ENTITIES, (np.arange(rows) + 5) % ENTITIES
    labels = np.zeros((rows, ENTITIES), np.float32)
    labels[np.arange(rows)[:, None], ids[:, :2]] = 1.0
    masks = np.zeros((rows, side, side, 8), np.float32)
    masks[:, :8, :8, 0], masks[:, 20:, 20:, 1] = 1.0, 1.0
    known = np.arange(rows) != 2
    return jax.tree.map(
        jnp.asarray,
        {
            "visible": np.concatenate([pair[0] for pair in pairs]),
            "infrared": np.concatenate([pair[1] for pair in pairs]),
            "has_infrared": np.ones((rows, side, side), bool),
            "entity_ids": ids,
            "guide": labels,
            "labels": labels,
            "labelled": np.repeat(known[:, None], ENTITIES, axis=1),
            "masks": masks,
            "masked": known,
        },
    )
