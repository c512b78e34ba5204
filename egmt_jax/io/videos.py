"""Videos on disk <-> frames."""

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
"""Of files that are taken for videos."""

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
"""Suffix of a video that can be written -> its codec."""

MISSING = 0.02
"""Share of the frames that a file tells of which may be missing: containers count roughly."""

# As OpenCV, see `images`, its FFmpeg would write beside our own message.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Video:
    """A video to be read once, frame by frame.

    Args:
      path: a file that OpenCV's FFmpeg can decode; to be closed by `close`.

    Attributes:
      path: the file.
      rate: frames a second.
      count: frames that the file tells of; 0 where it does not.
      first: uint8 RGB [H, W, 3], the first frame.
      taken: frames that were read until now.

    Raises:
      UserError: not a video, or one without frames or frame rate.
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
            raise UserError(f"{path}: tells no frame rate; encode it again with one")
        self.first = first

    def _decode(self) -> np.ndarray | None:
        there, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if there else None

    def read(self) -> np.ndarray | None:
        """The next frame, uint8 RGB [H, W, 3]; None after the last one.

        Raises:
          UserError: the file ends long before it says.
        """
        frame = self.first if self.taken == 0 else self._decode()
        if frame is not None:
            self.taken += 1
        elif self.count - self.taken > max(2.0, MISSING * self.count):
            raise UserError(
                f"{self.path}: ends after {self.taken} of {self.count} frames: truncated or "
                "damaged; copy it again, or cut it to what is whole"
            )
        return frame

    def close(self) -> None:
        """Lets go of the file."""
        self._capture.release()


@contextlib.contextmanager
def writing(
    path: str | os.PathLike, rate: float, size: tuple[int, int]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Writes a video that has its name when it is complete, and not before.

    Args:
      path: its suffix is one of `CODECS`.
      rate: frames a second.
      size: rows and columns; of odd ones the last is lost.

    Yields:
      A function that adds a frame, uint8 [H, W], or RGB [H, W, 3].

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
            partial.write_bytes(bytes(4096))  # tells where the disk is full
            raise UserError(f"{path}: cannot be written (this OpenCV has no encoder for it)")
        yield write
        writer.release()
        if _count(partial) != written:  # the writer itself does not tell
            raise UserError(f"{path}: cannot be written whole (is the disk full?)")
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


def check_suffix(path: str | os.PathLike) -> None:
    """Raises UserError where a video of that suffix cannot be written."""
    if pathlib.Path(path).suffix.lower() not in CODECS:
        raise UserError(f"{path}: the output is a video; end its name in {', '.join(CODECS)}")


def _count(path: pathlib.Path) -> int:
    """Frames that a file tells of, 0 for one that cannot be read."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count
