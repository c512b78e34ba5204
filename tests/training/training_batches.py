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
    """Views of two entities each, with two crops; row 2 has neither labels nor masks."""
    pairs = [made_up_pair(side, side, seed) for seed in range(rows)]
    visible, infrared = (np.stack([pair[k][..., :1] for pair in pairs]) for k in (0, 1))
    ids = np.full((rows, 8), -1, np.int32)
    ids[:, 0], ids[:, 1] = np.arange(rows) % ENTITIES, (np.arange(rows) + 5) % ENTITIES
    labels = np.zeros((rows, ENTITIES), np.float32)
    labels[np.arange(rows)[:, None], ids[:, :2]] = 1.0
    masks = np.zeros((rows, side, side, 8), np.uint8)
    masks[:, :8, :8, 0], masks[:, 20:, 20:, 1] = 255, 255
    coverage = masks.reshape(rows, side // 8, 8, side // 8, 8, 8).mean(axis=(2, 4)) / 255.0
    known = np.arange(rows) != 2
    half = side // 2
    corners = np.asarray([(0, 0), (half, half)], np.int32)

    def crops(x):
        return np.stack([x[:, :half, :half], x[:, half:, half:]], axis=1)

    target = np.maximum(visible, infrared)
    view = [visible, np.zeros((*visible.shape[:3], 2)), infrared, np.full_like(visible, 255)]
    return jax.tree.map(
        jnp.asarray,
        {
            "view": np.concatenate(view, axis=-1).astype(np.float32) / np.float32(255.0),
            "extent": np.full((rows, 2), side, np.int32),
            "factor": np.ones(rows, np.float32),
            "origin": np.broadcast_to(corners, (rows, 2, 2)),
            "visible": crops(visible),
            "infrared": crops(infrared),
            "target": crops(target),
            "entity_ids": ids,
            "salience": np.full((rows, 8), 0.1, np.float32),
            "guide": labels,
            "labels": labels,
            "labelled": np.repeat(known[:, None], ENTITIES, axis=1),
            "coverage": coverage.astype(np.float32),
            "masks": crops(masks),
            "masked": known,
        },
    )
