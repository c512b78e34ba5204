"""Maps infrared values of any bit depth to [0, 1]: fixed ranges, percentiles, inverted polarity."""

from typing import NamedTuple

import numpy as np

from egmt_jax.errors import UserError

SAMPLES = 1 << 20
"""Percentiles are taken over about this many evenly spaced pixels."""

ROUNDING = 1e-5
"""How far rounding may move the luma of a float image out of [0, 1]."""

LEAST_SPAN = 16
"""Counts of a 16-bit image that percentiles span at least: less would amplify sensor noise."""

LEAST_INSIDE = 0.01
"""Share of the pixels that must lie in a fixed range."""

NO_DATA = (0.001, 0.2)
"""Share of the pixels that may hold a no-data value: zeros left by a warp, dead rows, -9999."""


class InfraredRange(NamedTuple):
    """The values that map to 0 and 1; a plain (low, high) is accepted in its place.

    Attributes:
      low: value, or percentile, that maps to 0.
      high: value, or percentile, that maps to 1.
      percent: whether both are percentiles of each image.
    """

    low: float
    high: float
    percent: bool = False


DEEP = InfraredRange(0.5, 99.5, percent=True)
"""Default for 16-bit infrared images: raw counts fill a small part of 16 bits."""


def parse_range(text: str) -> InfraredRange:
    """Parses "27000,31000" (values of the file) or "0.5%,99.5%" (percentiles of each image).

    Raises:
      UserError: malformed text, low not below high, or percentiles outside 0 to 100.
    """
    parts = [part.strip() for part in text.split(",")]
    percent = all(part.endswith("%") for part in parts)
    try:
        low, high = (float(part.removesuffix("%") if percent else part) for part in parts)
    except ValueError as error:
        raise UserError(
            f"infrared range {text!r}: give LOW,HIGH such as 27000,31000 or 0.5%,99.5%"
        ) from error
    if not low < high or (percent and not 0.0 <= low < high <= 100.0):
        raise UserError(f"infrared range {text!r}: the first must be lower, percentiles 0 to 100")
    return InfraredRange(low, high, percent)


def infrared_to_unit(
    infrared: np.ndarray,
    value_range: InfraredRange | None = None,
    black_hot: bool = False,
    check: bool = True,
) -> np.ndarray:
    """Maps infrared values to [0, 1], where bright is warm.

    Args:
      infrared: uint8, uint16 or float [H, W]. Without a range, float must be in [0, 1].
      value_range: the values that map to 0 and 1; values outside are clipped. None: the full range
        of uint8 and float, `DEEP` for uint16. Percentiles leave out no-data values.
      black_hot: dark is warm in `infrared`.
      check: whether a fixed range with almost no value inside is an error.

    Returns:
      float32 [H, W]; or uint8 [H, W] in [0, 255] for uint8 without a range.

    Raises:
      UserError: values that are not finite, or outside [0, 1] without a range; an empty range, or
        one with less than `LEAST_INSIDE` of the pixels.
    """
    if infrared.dtype == np.uint8 and value_range is None:
        return 255 - infrared if black_hot else infrared
    if infrared.dtype == np.uint16 and value_range is None:
        value_range = DEEP
    if infrared.dtype.kind == "f":
        cure = "name what becomes black and white (infrared_range, --infrared-range)"
        check_float(infrared, "infrared image", cure if value_range is None else None)
    unit = infrared.astype(np.float32)
    if value_range is not None:
        low, high, percent = InfraredRange(*value_range)
        if not low < high:
            raise UserError(f"infrared range {low:.6g} to {high:.6g}: the first must be lower")
        stride = max(1, int((infrared.size / SAMPLES) ** 0.5))
        if percent or check:
            values = _without_no_data(unit[::stride, ::stride].ravel())
        if percent:
            low, high = np.percentile(values, [low, high]).tolist()
            least = LEAST_SPAN if infrared.dtype == np.uint16 else 1e-6
            high = max(high, low + least)  # an image of one value becomes 0
        elif check and np.mean((low <= values) & (values <= high)) < LEAST_INSIDE:
            ends = " to ".join(f"{value:.6g}" for value in np.percentile(values, [1, 99]))
            raise UserError(
                f"infrared range {low:.6g} to {high:.6g}: almost no value of the infrared image "
                f"lies in it; most are {ends}"
            )
        unit = np.clip((unit - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.float32(1.0) - unit if black_hot else unit


def _without_no_data(values: np.ndarray) -> np.ndarray:
    """Drops the lowest and the highest value where they are frequent and far from all others."""
    for extreme in (np.min(values), np.max(values)):
        rest = values[values != extreme]
        if NO_DATA[0] <= 1.0 - rest.size / values.size <= NO_DATA[1]:
            low, high = np.percentile(rest, [1, 99])
            gap = max(low - extreme, extreme - high)
            if gap > high - low:  # interpolation may have left values between
                values = rest[np.abs(rest - extreme) > np.float32(0.8 * gap)]
    return values


def check_float(image: np.ndarray, name: str, cure: str | None) -> None:
    """Refuses NaN and infinity and, unless `cure` is None, values outside [0, 1].

    Raises:
      UserError: names the image by `name`, and for values outside [0, 1] the cure.
    """
    low, high = float(np.min(image)), float(np.max(image))  # NaN if one is NaN
    if not np.isfinite(low) or not np.isfinite(high):
        raise UserError(f"{name} has NaN or infinite values; fill them first")
    if cure and (low < -ROUNDING or high > 1.0 + ROUNDING):
        raise UserError(
            f"{name} has values from {low:.6g} to {high:.6g}; floats must be in [0, 1]: {cure}"
        )
