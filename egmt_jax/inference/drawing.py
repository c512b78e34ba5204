"""Drawings of fusions: attention over images, contact sheets."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fused, Fuser
from egmt_jax.io.images import resample, to_rgb, to_uint8
from egmt_jax.io.pairs import Pair
from egmt_jax.models import EGMT

CELL = 192, 256  # rows and columns of a picture on a contact sheet
GAP = 4
MOST_PANELS, PANELS_PER_ROW = 4, 2  # of an overlay, of a contact sheet
STRENGTH = 0.6
FAINTEST = 0.05  # least peak for the full colour: a map of almost nothing stays invisible
LABEL_WIDTH = 280  # of a panel in pixels whose label has the smallest legible font


def attention_panel(
    picture: UInt8[np.ndarray, "h w 3"], attention: Float[np.ndarray, "h w"], label: str = ""
) -> UInt8[np.ndarray, "y w 3"]:
    """Draws attention over an RGB picture, in warm colours towards its maximum.

    A band below shows the `label`, if any, and the maximum.
    """
    peak = float(attention.max())
    share = np.clip(attention / np.float32(max(peak, FAINTEST)), 0.0, 1.0)[..., None]
    colours = cv2.applyColorMap(to_uint8(share), cv2.COLORMAP_INFERNO)[..., ::-1]
    blend = picture + (colours.astype(np.float32) - picture) * (np.float32(STRENGTH) * share)
    panel = np.rint(blend).astype(np.uint8)
    if not label:
        return panel
    size = picture.shape[1] / LABEL_WIDTH
    band = np.zeros((round(20 * size), picture.shape[1], 3), np.uint8)
    corner, thickness = (round(4 * size), round(15 * size)), max(1, round(size))
    text, font, white = f"{label} max {peak:.2f}", cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    cv2.putText(band, text, corner, font, 0.45 * size, white, thickness, cv2.LINE_AA)
    return np.concatenate([panel, band])


def overlay(fused: Fused, entities: Sequence[str] | None = None) -> UInt8[np.ndarray, "y x 3"]:
    """Panels of the fused image with the attention to each entity; the image if nothing guided.

    `entities` are some of `Fused.guides`; None: the four with the strongest attention.
    """
    picture = as_rgb(fused.image)
    entities = strongest(fused)[:MOST_PANELS] if entities is None else entities
    known = {name: f"{name} p {value:.2f}" for name, value in fused.probabilities.items()}
    panels = [attention_panel(picture, fused.attention(x), known.get(x, x)) for x in entities]
    return np.concatenate(panels, axis=1) if panels else picture


def strongest(fused: Fused) -> list[str]:
    """The guides by decreasing peak of attention."""
    return [fused.guides[k] for k in np.argsort(-fused.grid.max(axis=(0, 1)))]


def as_rgb(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit RGB of a `Fused.image`."""
    if image.dtype != np.uint8:
        image = to_uint8(image / np.float32(65535.0 if image.dtype == np.uint16 else 1.0))
    return to_rgb(image.reshape(*image.shape[:2], -1))


def contact_sheet(rows: Sequence[Sequence[np.ndarray]]) -> UInt8[np.ndarray, "h w 3"]:
    """Lays out pictures (see `as_rgb`) in a grid, each scaled to fit `CELL`."""
    height, width = CELL[0] + GAP, CELL[1] + GAP
    sheet = np.full((GAP + height * len(rows), GAP + width * max(map(len, rows)), 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            picture = _fit(as_rgb(picture))
            top = GAP + r * height + (CELL[0] - picture.shape[0]) // 2
            left = GAP + c * width + (CELL[1] - picture.shape[1]) // 2
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _fit(picture: np.ndarray) -> np.ndarray:
    scale = min(CELL[0] / picture.shape[0], CELL[1] / picture.shape[1])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return resample(picture, (height, width))


def sample_sheet(model: EGMT, pairs: Sequence[Pair]) -> UInt8[np.ndarray, "h w 3"]:
    """A sheet of visible | infrared | fused | attention to two entities, own or else predicted."""
    fuser = Fuser(model, load_vocabulary().names)
    rows = []
    for pair in pairs:
        fused = fuser(pair.visible, pair.infrared)
        picture = _fit(as_rgb(fused.image))  # before drawing, so that labels stay legible
        panels = [
            attention_panel(picture, cv2.resize(fused.attention(name), picture.shape[1::-1]), name)
            for name in (pair.entities or fused.predicted)[:PANELS_PER_ROW]
        ]
        rows.append((pair.visible, pair.infrared, picture, *panels))
    return contact_sheet(rows)
