"""Reads and writes video files frame by frame."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from egmt_jax.errors import UserError
from egmt_jax.io.images import check_writable, replacing

SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts"}  # read
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}  # written
MISSING = 0.02  # share of the frame count that may be missing: containers store estimates

# Damaged files are reported by our own errors.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Video:
    """Reads a video once, frame by frame, uint8 RGB [H, W, 3]; call `close` at the end."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise UserError(f"{path}: not a readable video (empty, truncated or of another type)")
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS))  # frames per second
        # Number of frames by the header of the file; 0 if unknown.
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.taken = 0  # number of frames read so far
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
        """The next frame; None after the last. Raises UserError if the file ends too early."""
        frame = self.first if self.taken == 0 else self._decode()
        if frame is not None:
            self.taken += 1
        elif self.count - self.taken > max(2.0, MISSING * self.count):
            found = f"ends after {self.taken} of {self.count} frames: truncated or damaged"
            raise UserError(f"{self.path}: {found}; copy it again, or cut it to its intact part")
        return frame

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()


@contextlib.contextmanager
def writing(
    path: str | os.PathLike, rate: float, size: tuple[int, int]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Writes a video of `rate` frames per second; replaces `path` when the video is complete.

    `size` is in rows and columns; of an odd number, the last one is lost.

    Yields:
      A function that adds a frame, uint8 [H, W] or RGB [H, W, 3].

    Raises:
      UserError: the suffix is not in `CODECS`, or the file cannot be written.
    """
    path = pathlib.Path(path)
    check_suffix(path)
    check_writable(path)
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
    with replacing(path) as partial:
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
        finally:
            writer.release()
        capture = cv2.VideoCapture(str(partial), cv2.CAP_FFMPEG)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))  # 0 if it cannot be read
        capture.release()
        if count != written:  # the writer itself reports no errors
            raise UserError(f"{path}: cannot be written completely (is the disk full?)")


def check_suffix(path: str | os.PathLike) -> None:
    """Raises UserError if videos of that suffix cannot be written."""
    if pathlib.Path(path).suffix.lower() not in CODECS:
        raise UserError(f"{path}: the output is a video; end its name in {', '.join(CODECS)}")
