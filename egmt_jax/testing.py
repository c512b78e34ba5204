"""A tiny model and made-up pairs, for this project's tests and for those of code built on it."""

import os
import pathlib
from collections.abc import Iterable

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from egmt_jax.io.images import write_atomically
from egmt_jax.models import EGMT

TINY = dict(width=8, tokens=16, deep_tokens=16, token_blocks=1, heads=2, dimension=8)
"""Arguments of `EGMT` that make a model of a few thousand parameters."""


def text_features(entities: int = 6, dimension: int = 12, seed: int = 0) -> np.ndarray:
    """Random text features, float32 [K, D] with rows of unit norm."""
    features = np.random.default_rng(seed).normal(size=(entities, dimension))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def tiny_model(features: np.ndarray | None = None, seed: int = 0, **arguments) -> EGMT:
    """A model of a few thousand parameters whose zero-initialised layers hold small random values.

    A new model ignores its entities and averages its inputs; in this one every path has an effect.
    `arguments` of `EGMT` override those that make it tiny.
    """
    features = text_features() if features is None else features
    model = EGMT(features, rngs=nnx.Rngs(seed), **TINY | arguments)
    rng = np.random.default_rng(seed)
    params = nnx.state(model, nnx.Param)
    filled = jax.tree.map(
        lambda x: x if np.any(x) else jnp.asarray(rng.normal(0.0, 0.1, x.shape), x.dtype), params
    )
    nnx.update(model, filled)
    return model


def made_up_pair(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Visible uint8 [H, W, 3] and infrared uint8 [H, W, 1] with rectangles in one or in both."""
    rng = np.random.default_rng([seed, height, width])
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    visible = 90 + 70 * rows[..., None] + 30 * columns[..., None] * np.array([1.0, 0.5, -0.5])
    infrared = (60 + 80 * columns)[..., None]
    for k in range(6):
        top, left = rng.integers(0, height), rng.integers(0, width)
        bottom = top + 1 + rng.integers(height // 8, height // 3 + 1)
        right = left + 1 + rng.integers(width // 8, width // 3 + 1)
        if k % 3 != 0:
            visible[top:bottom, left:right] = rng.uniform(0, 255, 3)
        if k % 3 != 1:
            infrared[top:bottom, left:right] = rng.uniform(0, 255)
    visible += rng.normal(0, 3, visible.shape)
    infrared += rng.normal(0, 2, infrared.shape)
    return tuple(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (visible, infrared))


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 1] or RGB [H, W, 3] in the format that the suffix of the path names."""
    stored = image[..., ::-1] if image.shape[2] == 3 else image
    _, encoded = cv2.imencode(pathlib.Path(path).suffix, np.ascontiguousarray(stored))
    write_atomically(path, encoded.tobytes())


def write_pairs(
    visible_folder: str | os.PathLike,
    infrared_folder: str | os.PathLike,
    ids: Iterable[str],
    suffix: str = ".png",
    height: int = 24,
    width: int = 32,
) -> None:
    """Writes one made-up pair per id into two folders, as PNG or JPEG by `suffix`."""
    for seed, pair_id in enumerate(ids):
        visible, infrared = made_up_pair(height, width, seed)
        write_image(pathlib.Path(visible_folder) / f"{pair_id}{suffix}", visible)
        write_image(pathlib.Path(infrared_folder) / f"{pair_id}{suffix}", infrared)
