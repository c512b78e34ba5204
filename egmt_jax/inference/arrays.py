"""Checks images as users give them and converts them to luma."""

import cv2
import numpy as np
from jaxtyping import Shaped

from egmt_jax.errors import UserError
from egmt_jax.io.thermal import check_float
from egmt_jax.models.egmt import SMALLEST_SIDE


def to_luma(image: np.ndarray, name: str, deep: bool = False) -> Shaped[np.ndarray, "h w"]:
    """BT.601 luma of an image.

    Args:
      image: [H, W] or [H, W, C], C of 1, 3 (RGB) or 4 (RGBA, alpha is ignored); uint8, uint16, or
        float in [0, 1].
      name: of the image, in errors.
      deep: keep the dtype and range of uint16 and float images; else they become float32 in [0, 1].

    Raises:
      UserError: another dtype or shape, fewer than 16 pixels, or floats out of range.
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise UserError(f"{name} image has dtype {image.dtype}; give uint8, uint16 or float")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        forms = "[H, W], or [H, W, C] with C of 1, 3 or 4"
        raise UserError(f"{name} image has shape {image.shape}; give {forms}")
    if min(image.shape[:2]) < SMALLEST_SIDE:
        found = f"{image.shape[0]} x {image.shape[1]} pixels"
        raise UserError(f"{name} image has {found}: at least {SMALLEST_SIDE} each way are needed")
    image = image[..., :3] if image.ndim == 3 else image
    if not deep and image.dtype.kind == "f":
        check_float(image, f"{name} image", "divide them")
    if image.ndim == 3 and image.shape[2] > 1:
        working = np.float32 if image.dtype.kind == "f" else image.dtype
        image = cv2.cvtColor(np.ascontiguousarray(image, working), cv2.COLOR_RGB2GRAY)
    image = image.reshape(image.shape[:2])
    if deep or image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535.0)
    return np.clip(image.astype(np.float32), 0.0, 1.0)  # rounding of the weighted sum
