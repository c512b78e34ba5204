"""Infrared values of any depth to [0, 1]: fixed ranges, percentiles, inverted polarity."""

from typing import NamedTuple

import numpy as np

from egmt_jax.errors import UserError

SAMPLES = 1 << 20
"""Percentiles are taken over about so many evenly spaced pixels: sorting more tells no more."""

ROUNDING = 1e-5
"""How far beyond [0, 1] the weighted sum of colours of a float image may come."""


class InfraredRange(NamedTuple):
    """What becomes 0 and 1; a plain (low, high) will do where one is asked for.

    Attributes:
      low: value, or percentile, that becomes 0.
      high: likewise for 1.
      percent: whether they are percentiles of each image.
    """

    low: float
    high: float
    percent: bool = False


DEEP = InfraredRange(0.5, 99.5, percent=True)
"""For 16-bit infrared images where no range is given: raw counts fill a small part of 16 bits."""


def parse_range(text: str) -> InfraredRange:
    """Reads "27000,31000" (values of the file) or "0.5%,99.5%" (percentiles of each image).

    Raises:
      UserError: other text, no distance between the ends, or percentiles beyond 0 and 100.
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
    infrared: np.ndarray, value_range: InfraredRange | None = None, black_hot: bool = False
) -> np.ndarray:
    """Maps infrared values to [0, 1], warm is bright.

    Args:
      infrared: uint8, uint16 or float [H, W]. float without a range must be in [0, 1] already.
      value_range: what becomes 0 and 1, values beyond are clipped; None: everything of uint8 and
        float, `DEEP` for uint16.
      black_hot: warm is dark in `infrared`.

    Returns:
      float32 [H, W], or the uint8 [H, W] given (inverted where `black_hot`) where nothing but a
      division by 255 is missing.

    Raises:
      UserError: values that are not finite, or out of [0, 1] without a range; an empty range.
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
        if percent:
            stride = max(1, int((infrared.size / SAMPLES) ** 0.5))
            low, high = np.percentile(unit[::stride, ::stride], [low, high]).tolist()
        # An image of one value has nothing to stretch: it becomes 0.
        unit = np.clip((unit - np.float32(low)) / np.float32(max(high - low, 1e-6)), 0.0, 1.0)
    return np.float32(1.0) - unit if black_hot else unit


def check_float(image: np.ndarray, name: str, cure: str | None) -> None:
    """Refuses NaN and infinity and, unless `cure` is None, values out of [0, 1].

    Raises:
      UserError: names the image by `name`, and for values out of [0, 1] the cure.
    """
    low, high = float(np.min(image)), float(np.max(image))  # NaN if one is NaN
    if not np.isfinite(low) or not np.isfinite(high):
        raise UserError(f"{name} has NaN or infinite values; fill them first")
    if cure and (low < -ROUNDING or high > 1.0 + ROUNDING):
        raise UserError(
            f"{name} has values from {low:.6g} to {high:.6g}; floats must be in [0, 1]: {cure}"
        )
