"""Reads and writes image files, converts between RGB and luma, and orders file names."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable

import cv2
import numpy as np

from egmt_jax.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

COLOURFUL = 0.012
"""Mean difference of the largest and smallest channel, of 1, above which an image has colour: the
faintest colour images of the published sets have 0.015, grey ones stored as JPEG at most 0.008."""

_FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # IMREAD_UNCHANGED would ignore EXIF rotation

if "OPENCV_LOG_LEVEL" not in os.environ:
    # Damaged files are reported by our own errors.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads an 8-bit image and applies its EXIF rotation.

    Args:
      path: an image file that OpenCV can decode.

    Returns:
      uint8 [H, W, 1] for grey files, uint8 [H, W, 3] RGB for colour files (alpha is dropped).

    Raises:
      UserError: the file is missing, empty, not decodable, too large, or has more than 8 bits.
    """
    return decode_image(read_bytes(path), str(path))


def read_deep_image(path: str | os.PathLike) -> np.ndarray:
    """Reads an image of any bit depth, such as a thermal one, and applies its EXIF rotation.

    Args:
      path: an image file that OpenCV can decode.

    Returns:
      uint8, uint16 or float32, [H, W, 1] for grey files and [H, W, 3] RGB for colour files (alpha
      is dropped).

    Raises:
      UserError: the file is missing, empty, not decodable, too large, or of another integer type.
    """
    image = _decode(read_bytes(path), str(path))
    if image.dtype == np.float64:
        return image.astype(np.float32)
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise UserError(f"{path}: {image.dtype} pixels; convert it to uint8, uint16 or float32")
    return image


def read_bytes(path: str | os.PathLike) -> bytes:
    """Reads a file.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(encoded: bytes, name: str) -> np.ndarray:
    """Decodes the bytes of an image file like `read_image`; errors call it `name`."""
    image = _decode(encoded, name)
    if image.dtype != np.uint8:
        raise UserError(f"{name}: {image.dtype} pixels; convert it to 8 bits per channel first")
    return image


def has_exif_rotation(encoded: bytes) -> bool:
    """Whether decoding rotates or flips the stored pixels (JPEG, PNG, WebP; TIFF: always False)."""
    content = np.frombuffer(encoded, np.uint8)
    stored = cv2.imdecode(content, _FLAGS | cv2.IMREAD_IGNORE_ORIENTATION)
    upright = cv2.imdecode(content, _FLAGS)
    return stored is not None and upright is not None and not np.array_equal(stored, upright)


def _decode(encoded: bytes, name: str) -> np.ndarray:
    """[H, W, 1] or RGB [H, W, 3] in the dtype of the file."""
    image = None
    if encoded and not _is_truncated_jpeg(encoded):
        try:
            image = cv2.imdecode(np.frombuffer(encoded, np.uint8), _FLAGS)
        except cv2.error as error:  # some damaged files raise instead of returning None
            if "CV_IO_MAX_IMAGE_PIXELS" in error.err:
                most = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", 1 << 30)
                raise UserError(f"{name}: more than {most} pixels; make it smaller") from error
    if image is None:
        raise UserError(f"{name}: not a readable image (empty, truncated or of another type)")
    if image.ndim == 2:
        return image[..., None]
    return np.ascontiguousarray(image[..., ::-1])


def _is_truncated_jpeg(encoded: bytes) -> bool:
    """Whether a JPEG has no end marker: some versions of OpenCV fill the missing part with grey."""
    if not encoded.startswith(b"\xff\xd8"):
        return False
    # Headers may hold a thumbnail with an end marker of its own: search after them.
    offset = 2
    while encoded[offset : offset + 1] == b"\xff" and encoded[offset + 1 : offset + 2] != b"\xda":
        if encoded[offset + 1 : offset + 2] == b"\xff":  # padding
            offset += 1
        else:
            offset += 2 + int.from_bytes(encoded[offset + 2 : offset + 4], "big")
    return encoded.find(b"\xff\xd9", offset) < 0


def to_grey(image: np.ndarray) -> np.ndarray:
    """BT.601 full-range luma, rounded as in OpenCV.

    Args:
      image: uint8 [H, W, 3] RGB, [H, W, 1] or [H, W].

    Returns:
      uint8 [H, W].
    """
    if image.ndim == 3 and image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return image.reshape(image.shape[:2])


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Repeats a grey channel three times; RGB passes through. uint8 [H, W, 1 or 3] -> [H, W, 3]."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def with_chroma(luma: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Combines a fused luma with the chroma of the visible image (YCrCb).

    Args:
      luma: [H, W] of the dtype of `visible`.
      visible: RGB [H, W, 3] or RGBA [H, W, 4] (alpha is dropped), uint8, uint16 or float in [0, 1].

    Returns:
      RGB [H, W, 3] of the same dtype and range.
    """
    dtype = visible.dtype
    working = np.float32 if dtype.kind == "f" else dtype  # OpenCV converts no other floats
    ycrcb = cv2.cvtColor(np.ascontiguousarray(visible[..., :3], working), cv2.COLOR_RGB2YCrCb)
    ycrcb[..., 0] = luma
    image = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
    return np.clip(image, 0.0, 1.0).astype(dtype) if dtype.kind == "f" else image


def is_colourful(image: np.ndarray) -> bool:
    """Whether [H, W, 1 or 3] of uint8, uint16 or float in [0, 1] differs between its channels."""
    if image.shape[2] == 1:
        return False
    sample = image[::4, ::4].astype(np.float32)
    if image.dtype.kind == "u":
        sample /= np.float32(np.iinfo(image.dtype).max)
    return float(np.mean(np.max(sample, axis=2) - np.min(sample, axis=2))) > COLOURFUL


def to_uint8(image: np.ndarray) -> np.ndarray:
    """round(255 clip(image, 0, 1)), as written to 8-bit files."""
    return np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of uint8 [H, W], [H, W, 1] or RGB [H, W, 3]."""
    if image.ndim == 3 and image.shape[2] == 3:
        image = image[..., ::-1]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(image))
    if not done:
        raise ValueError(f"OpenCV cannot encode an image of shape {image.shape}")
    return encoded.tobytes()


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file, and missing folders above it; readers see the old content or the new one.

    Raises:
      UserError: the folder cannot be created or written, or the disk is full.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:  # also after KeyboardInterrupt
        with contextlib.suppress(OSError):
            partial.unlink()


def check_writable(path: str | os.PathLike, folder: bool = False) -> None:
    """Checks before work starts that an output can be written; creates nothing.

    Args:
      path: a file that may exist, or with `folder` a new or empty folder. Missing parent folders
        are fine.

    Raises:
      UserError: `path` is a folder (or with `folder` a file, not empty, or the current folder), or
        the nearest existing folder above it cannot be written.
    """
    path = pathlib.Path(path).absolute()
    try:
        if folder and path.exists() and not path.is_dir():
            raise UserError(f"{path}: is a file; name a new folder")
        if folder and path.resolve() == pathlib.Path.cwd():
            raise UserError(f"{path}: is the current folder; name a new one")
        if folder and path.is_dir() and any(path.iterdir()):
            raise UserError(f"{path}: is not empty; name a new folder")
        if not folder and path.is_dir():
            raise UserError(f"{path}: is a folder; name a file")
        parent = next(parent for parent in path.parents if parent.exists())
        trial = parent / f".{path.name}.{os.getpid()}.partial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W], [H, W, 1] or RGB [H, W, 3] as PNG, atomically."""
    write_atomically(path, encode_png(image))


def natural_key(name: str) -> tuple:
    """Sort key that compares digits in names as numbers: frame9 comes before frame81."""
    parts = re.split(r"(\d+)", name)
    return ([int(part) if k % 2 else part for k, part in enumerate(parts)], name)


def summarise(names: Iterable[str], most: int = 5) -> str:
    """The first few names in natural order, and how many more there are."""
    names = sorted(names, key=natural_key)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
