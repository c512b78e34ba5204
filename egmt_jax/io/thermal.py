"""Maps infrared values of any bit depth to [0, 1]: fixed ranges, percentiles, inverted polarity."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from egmt_jax.errors import UserError

SAMPLES = 1 << 20  # percentiles are taken over about this many evenly spaced pixels
ROUNDING = 1e-5  # how far rounding may move the luma of a float image out of [0, 1]
LEAST_SPAN = 16  # counts that percentiles of 16 bits span at least: less would amplify noise
LEAST_INSIDE = 0.01  # share of the pixels that must lie in a fixed range
NO_DATA = (0.001, 0.2)  # share of the pixels with a no-data value: left by a warp, dead rows, -9999


class InfraredRange(NamedTuple):
    """The values, or with `percent` the percentiles of each image, that map to 0 and 1."""

    low: float
    high: float
    percent: bool = False


DEEP = InfraredRange(0.5, 99.5, percent=True)  # of 16 bits, of which raw counts fill a small part


def parse_range(text: str) -> InfraredRange:
    """Parses "27000,31000" (values of the file) or "0.5%,99.5%" (percentiles of each image)."""
    percent = text.count("%") == 2
    try:
        low, high = (float(part.strip().removesuffix("%" * percent)) for part in text.split(","))
    except ValueError as error:
        hint = "give LOW,HIGH such as 27000,31000 or 0.5%,99.5%"
        raise UserError(f"infrared range {text!r}: {hint}") from error
    if not low < high or (percent and not 0.0 <= low < high <= 100.0):
        raise UserError(f"infrared range {text!r}: the first must be lower, percentiles 0 to 100")
    return InfraredRange(low, high, percent)


def infrared_to_unit(
    infrared: Shaped[np.ndarray, "h w *c"],
    value_range: InfraredRange | tuple[float, float] | None = None,
    black_hot: bool = False,
    check: bool = True,
) -> Shaped[np.ndarray, "h w *c"]:
    """Maps infrared values to [0, 1], where bright is warm.

    Args:
      infrared: uint8, uint16 or float. Without a range, float must be in [0, 1].
      value_range: the values that map to 0 and 1; values outside are clipped. None: the full range
        of uint8 and float, `DEEP` for uint16. Percentiles leave out no-data values.
      black_hot: dark is warm in `infrared`.
      check: whether a fixed range with almost no value inside is an error.

    Returns:
      float32; or uint8 in [0, 255] for uint8 without a range.

    Raises:
      UserError: values that are not finite, or outside [0, 1] without a range; an empty range.
    """
    if infrared.dtype == np.uint8 and value_range is None:
        return 255 - infrared if black_hot else infrared
    if infrared.dtype == np.uint16 and value_range is None:
        value_range = DEEP
    if infrared.dtype.kind == "f":
        cure = "give the values of black and white (infrared_range, --infrared-range)"
        check_float(infrared, "infrared image", cure if value_range is None else None)
    unit = infrared.astype(np.float32)
    if value_range is not None:
        low, high, percent = InfraredRange(*value_range)
        if not low < high:
            raise UserError(f"infrared range {low:.6g} to {high:.6g}: the first must be lower")
        if percent or check:
            stride = max(1, int((infrared.size / SAMPLES) ** 0.5))
            values = _without_no_data(unit[::stride, ::stride].ravel())
        if percent:
            low, high = np.percentile(values, [low, high]).tolist()
            least = LEAST_SPAN if infrared.dtype == np.uint16 else 1e-6
            high = max(high, low + least)  # an image of one value becomes 0
        elif check and np.mean((low <= values) & (values <= high)) < LEAST_INSIDE:
            first, last = np.percentile(values, [1, 99])
            reason = "almost no value of the infrared image lies in it"
            found = f"most are {first:.6g} to {last:.6g}"
            raise UserError(f"infrared range {low:.6g} to {high:.6g}: {reason}; {found}")
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
    """Raises UserError for NaN, infinity and, unless `cure` is None, values outside [0, 1].

    The error calls the image `name`; `cure` ends the error about values outside [0, 1].
    """
    low, high = float(np.min(image)), float(np.max(image))  # NaN if one is NaN
    if not np.isfinite([low, high]).all():
        raise UserError(f"{name} has NaN or infinite values; fill them first")
    if cure and (low < -ROUNDING or high > 1.0 + ROUNDING):
        found = f"values from {low:.6g} to {high:.6g}"
        raise UserError(f"{name} has {found}; floats must be in [0, 1]: {cure}")
