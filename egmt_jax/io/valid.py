"""Finds the regions of registered infrared images that hold no data."""

import numpy as np

BLACK = 4
"""Grey level of 8-bit images up to which a pixel may hold no data: JPEG leaves 0 to 4 there."""

DEEPEST = 0.15
"""Share of the height (or width) that a border may reach into the image."""

STEEPEST = 0.1
"""Pixels of depth per pixel of length: about 6 degrees of rotation."""

TOLERANCE = 1.5
"""Pixels by which a straight border may be uneven."""

SHORTEST = 0.05
"""Share of the side that a border must follow."""

SHALLOWEST = 3.0
"""Pixels that a border must reach into the image: many images have one dark row at an edge."""

BRIGHTEST_BLACK = 10
"""Median grey level, of 255, that data behind a border must exceed: less may be a dark scene."""

SAMPLES = 12


def no_data_border(infrared: np.ndarray) -> np.ndarray:
    """Finds where an infrared image holds data: everywhere except in straight black borders.

    Registration rotates and shifts the infrared image, which leaves black wedges at its sides. A
    wedge ends at a straight line with brighter data behind it; dark skies and roads do not.

    Args:
      infrared: [H, W] or [H, W, 1]; uint8, or another type where no data is exactly 0.

    Returns:
      has_infrared: bool [H, W]; False also for the row of interpolated pixels along each border.
    """
    infrared = infrared.reshape(infrared.shape[:2])
    black = infrared <= (BLACK if infrared.dtype == np.uint8 else 0)
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


def _border(black: np.ndarray) -> np.ndarray | None:
    """Depth of the border at the top of `black` bool [H, W]: pixels, float64 [W]; None without."""
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
    good = (
        (np.abs(slope) <= STEEPEST)
        & (fitting >= shortest)
        & (np.max(lines, axis=1) >= SHALLOWEST)
        & (fitting >= 0.5 * length)
        & (too_short <= 0.03 * length)
    )
    if not good.any():
        return None
    line = lines[np.argmax(np.where(good, fitting, -1))]
    used = np.flatnonzero((line >= 0.5) & (np.abs(depth - line) <= TOLERANCE))
    slope, offset = np.polyfit(used, depth[used], 1)
    return slope * np.arange(width) + offset


def valid_window(has_infrared: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a rectangle without missing infrared data, which lies at the borders.

    The side with the largest share of missing data is removed until none is left.

    Args:
      has_infrared: bool [H, W].
    """
    top, left, bottom, right = 0, 0, *has_infrared.shape
    while not (inside := has_infrared[top:bottom, left:right]).all():
        missing = [np.mean(~side) for side in (inside[0], inside[:, 0], inside[-1], inside[:, -1])]
        worst = int(np.argmax(missing))
        if not missing[worst]:  # a hole away from the borders
            break
        top, left = top + (worst == 0), left + (worst == 1)
        bottom, right = bottom - (worst == 2), right - (worst == 3)
    return slice(top, bottom), slice(left, right)
