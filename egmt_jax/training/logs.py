"""Logs of a run: scalars, pictures, config, environment, a trace."""

import contextlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

import egmt_jax
from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.training.processes import is_first, is_remote

HISTORY = "history.jsonl"
PREFIX = "validation/"
VERSIONS = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

PROFILE_AFTER, PROFILED = 5, 5
"""Steps before a trace begins, so that compilation is over, and steps in it."""


class RunLog:
    """Writes scalars and pictures of a run to `history.jsonl` and TensorBoard files.

    Only the first process writes. Rows after the checkpoint that a run resumes from, step `first`,
    are dropped: those steps will be re-run. All methods raise UserError if they cannot write.
    """

    def __init__(self, folder: epath.Path, config: ConfigDict, first: int):
        self._folder = folder
        self._rows: list[dict[str, float | int]] = []
        self._events = None
        if not is_first():
            return
        content = config.to_json_best_effort(indent=2)
        write_file(folder / "config.json", content.encode())
        _write_environment(folder, first)
        self._rows = [row for row in read_history(folder) if row["step"] <= first]
        self._write_history()
        self._events = _EventFile(folder / "tensorboard")
        if first:  # hides what was logged after the checkpoint
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._events.write(step=first + 1, session_log=start)
        self._events.write(step=first, summary=summary.text("config", f"```\n{content}\n```"))

    def scalars(self, scalars: dict[str, float | int], step: int) -> None:
        """Adds scalars; loss terms go under `loss/`."""
        if not self._events:
            return
        scalars = {name if "/" in name else f"loss/{name}": v for name, v in scalars.items()}
        self._rows.append({"step": step, **scalars})
        self._write_history(self._rows[-1:])
        for name, value in scalars.items():
            if math.isfinite(value):
                self._events.write(step=step, summary=summary.scalar(name, value))
        self._events.flush()

    def has_scores(self, step: int) -> bool:
        """Whether the model was evaluated after this step, as the first process knows."""
        rows = (row for row in self._rows if row["step"] == step)
        return any(PREFIX in name for row in rows for name in row)

    def picture(self, picture: np.ndarray, step: int) -> None:
        """Adds a picture, uint8 RGB."""
        if self._events:
            image = summary.image("pairs", picture, dataformats="HWC")
            self._events.write(step=step, summary=image)
            self._events.flush()

    def close(self) -> None:
        """Closes the files."""
        if self._events:
            self._events.close()

    def _write_history(self, added: list[dict[str, float | int]] | None = None) -> None:
        """Appends rows, or writes all of them, as always where files cannot be appended to."""
        path = self._folder / HISTORY
        if added is None or is_remote(path):
            write_file(path, _lines(self._rows).encode())
            return
        with _reported(path), path.open("a") as file:
            file.write(_lines(added))


class _EventFile:
    """A TensorBoard file, written without a thread or a queue that a full disk could block.

    A file of a remote folder is written locally and copied at each flush.
    """

    def __init__(self, folder: epath.Path):
        self._folder = folder
        self._local = tempfile.TemporaryDirectory() if is_remote(folder) else None
        path = pathlib.Path(self._local.name if self._local else folder)
        with _reported(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(path / "events"), f".{time.monotonic_ns()}")

    def write(self, **event: Any) -> None:
        with _reported(self._folder):
            self._writer.write_event(event_pb2.Event(wall_time=time.time(), **event))

    def flush(self) -> None:
        with _reported(self._folder):
            self._writer.flush()
            if self._local:
                for file in pathlib.Path(self._local.name).iterdir():
                    (self._folder / file.name).write_bytes(file.read_bytes())

    def close(self) -> None:
        with contextlib.suppress(OSError, UserError):  # a full disk has been reported
            self.flush()
            self._writer.close()
        if self._local:
            self._local.cleanup()


def write_file(path: epath.Path, content: bytes) -> None:
    """Writes a file atomically, on local disks and object stores; raises UserError."""
    if is_remote(path):  # an object appears when it is complete
        with _reported(path):
            path.write_bytes(content)
    else:
        write_atomically(path, content)


@contextlib.contextmanager
def _reported(path: epath.Path) -> Iterator[None]:
    """Turns errors of writing a file into UserErrors."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_history(folder: str | os.PathLike) -> list[dict[str, float | int]]:
    """The rows of `history.jsonl`: `step` and scalars by name, without an incomplete last line."""
    path, rows = epath.Path(folder) / HISTORY, []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _lines(rows: list[dict[str, float | int]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _write_environment(folder: epath.Path, first: int) -> None:
    """Adds versions, devices, command, step and time of this start to `environment.json`."""
    path = folder / "environment.json"
    try:
        starts = json.loads(path.read_text()) if path.exists() else []
    except json.JSONDecodeError:
        starts = []
    starts.append(
        {
            "from_step": first,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": sys.argv,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS}
            | {"egmt-jax": egmt_jax.__version__},
            "devices": [device.device_kind for device in jax.devices()],
            "processes": jax.process_count(),
        }
    )
    write_file(path, (json.dumps(starts, indent=2) + "\n").encode())


class Profile:
    """Traces a few steps after `first` into `profile/`, for TensorBoard or Perfetto."""

    def __init__(self, folder: epath.Path, first: int, last: int):
        self._folder = folder / "profile"
        self._start = min(first + PROFILE_AFTER, last)
        self._stop = min(self._start + PROFILED - 1, last)

    def before(self, step: int) -> None:
        """To be called before each step."""
        if step == self._start:
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)

    def after(self, step: int, result: Any) -> None:
        """To be called after each step, with its result."""
        if step == self._stop:
            jax.block_until_ready(result)
            jax.profiler.stop_trace()
