"""What a run leaves to look at: scalars, pictures, config, environment, a trace."""

import importlib.metadata
import json
import pathlib
import platform
import sys
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tensorboardX import SummaryWriter

import egmt_jax
from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.training.processes import is_first

HISTORY = "history.jsonl"
PREFIX = "validation/"
VERSIONS = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

MOST_WAITING = 1000
"""Events that TensorBoard's writer may be behind by."""

PROFILE_AFTER, PROFILED = 5, 5
"""Steps before a trace begins, so that compilation is over, and steps in it."""


class RunLog:
    """Scalars and pictures of a run, for TensorBoard and in `history.jsonl`; the first process's.

    What an interrupted run logged after its last checkpoint is dropped: its steps are done again.

    Args:
      folder: the workdir.
      config: of the run.
      first: steps done before.
    """

    def __init__(self, folder: pathlib.Path, config: ConfigDict, first: int):
        self._writer = None
        self._path = folder / HISTORY
        self._scored: set[int] = set()
        if not is_first():
            return
        write_atomically(folder / "config.json", config.to_json_best_effort(indent=2).encode())
        _write_environment(folder, first)
        kept = [row for row in read_history(folder) if row["step"] <= first]
        write_atomically(self._path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._scored = {row["step"] for row in kept if any(PREFIX in name for name in row)}
        self._writer = SummaryWriter(
            str(folder / "tensorboard"),
            purge_step=first + 1 if first else None,
            max_queue=MOST_WAITING,
        )
        self._writer.add_text("config", f"```\n{config.to_json_best_effort(indent=2)}\n```")

    def scalars(self, scalars: dict[str, float], step: int) -> None:
        """Adds scalars; loss terms go under `loss/`.

        Raises:
          UserError: the disk is full.
        """
        if not self._writer:
            return
        scalars = {name if "/" in name else f"loss/{name}": v for name, v in scalars.items()}
        self._check_writer()
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step, **scalars}) + "\n")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror})") from error
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def has_scores(self, step: int) -> bool:
        """Whether the model was evaluated after this step, as the first process knows."""
        return step in self._scored

    def picture(self, picture: np.ndarray, step: int) -> None:
        """Adds a picture, uint8 RGB.

        Raises:
          UserError: the disk is full.
        """
        if self._writer:
            self._check_writer()
            self._writer.add_image("pairs", picture, step, dataformats="HWC")

    def _check_writer(self):
        # Its thread dies where its file cannot grow; a full queue would then wait for ever.
        if not self._writer.file_writer.event_writer._worker.is_alive():
            raise UserError(
                f"{self._path.parent / 'tensorboard'}: cannot be written; make room and run again"
            )

    def close(self) -> None:
        """Writes what is left; a full disk is passed over, something else will have told of it."""
        if not self._writer:
            return
        events = self._writer.file_writer.event_writer
        if not events._worker.is_alive():
            events._event_queue.cancel_join_thread()  # the end would wait for its reader
        try:
            self._writer.close()
        except OSError:
            # tensorboardX tries once more at exit, and would end the program with a traceback.
            events.close = lambda: None


def read_history(folder: pathlib.Path) -> list[dict[str, float]]:
    """The rows of `history.jsonl`: `step` and scalars by name; a line cut short is left out."""
    try:
        lines = (folder / HISTORY).read_text().splitlines()
    except FileNotFoundError:
        return []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _write_environment(folder: pathlib.Path, first: int) -> None:
    """Adds this start to `environment.json`: versions, devices, command, step and time."""
    path = folder / "environment.json"
    try:
        starts = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
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
    write_atomically(path, (json.dumps(starts, indent=2) + "\n").encode())


class Profile:
    """Traces a few steps once, into `profile/` of the workdir, readable by TensorBoard or Perfetto.

    Args:
      folder: the workdir.
      first: steps done before.
      last: steps of the run.
    """

    def __init__(self, folder: pathlib.Path, first: int, last: int):
        self._folder = folder / "profile"
        self._start = min(first + PROFILE_AFTER, last)
        self._stop = min(self._start + PROFILED - 1, last)

    def before(self, step: int) -> None:
        """To be called before each step."""
        if step == self._start:
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)

    def after(self, step: int, result: Any) -> None:
        """To be called after each step, with what it gave."""
        if step == self._stop:
            jax.block_until_ready(result)
            jax.profiler.stop_trace()
