"""Attention drawn over the picture it led to."""

from collections.abc import Sequence

import cv2
import numpy as np

from egmt_jax.inference.fuser import Fused
from egmt_jax.io.images import to_rgb, to_uint8

MOST_SHOWN = 4
STRENGTH = 0.6
LABEL = 24


def attention_overlay(fused: Fused, entities: Sequence[str] | None = None) -> np.ndarray:
    """The picture once per entity, warm where the model looked at it.

    Colours go from nothing at 0 to the strongest attention of each entity, which its label tells
    beside the probability that it is in the pair.

    Args:
      fused: a fusion.
      entities: of those that guided it, see `Fused.guides`; None: the four it was guided by most.

    Returns:
      uint8 RGB [H + 24, n W, 3], entities side by side; the bare picture where none guided.
    """
    picture = _as_rgb(fused.image)
    if entities is None:
        strongest = fused.grid.max(axis=(0, 1)) if fused.guides else np.zeros(0)
        entities = [fused.guides[k] for k in np.argsort(-strongest)[:MOST_SHOWN]]
    if len(entities) == 0:
        return picture
    panels = []
    for name in entities:
        attention = fused.attention(name)
        peak = float(np.max(attention))
        share = (attention / np.float32(max(peak, 1e-6)))[..., None]
        heat = cv2.applyColorMap(to_uint8(share), cv2.COLORMAP_INFERNO)[..., ::-1]
        blended = picture + (heat.astype(np.float32) - picture) * (np.float32(STRENGTH) * share)
        known = name in fused.probabilities  # a name of the user's own has none
        text = f"{name} p {fused.probabilities[name]:.2f}" if known else name
        text += f" max {peak:.2f}"
        label = np.zeros((LABEL, picture.shape[1], 3), np.uint8)
        cv2.putText(label, text, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1)
        panels.append(np.concatenate([np.rint(blended).astype(np.uint8), label]))
    return np.concatenate(panels, axis=1)


def _as_rgb(image: np.ndarray) -> np.ndarray:
    """uint8 RGB of what `Fused.image` gives."""
    if image.dtype == np.uint16:
        image = image / np.float32(65535.0)
    if image.dtype != np.uint8:
        image = to_uint8(image)
    return to_rgb(image.reshape(*image.shape[:2], -1))
