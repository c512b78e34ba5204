"""Measures how much contrast an entity gains as a guide, on pairs with masks."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float
from tqdm import tqdm

from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.pairs import Pair
from egmt_jax.models import Guidance

SURROUND = 8  # pixels around a mask that count as its surround
LARGEST_AREA = 0.3  # of the image; larger entities, such as the sky, are trained not to change


def contrast(image: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> float:
    """|mean inside the mask - mean of its surround|; the mask is neither empty nor everything."""
    kernel = np.ones((2 * SURROUND + 1, 2 * SURROUND + 1), np.uint8)
    surround = (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask
    return float(abs(image[mask].mean() - image[surround].mean()))


def steering(fuser: Fuser, pairs: Sequence[Pair], seed: int = 0, most: int = 1) -> list[dict]:
    """Fuses each pair guided by one of its most salient entities, then by an absent one.

    Skips entities without masks, or with masks above `LARGEST_AREA`. `most` limits the entities per
    pair; `seed` chooses the absent one among the entities of other pairs.

    Returns:
      Per entity: `id`, `entity`, `absent`, `area` of the mask (share of the image), and the
      contrast of the mask in the fused luma, in [0, 1], with the entity or the absent one as
      guide: `named`, `not_named`.
    """
    everything = sorted({entity for pair in pairs for entity in pair.entities})
    rng = np.random.default_rng(seed)
    rows = []
    for pair in tqdm(pairs, "Steering", unit="pair"):
        known = pair.masks or {}
        masks = {name: known[name] > 127 for name in pair.entities if name in known}
        small = [name for name, mask in masks.items() if 0.0 < mask.mean() < LARGEST_AREA]
        others = [name for name in everything if name not in pair.entities]
        for entity in small[:most] if others else ():
            row: dict = {"id": pair.id, "entity": entity, "absent": str(rng.choice(others))}
            row["area"] = float(masks[entity].mean())
            for key, name in (("named", entity), ("not_named", row["absent"])):
                luma = fuser(pair.visible, pair.infrared, Guidance((name,))).luma
                row[key] = contrast(luma, masks[entity])
            rows.append(row)
    return rows
