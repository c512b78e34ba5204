"""The processes of one run: how they find each other, wait, stop together; one run per workdir."""

import contextlib
import fcntl
import glob
import importlib.util
import os
import pathlib
import signal
import socket
import threading
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

from egmt_jax.errors import UserError

LOCK = ".lock"


def start_processes(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Joins the other processes of a run, where there are any; before any use of JAX's devices.

    By explicit arguments on any machines; without them within Slurm's `srun` of more than one task
    and on TPU machines, where JAX finds the others by itself. Otherwise this process is the only
    one.

    Args:
      coordinator: host:port of the first process, the same for all.
      processes: how many there are.
      process_id: this one's number, from 0.
      environment: where Slurm's variables are looked for.

    Raises:
      UserError: some of the three are missing, wrong, or do not fit together.
    """
    given = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    missing = [name for name, value in given.items() if value in (None, "")]
    if len(missing) < len(given):
        if missing:
            raise UserError(f"--{missing[0]} is missing: {', '.join(given)} belong together")
        if not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"--coordinator={coordinator}: host:port is wanted")
        if not 0 <= process_id < processes:
            raise UserError(f"--process_id={process_id} must be 0 to {processes - 1}")
        jax.distributed.initialize(coordinator, processes, process_id)
    # A batch script has the number of its tasks too, but is none of them.
    elif "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        jax.distributed.initialize()
    elif _on_tpu():
        try:
            jax.distributed.initialize()
        except ValueError as error:  # no cluster that JAX knows, as where a notebook has a TPU
            logging.info("this TPU machine is taken as the only one: %s", error)
    # The first exchange has to be within seconds; later ones may have to wait, as for the data.
    wait_for_all("start")


def _on_tpu() -> bool:
    devices = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    return bool(devices) and importlib.util.find_spec("libtpu") is not None


def is_first() -> bool:
    """Whether this process is the one that writes what only one may write."""
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
    """Returns when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def as_first_says(answer: bool) -> bool:
    """The answer of the first process, in every process; all must ask."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer)))


@contextlib.contextmanager
def only_run_in(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps every other run out of a workdir for as long as the block runs.

    The lock goes with the process, however that ends.

    Raises:
      UserError: another run holds the workdir, or it cannot be written.
    """
    if not is_first():
        yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / LOCK).open("a+")
    except OSError as error:
        raise UserError(f"{workdir}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UserError(
                f"{workdir}: another run trains in it ({file.read().strip()}); wait for it, stop "
                "it, or choose another --workdir"
            ) from error
        except OSError as error:  # some shared file systems know no locks
            logging.warning(
                "%s: cannot be locked (%s); see that no other run trains in it",
                workdir,
                error.strerror,
            )
        try:
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:
            raise UserError(f"{workdir}: cannot be written ({error.strerror})") from error
        yield


class StopSignal:
    """Notes SIGTERM within its block instead of dying of it; all processes stop at one step.

    As long as there is nothing to save, which ends with `keep_noting`, SIGTERM ends a program of
    one process at once, with exit code 0.

    Attributes:
      noted: whether this process was told to stop.
    """

    def __init__(self):
        self.noted = False
        self._something_to_save = False
        # Several processes: JAX has its own handler, by which they agree on the step.
        self._together = jax.process_count() > 1
        self._handles = not self._together and threading.current_thread() is threading.main_thread()

    def __enter__(self):
        if self._handles:
            self._before = signal.signal(signal.SIGTERM, self._note)
            # A handler has to wait for a compilation, a byte for each signal comes at once.
            arriving, self._bytes = socket.socketpair()
            self._bytes.setblocking(False)
            self._bytes_before = signal.set_wakeup_fd(self._bytes.fileno())
            threading.Thread(target=self._watch, args=(arriving,), daemon=True).start()
        return self

    def __exit__(self, *error):
        if self._handles:
            signal.signal(signal.SIGTERM, self._before)
            signal.set_wakeup_fd(self._bytes_before)
            self._bytes.close()

    def keep_noting(self) -> None:
        """To be called as soon as there is something to save."""
        self._something_to_save = True

    def at(self, step: int) -> bool:
        """Whether to stop after this step; to be asked at every step, by every process."""
        self.keep_noting()
        if self._together:
            self.noted = multihost_utils.reached_preemption_sync_point(step)
        return self.noted

    def _note(self, number, frame):
        del number, frame
        self.noted = True

    def _watch(self, arriving):
        with arriving:
            while number := arriving.recv(1):
                if number[0] == signal.SIGTERM and not self._something_to_save:
                    print("stopped by a signal before any step; run again to go on", flush=True)
                    os._exit(0)
