"""Processes: how they start, stop and lock a workdir; runs as separate processes."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import portpicker
import pytest
from etils import epath
from training_runs import assert_same, saved, steps, wait_for_step

from egmt_jax.errors import UserError
from egmt_jax.training import processes
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import train
from egmt_jax.training.processes import only_run_in, start_processes
from egmt_jax.weights.checkpoint import load_model

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *flags: calls.append(flags))
    monkeypatch.setattr(processes, "_on_tpu", lambda: False)
    return calls


def test_processes_start_by_flags_on_slurm_or_alone(started, monkeypatch):
    start_processes(environment={})
    step = {"SLURM_STEP_NODELIST": "node[1-4]"}
    start_processes(environment=step | {"SLURM_NTASKS": "1"})
    start_processes(environment={"SLURM_NTASKS": "4"})  # a batch script, not yet srun
    assert started == []
    start_processes("host:1234", 2, 0, environment={})
    assert started == [("host:1234", 2, 0)]
    start_processes(environment=step | {"SLURM_NTASKS": "4"})
    monkeypatch.setattr(processes, "_on_tpu", lambda: True)
    start_processes(environment={})
    assert started[1:] == [(), ()]

    def no_cluster():
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", no_cluster)
    start_processes(environment={})  # a TPU machine without others


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("host:1234", None, 0), "--processes is missing"),
        (("host:1234", 2, 2), "--process_id=2 must be 0 to 1"),
        (("host", 2, 0), "--coordinator=host: must be host:port"),
    ],
)
def test_wrong_flags_of_processes_are_refused(started, flags, message):
    with pytest.raises(UserError, match=message):
        start_processes(*flags)
    assert started == []


def test_a_second_run_in_a_workdir_is_refused(config, tmp_path):
    message = rf"another run trains in it \(process {os.getpid()}"
    with only_run_in(epath.Path(tmp_path)), pytest.raises(UserError, match=message):
        train(config, tmp_path)
    with only_run_in(epath.Path(tmp_path)):  # free again
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/run: cannot be written"):
        train(config, tmp_path / "file" / "run")


def start_script(folder, code, *arguments, **options):
    """Starts a script; its output comes through its `stdout`."""
    script = folder / "script.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


BUSY = """
import sys, time
from etils import epath
from egmt_jax.training.processes import StopSignal, only_run_in

with only_run_in(epath.Path(sys.argv[2])), StopSignal() as stop:
    if sys.argv[1] == "saving":
        stop.keep_noting()
    print("busy", flush=True)
    while not stop.noted:
        time.sleep(0.1)
    print("noted", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("state", "number"), [("starting", signal.SIGTERM), ("saving", signal.SIGINT)]
)
def test_signals_end_a_program_and_free_its_workdir(tmp_path, state, number):
    process = start_script(tmp_path, BUSY, state, tmp_path)
    assert process.stdout.readline() == "busy\n"
    process.send_signal(number)
    if state == "saving":  # the first signal is noted, the second ends the program
        assert process.stdout.readline() == "noted\n"
        process.send_signal(number)
    assert "noted\n" not in process.communicate(timeout=50)[0].splitlines(keepends=True)
    assert process.returncode == -number
    with only_run_in(epath.Path(tmp_path)):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_saves_and_exits_within_seconds(launch, finish, tmp_path, number):
    process = launch(tmp_path, "--config.optimizer.steps=100000", "--config.log.every=1")
    wait_for_step(process, tmp_path, 5)
    process.send_signal(number)
    start = time.monotonic()
    code, output = finish(process)
    assert code == 0, output
    busy = max(1.0, os.getloadavg()[0] / os.cpu_count())
    assert time.monotonic() - start < 10.0 * busy
    assert output.count("stopped by a signal at step") == 1
    assert "Traceback" not in output
    assert max(steps(tmp_path)) == max(row["step"] for row in read_history(tmp_path))


MANY_STEPS = (
    "--config.optimizer.steps=60",
    "--config.checkpoint.every=7",
    "--config.log.every=1",
    "--config.log.pictures_every=25",
    "--config.evaluation.every=20",
    "--config.optimizer.ema=0.99",
)


@pytest.mark.slow
def test_a_run_killed_several_times_ends_like_one_that_was_not(launch, finish, tmp_path):
    code, output = finish(launch(tmp_path / "straight", *MANY_STEPS))
    assert code == 0, output
    chance = random.Random(time.time_ns())
    at = sorted(chance.sample(range(1, 58), 4))
    for step in at:
        process = launch(tmp_path / "killed", *MANY_STEPS)
        wait_for_step(process, tmp_path / "killed", step)
        time.sleep(0.1 * chance.random())
        process.kill()
        finish(process)
    code, output = finish(launch(tmp_path / "killed", *MANY_STEPS))
    assert code == 0, output
    print(f"killed after steps {at}")
    assert_same(saved(tmp_path / "straight"), saved(tmp_path / "killed"))
    histories = [read_history(tmp_path / name) for name in ("straight", "killed")]
    for one, two in zip(*histories, strict=True):
        np.testing.assert_equal(one, two)
    for best in (False, True):
        models = [load_model(tmp_path / name, best)[0] for name in ("straight", "killed")]
        assert_same(*[jax.tree.leaves(model) for model in models])


@pytest.mark.slow
def test_a_full_disk_is_reported_and_older_checkpoints_stay(launch, finish, straight, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        arguments = ("--config.checkpoint.keep=30", "--config.checkpoint.every=1")
        code, output = finish(launch(disk / "run", *arguments))
        assert code == 1, output
        line = next((line for line in output.splitlines() if line.startswith("launch.py:")), "")
        assert "cannot be written" in line, output
        assert "No space left on device" in line
        before = steps(disk / "run")
        assert before
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        code, output = finish(launch(disk / "run", *arguments))
        assert code == 0, output
        assert f"from step {before[-1]}" in output
        assert_same(saved(straight)["params"]["join"], saved(disk / "run")["params"]["join"])
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


WORKING = """
import signal, sys
from absl import flags
import tfds_builders
from configs import base
from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_vocabulary

if __name__ == "__main__":
    flags.FLAGS(sys.argv[:1])  # grain's worker processes read flags
    data = base.get_config().data
    data.update(name="entity_scenes/tiny", data_dir=sys.argv[1], crop=32)
    parts = mixtures.training_parts(mixtures.open_mixture(data), data, load_vocabulary())
    batches = iter(pipeline.training_batches(parts, 4, 0, workers=2))
    next(batches)
    signal.signal(signal.SIGTERM, lambda *_: None)
    print("working", flush=True)
    signal.pause()
    for _ in range(100):  # more than are ready
        next(batches)
    print("still working", flush=True)
    signal.pause()
"""


@pytest.mark.slow
def test_workers_outlive_a_signal_to_all_processes_but_not_their_parent(scenes_dir, tmp_path):
    process = start_script(tmp_path, WORKING, scenes_dir, start_new_session=True)
    try:
        for line in ("working\n", "still working\n"):
            while (printed := process.stdout.readline()) != line:
                assert printed, "it has ended"
            if line == "working\n":
                os.killpg(process.pid, signal.SIGTERM)
        process.kill()
        process.wait()
        # The end of the pipe that every process of the script holds open.
        assert "Traceback" not in process.communicate(timeout=60)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def together(launch, workdir, *arguments):
    """Two processes of two devices each."""
    port = portpicker.pick_unused_port()
    flags = (f"--coordinator=localhost:{port}", "--processes=2")
    return [
        launch(workdir, *flags, f"--process_id={index}", *arguments, devices=2) for index in (0, 1)
    ]


def losses(workdir):
    rows = read_history(workdir)
    return {row["step"]: row["loss/loss"] for row in rows if "loss/loss" in row}


@pytest.mark.slow
def test_runs_resume_with_another_number_of_processes(launch, finish, tmp_path):
    one = ("--config.optimizer.steps=12", "--config.log.every=1", "--config.evaluation.every=4")
    code, output = finish(launch(tmp_path / "one", *one))
    assert code == 0, output
    expected = losses(tmp_path / "one")

    # Two processes with split parameters, stopped in the middle by a signal; then one process.
    pair = together(launch, tmp_path / "two_one", *one, "--config.mesh.model=4")
    stop(pair, tmp_path / "two_one", finish)
    stopped = max(steps(tmp_path / "two_one"))
    assert stopped < 12
    code, output = finish(launch(tmp_path / "two_one", *one))
    assert code == 0, output
    assert f"from step {stopped}" in output

    # One process, stopped in the middle; then two.
    stop([launch(tmp_path / "one_two", *one)], tmp_path / "one_two", finish)
    assert max(steps(tmp_path / "one_two")) < 12
    for process in together(launch, tmp_path / "one_two", *one):
        code, output = finish(process)
        assert code == 0, output

    for name in ("two_one", "one_two"):
        found = losses(tmp_path / name)
        assert sorted(found) == sorted(expected)
        np.testing.assert_allclose(
            [found[step] for step in expected], list(expected.values()), atol=1e-4
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3),
            saved(tmp_path / "one")["params"],
            saved(tmp_path / name)["params"],
        )


def stop(running, workdir, finish):
    """Interrupts the processes of a run after a few steps."""
    wait_for_step(running[0], workdir, 3)
    for process in running:
        process.send_signal(signal.SIGINT)
    for process in running:
        code, output = finish(process)
        assert code == 0, output


@pytest.mark.slow
def test_a_process_that_is_refused_ends_the_others(launch, finish, tmp_path):
    with only_run_in(epath.Path(tmp_path)):
        first, second = together(launch, tmp_path)
        code, output = finish(first)
        assert code == 1
        assert "another run trains in it" in output.splitlines()[-1]
        assert finish(second, seconds=60)[0] != 0
