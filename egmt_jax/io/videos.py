"""Reads and writes video files frame by frame."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from egmt_jax.errors import UserError
from egmt_jax.io.images import check_writable

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts"}
)
"""Suffixes of files that are read as videos."""

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
"""Codec by suffix of the videos that can be written."""

MISSING = 0.02
"""Share of the frame count of a file that may be missing: containers store estimates."""

# Damaged files are reported by our own errors.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Video:
    """Reads a video once, frame by frame; call `close` at the end.

    Args:
      path: a file that OpenCV's FFmpeg can decode.

    Attributes:
      path: the file.
      rate: frames per second.
      count: number of frames by the header of the file; 0 if unknown.
      first: the first frame, uint8 RGB [H, W, 3].
      taken: number of frames read so far.

    Raises:
      UserError: not a video, or no frames or frame rate in it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise UserError(f"{path}: not a readable video (empty, truncated or of another type)")
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.taken = 0
        first = self._decode()
        if first is None:
            raise UserError(f"{path}: no frames in it")
        if not 0.0 < self.rate < float("inf"):
            raise UserError(f"{path}: has no frame rate; encode it again with one")
        self.first = first

    def _decode(self) -> np.ndarray | None:
        found, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if found else None

    def read(self) -> np.ndarray | None:
        """The next frame, uint8 RGB [H, W, 3]; None after the last one.

        Raises:
          UserError: the file ends long before its frame count.
        """
        frame = self.first if self.taken == 0 else self._decode()
        if frame is not None:
            self.taken += 1
        elif self.count - self.taken > max(2.0, MISSING * self.count):
            raise UserError(
                f"{self.path}: ends after {self.taken} of {self.count} frames: truncated or "
                "damaged; copy it again, or cut it to its intact part"
            )
        return frame

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()


@contextlib.contextmanager
def writing(
    path: str | os.PathLike, rate: float, size: tuple[int, int]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Writes a video under a temporary name and renames it when it is complete.

    Args:
      path: its suffix is one of `CODECS`.
      rate: frames per second.
      size: rows and columns; the last one of an odd number is lost.

    Yields:
      A function that adds a frame, uint8 [H, W] or RGB [H, W, 3].

    Raises:
      UserError: another suffix, or the file cannot be written.
    """
    path = pathlib.Path(path)
    check_suffix(path)
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
    writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, codec, rate, size[::-1])
    written = 0

    def write(frame: np.ndarray) -> None:
        nonlocal written
        code = cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR
        writer.write(cv2.cvtColor(frame, code))
        written += 1

    try:
        if not writer.isOpened():
            partial.write_bytes(bytes(4096))  # raises the reason, such as a full disk
            raise UserError(f"{path}: cannot be written (this OpenCV has no encoder for it)")
        yield write
        writer.release()
        if _count(partial) != written:  # the writer itself reports no errors
            raise UserError(f"{path}: cannot be written completely (is the disk full?)")
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


def check_suffix(path: str | os.PathLike) -> None:
    """Raises UserError if videos of that suffix cannot be written."""
    if pathlib.Path(path).suffix.lower() not in CODECS:
        raise UserError(f"{path}: the output is a video; end its name in {', '.join(CODECS)}")


def _count(path: pathlib.Path) -> int:
    """Number of frames by the header of a file, 0 if it cannot be read."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count
