"""Finds the regions of registered infrared images that hold no data."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

BLACK = 4  # grey level of 8-bit images up to which a pixel may hold no data: JPEG leaves 0 to 4
BRIGHTEST_BLACK = 10  # median grey level behind a border up to which the scene may just be dark
DEEPEST = 0.15  # share of the height (or width) that a border may reach into the image
SHALLOWEST = 3.0  # pixels that it must reach in: many images have one dark row at an edge
SHORTEST = 0.05  # share of the side that a border must follow
STEEPEST = 0.1  # pixels of depth per pixel of length: about 6 degrees of rotation
TOLERANCE = 1.5  # pixels by which a straight border may be uneven
SAMPLES = 12  # points on a side; lines through two of them are tried


def no_data_border(infrared: Shaped[np.ndarray, "h w *c"]) -> Bool[np.ndarray, "h w"]:
    """True where an infrared image holds data: everywhere except in straight black borders.

    Registration rotates and shifts the infrared image, which leaves black wedges at its sides. A
    wedge ends at a straight line with brighter data behind it; dark skies and roads do not. The row
    of interpolated pixels along each border counts as border. Types other than uint8 hold no data
    where they are exactly 0.
    """
    infrared = infrared.reshape(infrared.shape[:2])
    black = infrared <= BLACK if infrared.dtype == np.uint8 else infrared == 0
    valid = np.ones(black.shape, bool)
    for side in range(4):  # top, right, bottom and left become the first row in turn
        line = _border(np.rot90(black, side))
        if line is None:
            continue
        depth = np.where(line >= 0.5, line + 1.0, 0.0)
        columns = np.flatnonzero(depth)
        image = np.rot90(infrared, side)
        behind = image[np.minimum(depth[columns].astype(int) + 1, len(image) - 1), columns]
        if infrared.dtype == np.uint8 and np.median(behind) < BRIGHTEST_BLACK:
            continue
        rotated = np.rot90(valid, side)  # a view
        rotated[np.arange(len(rotated))[:, None] < depth] = False
    return valid


def continued(
    image: Float[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """The image, continued smoothly from `where` it holds data to where it does not.

    Continued pixels are weighted means of pixels that are near, or else of pixels that are far.
    """
    weight = where.astype(np.float32)
    known = image.astype(np.float32) * weight
    total, weights = np.float32(1e-6) * known.mean(), np.float32(1e-6) * weight.mean() + 1e-12
    for share, side in ((1.0, 13), (1e-3, 61)):
        size = (side, side)
        known_mean, weight_mean = (cv2.blur(cv2.blur(x, size), size) for x in (known, weight))
        total, weights = total + share * known_mean, weights + share * weight_mean
    return np.where(where, image, total / weights).astype(np.float32)


def _border(black: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " w"] | None:
    """Depth in pixels of the border at the top; None if there is none."""
    height, width = black.shape
    depth = np.where(black.all(axis=0), height, np.argmin(black, axis=0))  # of the black run
    usable = np.flatnonzero((depth >= 1) & (depth <= DEEPEST * height))
    shortest = max(4.0, SHORTEST * width)
    if len(usable) < shortest:
        return None
    chosen = usable[np.linspace(0, len(usable) - 1, SAMPLES).astype(int)]
    first, second = (chosen[k] for k in np.triu_indices(SAMPLES, 1))
    apart = second - first >= shortest / 2
    first, second = first[apart], second[apart]
    slope = (depth[second] - depth[first]) / (second - first)
    lines = depth[first, None] + slope[:, None] * (np.arange(width) - first[:, None])
    inside = lines >= 0.5
    fitting = np.sum(inside & (np.abs(depth - lines) <= TOLERANCE), axis=1)
    # Dark content behind a border makes runs longer than the border is deep, never shorter.
    too_short = np.sum(inside & (depth < lines - TOLERANCE), axis=1)
    length = np.sum(inside, axis=1)
    good = (fitting >= np.maximum(shortest, 0.5 * length)) & (too_short <= 0.03 * length)
    good &= (np.abs(slope) <= STEEPEST) & (np.max(lines, axis=1) >= SHALLOWEST)
    if not good.any():
        return None
    line = lines[np.argmax(np.where(good, fitting, -1))]
    used = np.flatnonzero((line >= 0.5) & (np.abs(depth - line) <= TOLERANCE))
    slope, offset = np.polyfit(used, depth[used], 1)
    return slope * np.arange(width) + offset
