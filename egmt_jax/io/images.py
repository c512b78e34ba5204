"""Images on disk <-> arrays: grey and RGB, luma, atomic writing, matching of pairs."""

import contextlib
import os
import pathlib
from collections.abc import Iterable

import cv2
import numpy as np

from egmt_jax.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

if "OPENCV_LOG_LEVEL" not in os.environ:
    # OpenCV would write what it thinks of a broken file beside our own message.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads an 8-bit image as it is stored, turned upright where its EXIF tells so.

    Args:
      path: an image file OpenCV can decode.

    Returns:
      uint8 [H, W, 1] for grey files, uint8 [H, W, 3] RGB for colour ones (alpha is dropped).

    Raises:
      UserError: the file is missing, empty, not decodable, immense, or deeper than 8 bits.
    """
    return decode_image(_read_bytes(path), str(path))


def read_deep_image(path: str | os.PathLike) -> np.ndarray:
    """Reads an image of any depth as it is stored, thermal ones for instance; see `read_image`.

    Args:
      path: an image file OpenCV can decode.

    Returns:
      uint8, uint16 or float32, [H, W, 1] for grey files and [H, W, 3] RGB for colour ones (alpha is
      dropped).

    Raises:
      UserError: the file is missing, empty, not decodable, immense, or has integers of other types.
    """
    image = _decode(_read_bytes(path), str(path))
    if image.dtype == np.float64:
        return image.astype(np.float32)
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise UserError(f"{path}: {image.dtype} pixels; convert it to uint8, uint16 or float32")
    return image


def _read_bytes(path: str | os.PathLike) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def decode_image(encoded: bytes, name: str) -> np.ndarray:
    """Decodes the bytes of an image file; `name` is what errors call it. See `read_image`."""
    image = _decode(encoded, name)
    if image.dtype != np.uint8:
        raise UserError(f"{name}: {image.dtype} pixels; convert it to 8 bits per channel first")
    return image


def _decode(encoded: bytes, name: str) -> np.ndarray:
    """[H, W, 1] or RGB [H, W, 3] of the file's own dtype."""
    image = None
    if encoded and not _is_truncated_jpeg(encoded):
        try:
            # Not IMREAD_UNCHANGED, which would leave pictures of a tilted camera lying on the side.
            flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
            image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
        except cv2.error as error:  # of some damaged files, too
            if "CV_IO_MAX_IMAGE_PIXELS" in error.err:
                most = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", 1 << 30)
                raise UserError(f"{name}: more than {most} pixels; make it smaller") from error
    if image is None:
        raise UserError(f"{name}: not a readable image (empty, truncated or of another type)")
    if image.ndim == 2:
        return image[..., None]
    return np.ascontiguousarray(image[..., ::-1])


def _is_truncated_jpeg(encoded: bytes) -> bool:
    """Whether a JPEG lacks its end: some versions of OpenCV fill what is missing with grey."""
    if not encoded.startswith(b"\xff\xd8"):
        return False
    # Headers may hold a thumbnail with an end of its own: only what follows them counts.
    place = 2
    while encoded[place : place + 1] == b"\xff" and encoded[place + 1 : place + 2] != b"\xda":
        if encoded[place + 1 : place + 2] == b"\xff":  # filling
            place += 1
        else:
            place += 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
    return encoded.find(b"\xff\xd9", place) < 0


def to_grey(image: np.ndarray) -> np.ndarray:
    """Luma of an RGB image, BT.601 full range, rounded as OpenCV's BGR2GRAY rounds.

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
    """Colours a fused luma with the chroma of the visible image (YCrCb).

    Args:
      luma: uint8 [H, W].
      visible: uint8 [H, W, 3] RGB.

    Returns:
      uint8 [H, W, 3] RGB.
    """
    ycrcb = cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb)
    ycrcb[..., 0] = luma
    return cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """round(255 clip(image, 0, 1)): the 8-bit file that everything is measured on."""
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
    """Writes a file so that a reader sees all of it or none.

    Raises:
      UserError: the folder cannot be made or written, or the disk is full.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:  # an interruption leaves nothing behind either
        with contextlib.suppress(OSError):
            partial.unlink()


def check_writable(path: str | os.PathLike) -> None:
    """Fails before work starts where `write_atomically` would after it; makes the file's folder.

    Raises:
      UserError: the path is a folder, or the folder it is in cannot be made or written.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    trial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W], [H, W, 1] or RGB [H, W, 3] as PNG, atomically."""
    write_atomically(path, encode_png(image))


def list_images(folder: str | os.PathLike) -> dict[str, pathlib.Path]:
    """Image files of a folder by stem, in order of stem.

    Raises:
      UserError: not a folder, no image in it, or stems under two suffixes (up to 20 are named).
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found: dict[str, pathlib.Path] = {}
    doubled: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                doubled.append(f"{path.name} has the same stem as {found[path.stem].name}")
            found.setdefault(path.stem, path)
    if doubled:
        raise UserError(f"{folder}: keep one file of a stem: {summarise(doubled, 20)}")
    if not found:
        raise UserError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})")
    return found


def match_stems(folders: dict[str, dict[str, pathlib.Path]]) -> list[str]:
    """Stems that every folder has.

    Args:
      folders: what `list_images` gave, by the name that errors call the folder.

    Returns:
      The stems, sorted.

    Raises:
      UserError: some folder lacks stems another one has; the message lists them.
    """
    everything: set[str] = set().union(*folders.values())
    lacking = [
        f"{name} lacks {summarise(everything - set(files))}"
        for name, files in folders.items()
        if everything - set(files)
    ]
    if lacking:
        raise UserError(f"files must match by stem: {'; '.join(lacking)}")
    return sorted(everything)


def summarise(names: Iterable[str], most: int = 5) -> str:
    """The first few names, sorted, and how many more there are."""
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
