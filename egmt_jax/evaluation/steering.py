"""Does naming a thing make it stand out? Measured where masks are known."""

from collections.abc import Sequence

import cv2
import numpy as np
from tqdm import tqdm

from egmt_jax.data.pipeline import Pair
from egmt_jax.inference.fuser import Fuser
from egmt_jax.training.losses import FADING_AREA, SURROUND


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """How far a thing stands out: |mean inside - mean of the surround|.

    Args:
      image: float [H, W].
      mask: bool [H, W]; neither empty nor everything.

    Returns:
      In the image's unit; the surround reaches 8 pixels beyond the mask.
    """
    kernel = np.ones((2 * SURROUND + 1, 2 * SURROUND + 1), np.uint8)
    surround = (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask
    return float(abs(image[mask].mean() - image[surround].mean()))


def steering(fuser: Fuser, pairs: Sequence[Pair], seed: int = 0, most: int = 1) -> list[dict]:
    """Names the most salient entities of each pair, one at a time, then one that is not in it.

    What covers more than `losses.FADING_AREA` of the picture, such as the sky, is passed over:
    the model is taught to leave it as it is.

    Args:
      fuser: of a trained model.
      pairs: with entities and masks.
      seed: picks the absent entity, among those that other pairs have.
      most: entities per pair.

    Returns:
      Per entity: `id`, `entity`, `absent`, and the contrast of the entity's mask in the fused image
      (0 to 1) when the one or the other is named: `named`, `not_named`.
    """
    everything = sorted({entity for pair in pairs for entity in pair.entities})
    rng = np.random.default_rng(seed)
    rows = []
    for pair in tqdm(pairs, "Steering", unit="pair"):
        masks = [mask > 127 for mask in pair.masks]
        small = [k for k, mask in enumerate(masks) if 0.0 < mask.mean() < FADING_AREA[1]]
        others = [name for name in everything if name not in pair.entities]
        if not (small and others):
            continue
        for k in small[:most]:
            entity, absent = pair.entities[k], str(rng.choice(others))
            named, not_named = (
                contrast(fuser(pair.luma, pair.infrared, [name]).fused, masks[k])
                for name in (entity, absent)
            )
            rows.append(
                {
                    "id": pair.id,
                    "entity": entity,
                    "absent": absent,
                    "named": named,
                    "not_named": not_named,
                }
            )
    return rows
