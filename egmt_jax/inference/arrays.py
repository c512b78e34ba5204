"""Images as users give them -> arrays as the model takes them."""

from collections.abc import Sequence

import cv2
import numpy as np

from egmt_jax.errors import UserError
from egmt_jax.inference import tiles
from egmt_jax.io.thermal import check_float
from egmt_jax.models.egmt import SMALLEST_SIDE

BUCKET = 64
"""Sides are padded to multiples of this many pixels, so that few shapes are compiled."""


def to_canvas(
    visible: Sequence[np.ndarray],
    infrared: Sequence[np.ndarray],
    extent: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of one size, padded to a bucket that holds `extent`, and the mask of real pixels.

    float32 [B, rows, columns, 1] twice and bool [B, rows, columns].
    """
    height, width = visible[0].shape
    rows, columns = (-(-side // BUCKET) * BUCKET for side in extent or (height, width))
    pair = np.zeros((2, len(visible), rows, columns, 1), np.float32)
    for modality, images in enumerate((visible, infrared)):
        for k, image in enumerate(images):
            pair[modality, k, :height, :width, 0] = tiles.unit(image)
    valid = np.zeros(pair.shape[1:4], bool)
    valid[:, :height, :width] = True
    return pair[0], pair[1], valid


def working_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype that OpenCV converts colours in."""
    return dtype if dtype in (np.uint8, np.uint16) else np.dtype(np.float32)


def to_luma(image: np.ndarray, name: str, to_unit: bool = True) -> np.ndarray:
    """BT.601 luma of an image that a user gives.

    Args:
      image: [H, W] or [H, W, C], C of 1, 3 or 4; uint8, uint16, or float in [0, 1].
      name: "visible" or "infrared", for errors.
      to_unit: whether deeper images become float32 in [0, 1]; else they stay as deep as given.

    Returns:
      [H, W]: uint8 of uint8; else float32 in [0, 1], or without `to_unit` of the depth given.

    Raises:
      UserError: another dtype or shape, less than 16 pixels, or with `to_unit` floats that are not
        in [0, 1].
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise UserError(f"{name} image has dtype {image.dtype}; give uint8, uint16 or float")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UserError(
            f"{name} image has shape {image.shape}; give [H, W], or [H, W, C] with C of 1, 3 or 4"
        )
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise UserError(
            f"{name} image has {image.shape[0]} x {image.shape[1]} pixels: at least "
            f"{SMALLEST_SIDE} each way are needed"
        )
    image = image[..., :3] if image.ndim == 3 else image  # alpha is not looked at
    if to_unit and image.dtype.kind == "f":
        check_float(image, f"{name} image", "divide them")
    if image.ndim == 3 and image.shape[2] > 1:
        colour = np.ascontiguousarray(image, working_dtype(image.dtype))
        image = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    image = image.reshape(image.shape[:2])
    if not to_unit or image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535.0)
    return np.clip(image.astype(np.float32), 0.0, 1.0)  # rounding of the weighted sum


def check_sizes(
    visible: tuple[int, int], infrared: tuple[int, int], first: tuple[int, int]
) -> None:
    """Refuses, by a UserError, a pair of two sizes or of another than the first of its batch."""
    if visible != infrared:
        raise UserError(
            f"visible {visible} and infrared {infrared} differ in size (rows, columns); resample "
            "one of them first"
        )
    if visible != first:
        raise UserError(f"pairs of {first} and {visible} pixels in one batch; give equal sizes")
