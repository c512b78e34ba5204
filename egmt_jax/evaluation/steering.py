"""Measures how much naming an entity makes it stand out, where masks are known."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float
from tqdm import tqdm

from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.pairs import Pair
from egmt_jax.models import Guidance

SURROUND = 8
"""Pixels around a mask that count as its surround."""

LARGEST_AREA = 0.3
"""Share of the image above which an entity is not expected to stand out, such as the sky."""


def contrast(image: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> float:
    """|mean inside the mask - mean of its surround|; the mask is neither empty nor everything."""
    kernel = np.ones((2 * SURROUND + 1, 2 * SURROUND + 1), np.uint8)
    surround = (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask
    return float(abs(image[mask].mean() - image[surround].mean()))


def steering(fuser: Fuser, pairs: Sequence[Pair], seed: int = 0, most: int = 1) -> list[dict]:
    """Names the most salient entities of each pair, one at a time, then an absent one.

    Entities with masks above `LARGEST_AREA` are skipped: the model is trained not to change them.

    Args:
      fuser: a trained model.
      pairs: with entities and masks; others are skipped.
      seed: of the choice of the absent entity, among those of other pairs.
      most: entities per pair.

    Returns:
      Per entity: `id`, `entity`, `absent`, and the contrast inside the entity's mask in the fused
      luma, in [0, 1], when naming the entity or the absent one: `named`, `not_named`.
    """
    everything = sorted({entity for pair in pairs for entity in pair.entities})
    rng = np.random.default_rng(seed)
    rows = []
    for pair in tqdm(pairs, "Steering", unit="pair"):
        masks = {
            name: pair.masks[name] > 127
            for name in pair.entities
            if pair.masks is not None and name in pair.masks
        }
        small = [name for name, mask in masks.items() if 0.0 < mask.mean() < LARGEST_AREA]
        others = [name for name in everything if name not in pair.entities]
        if not others:
            continue
        for entity in small[:most]:
            absent = str(rng.choice(others))
            named, not_named = (
                contrast(fuser(pair.luma, pair.infrared, Guidance((name,))).luma, masks[entity])
                for name in (entity, absent)
            )
            scores = {"named": named, "not_named": not_named}
            rows.append({"id": pair.id, "entity": entity, "absent": absent, **scores})
    return rows
