"""Outlines of the entities of a pair, and the masks painted from them.

An outline is a list of coordinates in thousandths of the image width, for x and y alike, so that it
fits copies of any size: x0, y0, x1, y1 of a box, or x, y of three or more corners.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from egmt_jax.errors import UserError

# By entity; one that was searched for and not found has an empty list.
Outlines = Mapping[str, Sequence[Sequence[float | int]]]
UNITS = 1000.0
HIGHEST = 10 * UNITS  # no image is higher than ten times its width: more are likely pixels
FINER = 4  # scale at which outlines are painted: OpenCV also fills the border pixels of a shape


def paint(
    outlines: Outlines, entities: Sequence[str], height: int, width: int
) -> UInt8[np.ndarray, "n h w"]:
    """Masks of `entities`, 0 or 255, that do not overlap.

    Where outlines overlap, also those of other entities, the smaller one is in front.
    """
    names = list(dict.fromkeys((*entities, *outlines)))
    shapes = []
    for name, several in outlines.items():
        for outline in several:
            if len(outline) == 4:
                left, top, right, bottom = outline
                outline = (left, top, right, top, right, bottom, left, bottom)
            corners = np.reshape(np.asarray(outline, np.float64), (-1, 2)) * (FINER * width / UNITS)
            shapes.append((names.index(name), np.round(corners).astype(np.int32)))
    front = np.full((FINER * height, FINER * width), -1, np.int16)
    for index, shape in sorted(shapes, key=lambda item: -cv2.contourArea(item[1])):
        cv2.fillPoly(front, [shape], index)
    front = front[FINER // 2 :: FINER, FINER // 2 :: FINER]
    return np.uint8(255) * (front == np.arange(len(entities))[:, None, None]).astype(np.uint8)


def check(outlines: Any) -> Outlines:
    """Returns outlines that were read from a file; raises UserError if they are malformed."""
    if not isinstance(outlines, dict):
        raise UserError("regions: needs an object of entities and their lists of outlines")
    for name, several in outlines.items():
        if not isinstance(several, list):
            raise UserError(f"regions of {name}: not a list of outlines")
        if not all(map(_is_outline, several)):
            form = "x0, y0, x1, y1 of a box or x, y of three or more corners"
            unit = "from 0 on, in thousandths of the image width, not pixels"
            raise UserError(f"regions of {name}: an outline is {form}, {unit}")
    return outlines


def _is_outline(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 4
        and len(value) % 2 == 0
        and all(type(x) in (int, float) for x in value)
        and all(0 <= x <= UNITS for x in value[::2])
        and all(0 <= y <= HIGHEST for y in value[1::2])
    )
