"""The processes of one run: how they start, wait and stop; one run per workdir."""

import contextlib
import glob
import importlib.util
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from absl import logging
from etils import epath
from jax.experimental import multihost_utils

from egmt_jax.errors import UserError

LOCK = ".lock"

HEARTBEAT, STALE = 5.0, 30.0
"""Seconds between two updates of a lock, and without an update until a lock of another machine is
taken over."""


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
    if len(missing) < len(flags):
        if missing:
            raise UserError(f"--{missing[0]} is missing: give all of {', '.join(flags)}")
        if not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"--coordinator={coordinator}: must be host:port")
        if not 0 <= process_id < processes:
            raise UserError(f"--process_id={process_id} must be 0 to {processes - 1}")
        jax.distributed.initialize(coordinator, processes, process_id)
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
    """Keeps other runs out of a workdir while the block runs, by a lock file that works anywhere.

    The lock of a dead process is taken over: on the same machine at once, from another machine
    after `STALE` seconds without an update.

    Raises:
      UserError: another run holds the workdir, or it cannot be written.
    """
    if not is_first():
        yield
        return
    path, own = workdir / LOCK, f"process {os.getpid()} on {socket.gethostname()}"
    stopped = threading.Event()

    def keep_alive():
        while not stopped.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                path.write_text(f"{own}, {time.time():.0f}")

    try:
        workdir.mkdir(parents=True, exist_ok=True)
        while not _create(path, own):
            _check_stale(path, workdir)
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{workdir}: cannot be written ({error.strerror or error})") from error
    thread = threading.Thread(target=keep_alive, daemon=True)
    thread.start()
    _held.add(str(path))
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        _held.discard(str(path))
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


_held: set[str] = set()
"""Lock files of this process: after a restart in a container another process had the same id."""


def _create(path: epath.Path, content: str) -> bool:
    """Creates a file unless it exists; atomic on local disks."""
    if is_remote(path):  # epath has no exclusive creation
        if path.exists():
            return False
        path.write_text(content)
        return True
    try:
        with open(path, "x") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _check_stale(path: epath.Path, workdir: epath.Path) -> None:
    """Returns if the process of a lock is dead; else raises UserError."""

    def read():
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
        return ""

    content = read()
    owner, _, host = content.partition(",")[0].partition(" on ")
    if host == socket.gethostname():
        process = int(owner.removeprefix("process "))
        alive = str(path) in _held if process == os.getpid() else _is_alive(process)
    else:
        logging.warning("%s: waiting to see whether the run of %s is alive", workdir, content)
        end, alive = time.monotonic() + STALE, False
        while time.monotonic() < end and not alive:
            time.sleep(HEARTBEAT / 5)
            alive = read() not in (content, "")
    if alive:
        raise UserError(
            f"{workdir}: another run trains in it ({owner} on {host}); wait for it, stop it, or "
            "choose another --workdir"
        )


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        return True
    return True


class StopSignal:
    """Turns SIGTERM and SIGINT (Ctrl-C) into a stop after the current step, in all processes.

    While there is nothing to save, before `keep_noting`, a signal ends a run of one process at
    once. A second SIGINT always does, with exit code 130.

    Attributes:
      noted: whether this process should stop.
    """

    def __init__(self):
        self.noted = False
        self._something_to_save = False
        # With several processes JAX handles SIGTERM, and they agree on a step.
        self._together = jax.process_count() > 1
        self._handles = threading.current_thread() is threading.main_thread()
        self._interrupts = 0

    def __enter__(self):
        if self._handles:
            numbers = [signal.SIGINT] if self._together else [signal.SIGINT, signal.SIGTERM]
            self._before = {number: signal.signal(number, self._note) for number in numbers}
            # Python runs handlers only between bytecodes, not during a compilation; the byte that
            # each signal writes here arrives at once.
            arriving, self._bytes = socket.socketpair()
            self._bytes.setblocking(False)
            self._bytes_before = signal.set_wakeup_fd(self._bytes.fileno())
            threading.Thread(target=self._watch, args=(arriving,), daemon=True).start()
        return self

    def __exit__(self, *error):
        if self._handles:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._bytes_before)
            self._bytes.close()

    def keep_noting(self) -> None:
        """To be called when there is something to save."""
        self._something_to_save = True

    def at(self, step: int) -> bool:
        """Whether to stop after this step; every process must ask at every step."""
        self.keep_noting()
        if self._together:
            self.noted = multihost_utils.reached_preemption_sync_point(step)
        return self.noted

    def _note(self, number, frame):
        del frame
        if self._together and number == signal.SIGINT:
            os.kill(os.getpid(), signal.SIGTERM)  # for JAX's handler
        else:
            self.noted = True

    def _watch(self, arriving):
        with arriving:
            while number := arriving.recv(1):
                if number[0] not in (signal.SIGINT, signal.SIGTERM):
                    continue
                self._interrupts += number[0] == signal.SIGINT
                if self._interrupts > 1:
                    print("stopped at once by a second interrupt", flush=True)
                    os._exit(128 + signal.SIGINT)
                if not (self._something_to_save or self._together):
                    print("stopped by a signal before any step; run again to start", flush=True)
                    os._exit(0)
