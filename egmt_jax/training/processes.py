"""The processes of one run: how they start, wait and stop; one run per workdir."""

import contextlib
import fcntl
import glob
import importlib.util
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from absl import logging
from etils import epath
from jax.experimental import multihost_utils

from egmt_jax.errors import UserError

LOCK = ".lock"


def start_processes(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Joins the other processes of a run, if any; call it before any use of JAX's devices.

    With the flags of launch.py on any machines; without them in Slurm's `srun` with more than one
    task and on TPU machines, where JAX finds the other processes.

    Raises:
      UserError: some of the three flags are missing or wrong.
    """
    flags = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    missing = [name for name, value in flags.items() if value in (None, "")]
    if coordinator and processes is not None and process_id is not None:
        if not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"--coordinator={coordinator}: must be host:port")
        if not 0 <= process_id < processes:
            raise UserError(f"--process_id={process_id} must be 0 to {processes - 1}")
        jax.distributed.initialize(coordinator, processes, process_id)
    elif len(missing) < len(flags):
        raise UserError(f"--{missing[0]} is missing: give all of {', '.join(flags)}")
    # A batch script has the number of tasks too, but is not one of them.
    elif "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        jax.distributed.initialize()
    elif _on_tpu():
        try:
            jax.distributed.initialize()
        except ValueError as error:  # no cluster that JAX knows, such as a notebook with a TPU
            logging.info("no other TPU machine: %s", error)
    # The first barrier must be passed within seconds; later ones may wait, for data preparation.
    wait_for_all("start")


def _on_tpu() -> bool:
    devices = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    return bool(devices) and importlib.util.find_spec("libtpu") is not None


def is_first() -> bool:
    """Whether this is the process that writes files which only one process may write."""
    return jax.process_index() == 0


@contextlib.contextmanager
def first_process_first(name: str) -> Iterator[None]:
    """A block that the first process runs before all others, such as preparing a data set."""
    if not is_first():
        wait_for_all(f"{name} by the first process")
    yield
    if is_first():
        wait_for_all(f"{name} by the first process")


def wait_for_all(name: str) -> None:
    """A barrier of all processes."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def as_first_says(answer: bool) -> bool:
    """The answer of the first process, in every process; all must call it."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer)))


def is_remote(path: epath.Path) -> bool:
    """Whether a path is in an object store, such as gs://."""
    return "://" in str(path)


@contextlib.contextmanager
def only_run_in(workdir: epath.Path) -> Iterator[None]:
    """Keeps other runs out of a workdir while the block runs, by a locked file.

    The operating system releases the lock when the process ends, however it ends. Object stores and
    file systems without locks are not protected.

    Raises:
      UserError: another run holds the workdir, or it cannot be written.
    """
    if not is_first() or is_remote(workdir):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(workdir / LOCK, "a+"))
        except OSError as error:
            raise UserError(f"{workdir}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
        except BlockingIOError as error:
            file.seek(0)
            raise UserError(
                f"{workdir}: another run trains in it ({file.read()}); wait for it, stop it, or "
                "choose another --workdir"
            ) from error
        except OSError as error:
            logging.warning("%s: not locked against other runs (%s)", workdir, error)
        yield


class StopSignal:
    """Turns SIGTERM and SIGINT (Ctrl-C) into a stop after the current step, in all processes.

    They end the program as usual before `keep_noting`, while there is nothing to save; and so does
    a second SIGINT.

    Attributes:
      noted: whether this process should stop.
    """

    def __init__(self):
        self.noted = False
        # With several processes JAX handles SIGTERM, and they agree on a step.
        self._together = jax.process_count() > 1
        self._before = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def keep_noting(self) -> None:
        """To be called when there is something to save."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        for number in [signal.SIGINT] if self._together else [signal.SIGINT, signal.SIGTERM]:
            self._before[number] = signal.signal(number, self._note)

    def at(self, step: int) -> bool:
        """Whether to stop after this step; every process must ask at every step."""
        self.keep_noting()
        if self._together:
            self.noted = multihost_utils.reached_preemption_sync_point(step)
        return self.noted

    def _note(self, number, frame):
        del frame
        if number == signal.SIGINT:
            signal.signal(number, self._before[number])
        if self._together:
            os.kill(os.getpid(), signal.SIGTERM)  # for JAX's handler
        else:
            self.noted = True
