"""Contact sheets: pictures of one pair side by side, pairs one below the other."""

from collections.abc import Sequence

import cv2
import numpy as np

from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_rgb, to_uint8
from egmt_jax.models import EGMT

CELL_HEIGHT, CELL_WIDTH = 192, 256
GAP = 4

OVERLAYS = 2
"""Attention maps per pair on a sheet of samples."""

FAINTEST = 0.05
"""Attention that is drawn in full strength, at least."""


def contact_sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Lays pictures out in a grid, each scaled into a cell of 256 x 192 pixels.

    Args:
      rows: pictures uint8 [H, W], [H, W, 1] or RGB [H, W, 3], of any sizes.

    Returns:
      uint8 RGB, white between the cells.
    """
    height, width = CELL_HEIGHT + GAP, CELL_WIDTH + GAP
    sheet = np.full((GAP + height * len(rows), GAP + width * max(map(len, rows)), 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            picture = to_rgb(picture[..., None] if picture.ndim == 2 else picture)
            scale = min(CELL_HEIGHT / picture.shape[0], CELL_WIDTH / picture.shape[1])
            h, w = (max(1, round(side * scale)) for side in picture.shape[:2])
            picture = cv2.resize(
                picture, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            )
            top = GAP + r * height + (CELL_HEIGHT - h) // 2
            left = GAP + c * width + (CELL_WIDTH - w) // 2
            sheet[top : top + h, left : left + w] = picture
    return sheet


def attention_panel(picture: np.ndarray, attention: np.ndarray, label: str = "") -> np.ndarray:
    """Lays a map over a picture: nothing where it is 0, red to yellow towards its maximum.

    Args:
      picture: uint8 [H, W] grey.
      attention: float [H, W], 0 or more; the maximum is at least taken as `FAINTEST`, so that a map
        of next to nothing stays invisible.
      label: written at the top left, with the map's maximum.

    Returns:
      uint8 RGB [H, W, 3].
    """
    strongest = float(attention.max())
    level = np.clip(attention / max(strongest, FAINTEST), 0.0, 1.0).astype(np.float32)
    colours = cv2.applyColorMap(to_uint8(level), cv2.COLORMAP_HOT)[..., ::-1].astype(np.float32)
    share = 0.6 * level[..., None]
    grey = to_rgb(picture[..., None]).astype(np.float32)
    blend = np.ascontiguousarray(np.rint((1.0 - share) * grey + share * colours), np.uint8)
    if label:
        size = picture.shape[1] / CELL_WIDTH
        text = f"{label} {strongest:.2f}", (3, round(14 * size)), cv2.FONT_HERSHEY_SIMPLEX
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                blend, *text, 0.45 * size, colour, max(1, round(thickness * size)), cv2.LINE_AA
            )
    return blend


def sample_sheet(model: EGMT, pairs: Sequence[Pair]) -> np.ndarray:
    """A contact sheet of visible | infrared | fused | where two of the entities are seen.

    The model guides itself; the entities are the pair's own, or where those are unknown the ones it
    predicts.

    Returns:
      uint8 RGB; the fused pictures are grey.
    """
    fuser = Fuser(model, load_vocabulary().names)
    rows = []
    for pair in pairs:
        fusion = fuser(pair.luma, pair.infrared)
        fused = to_uint8(fusion.fused).reshape(pair.luma.shape)
        named = (pair.entities or fusion.predicted)[:OVERLAYS]
        # Small pictures are enlarged first, or nobody could read the labels.
        factor = max(1, CELL_WIDTH // fused.shape[1])
        large = np.repeat(np.repeat(fused, factor, axis=0), factor, axis=1)
        maps = [
            attention_panel(large, cv2.resize(fusion.attention(name), large.shape[::-1]), name)
            for name in named
        ]
        rows.append((pair.visible, pair.infrared, fused, *maps))
    return contact_sheet(rows)
