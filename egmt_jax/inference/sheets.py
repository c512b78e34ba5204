"""Contact sheets: pictures of one pair side by side, pairs one below the other."""

from collections.abc import Sequence

import cv2
import numpy as np

from egmt_jax.data.images import to_rgb, to_uint8
from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fuser
from egmt_jax.models import EGMT

CELL_HEIGHT, CELL_WIDTH = 192, 256
GAP = 4


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


def sample_sheet(model: EGMT, pairs: Sequence[Pair]) -> np.ndarray:
    """A contact sheet of visible | infrared | fused, grey; uint8 RGB."""
    fuser = Fuser(model, load_vocabulary().names)
    return contact_sheet(
        [
            (pair.visible, pair.infrared, to_uint8(fuser(pair.luma, pair.infrared).fused))
            for pair in pairs
        ]
    )
