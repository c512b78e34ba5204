"""Reads and writes image files, converts between RGB and luma, and orders file names."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from egmt_jax.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

COLOURFUL = 0.012
"""Mean difference of the largest and smallest channel, of 1, above which an image has colour: the
faintest colour images of the published sets have 0.015, grey ones stored as JPEG at most 0.008."""

_FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # IMREAD_UNCHANGED would ignore EXIF rotation

if "OPENCV_LOG_LEVEL" not in os.environ:
    # Damaged files are reported by our own errors.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | os.PathLike, deep: bool = False) -> np.ndarray:
    """Reads an image file, applies its EXIF rotation and drops alpha.

    Returns:
      [H, W, 1], or RGB [H, W, 3] for colour files: uint8, with `deep` also uint16 or float32.

    Raises:
      UserError: the file is missing, not decodable, too large, or of another dtype.
    """
    return decode_image(read_bytes(path), str(path), deep)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Reads a file; raises UserError if that fails."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(encoded: bytes, name: str, deep: bool = False) -> np.ndarray:
    """Decodes the bytes of an image file like `read_image`; errors call it `name`."""
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
    if deep and image.dtype == np.float64:
        image = image.astype(np.float32)
    if image.dtype not in ((np.uint8, np.uint16, np.float32) if deep else (np.uint8,)):
        cure = "uint8, uint16 or float32" if deep else "8 bits per channel first"
        raise UserError(f"{name}: {image.dtype} pixels; convert it to {cure}")
    return image[..., None] if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])


def _is_truncated_jpeg(encoded: bytes) -> bool:
    """Whether a JPEG has no end marker: some versions of OpenCV fill the missing part with grey."""
    if not encoded.startswith(b"\xff\xd8"):
        return False
    # Headers may hold a thumbnail with an end marker of its own: search after them.
    offset = 2
    while encoded[offset : offset + 1] == b"\xff" and encoded[offset + 1 : offset + 2] != b"\xda":
        is_padding = encoded[offset + 1 : offset + 2] == b"\xff"
        offset += 1 if is_padding else 2 + int.from_bytes(encoded[offset + 2 : offset + 4], "big")
    return encoded.find(b"\xff\xd9", offset) < 0


def has_exif_rotation(encoded: bytes) -> bool:
    """Whether decoding rotates or flips the stored pixels (JPEG, PNG, WebP; TIFF: always False)."""
    content = np.frombuffer(encoded, np.uint8)
    stored = cv2.imdecode(content, _FLAGS | cv2.IMREAD_IGNORE_ORIENTATION)
    upright = cv2.imdecode(content, _FLAGS)
    return stored is not None and upright is not None and not np.array_equal(stored, upright)


def to_grey(image: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """BT.601 luma of RGB; one channel passes through."""
    if image.ndim == 3 and image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return image.reshape(image.shape[:2])


def to_rgb(image: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "h w 3"]:
    """Repeats a grey channel three times; RGB passes through."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def with_chroma(
    luma: Shaped[np.ndarray, "h w"], visible: Shaped[np.ndarray, "h w c"]
) -> Shaped[np.ndarray, "h w 3"]:
    """Combines a fused luma with the chroma of RGB or RGBA (alpha is dropped), in YCrCb.

    All have one dtype and its full range: uint8, uint16 or float in [0, 1].
    """
    dtype = visible.dtype
    working = np.float32 if dtype.kind == "f" else dtype  # OpenCV converts no other floats
    ycrcb = cv2.cvtColor(np.ascontiguousarray(visible[..., :3], working), cv2.COLOR_RGB2YCrCb)
    ycrcb[..., 0] = luma
    image = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
    return np.clip(image, 0.0, 1.0).astype(dtype) if dtype.kind == "f" else image


def chroma(image: Shaped[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 2"]:
    """Cb and Cr (BT.601) in [-0.5, 0.5] of an RGB image: uint8, uint16, or float in [0, 1]."""
    largest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
    rgb = image.astype(np.float32) / np.float32(largest)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.stack([0.564 * (rgb[..., 2] - luma), 0.713 * (rgb[..., 0] - luma)], axis=-1)


def is_colourful(image: Shaped[np.ndarray, "h w c"]) -> bool:
    """Whether the channels of an image (uint8, uint16 or float in [0, 1]) differ."""
    if image.shape[2] == 1:
        return False
    sample = image[::4, ::4].astype(np.float32)
    if image.dtype.kind == "u":
        sample /= np.float32(np.iinfo(image.dtype).max)
    return float(np.mean(np.ptp(sample, axis=2))) > COLOURFUL


def to_uint8(image: np.ndarray) -> np.ndarray:
    """round(255 clip(image, 0, 1)), as written to 8-bit files."""
    return np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def resample(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples [H, W, C] to rows and columns: area averages to shrink, linear to enlarge."""
    if size == image.shape[:2]:
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=method).reshape(*size, image.shape[2])


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of uint8 [H, W], [H, W, 1] or RGB [H, W, 3]."""
    bgr = image[..., ::-1] if image.ndim == 3 and image.shape[2] == 3 else image
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(bgr))  # raises for other shapes
    return encoded.tobytes()


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W], [H, W, 1] or RGB [H, W, 3] as PNG, atomically."""
    write_atomically(path, encode_png(image))


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file, and missing folders above it; readers see the old content or the new one."""
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path of the same suffix, which replaces `path` unless the body fails.

    Missing folders are created; raises UserError for any OSError, such as that of a full disk.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:  # also after KeyboardInterrupt
        with contextlib.suppress(OSError):
            partial.unlink()


def check_writable(path: str | os.PathLike, folder: bool = False) -> None:
    """Raises UserError if a file, or with `folder` a new or empty folder, cannot be written.

    Creates nothing. The folder must not be the current one.
    """
    path = pathlib.Path(path).absolute()
    try:
        if path.is_dir() and not folder:
            raise UserError(f"{path}: is a folder; name a file")
        if path.exists() and not path.is_dir() and folder:
            raise UserError(f"{path}: is a file; name a new folder")
        if path.is_dir() and path.samefile(pathlib.Path.cwd()):
            raise UserError(f"{path}: is the current folder; name a new one")
        if path.is_dir() and any(path.iterdir()):
            raise UserError(f"{path}: is not empty; name a new folder")
        parent = next(parent for parent in path.parents if parent.exists())
        trial = parent / f".{path.name}.{os.getpid()}.partial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def natural_key(name: str) -> tuple:
    """Sort key that compares digits in names as numbers: frame9 comes before frame81."""
    parts = re.split(r"(\d+)", name)
    return ([int(part) if k % 2 else part for k, part in enumerate(parts)], name)


def summarise(names: Iterable[str], most: int = 5) -> str:
    """The first few names in natural order, and how many more there are."""
    names = sorted(names, key=natural_key)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
