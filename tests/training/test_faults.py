"""What goes wrong in long runs: each fault is made to happen, and nothing may be lost."""

import contextlib
import json
import logging
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest
from flax import nnx
from training_runs import assert_same, saved, steps, wait_for_step

from egmt_jax.errors import UserError
from egmt_jax.training.checkpoints import Checkpoints, load_model
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import train
from egmt_jax.training.processes import only_run_in
from egmt_jax.training.step import initial_state, make_optimizer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def truncate_newest(workdir, part, files):
    """Leaves a sixteenth of files of a part of the newest checkpoint.

    Half of one may hold all that is read: what lies behind was superseded while it was written.
    """
    folder = pathlib.Path(workdir, "checkpoints", str(max(steps(workdir))), part)
    found = [path for path in folder.glob(files) if path.is_file()]
    assert found
    for path in found:
        os.truncate(path, path.stat().st_size // 16)


MANY_STEPS = (
    "--config.optimizer.steps=60",
    "--config.checkpoint.every=7",
    "--config.log.every=1",
    "--config.log.pictures_every=25",
    "--config.evaluation.every=20",
    "--config.evaluation.most=2",
    "--config.optimizer.ema=0.99",
)


@pytest.mark.slow
def test_a_run_killed_several_times_ends_as_if_it_had_not_been(launch, finish, tmp_path):
    straight = launch(tmp_path / "straight", *MANY_STEPS)
    code, output = finish(straight)
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
    assert histories[0] == histories[1]
    for best in (False, True):
        models = [load_model(tmp_path / name, best)[0] for name in ("straight", "killed")]
        assert_same(*[jax.tree.leaves(model) for model in models])


@pytest.mark.slow
def test_a_stopped_run_saves_and_exits_within_seconds(launch, finish, tmp_path):
    process = launch(tmp_path, "--config.optimizer.steps=100000", "--config.log.every=1")
    wait_for_step(process, tmp_path, 5)
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    code, output = finish(process)
    assert code == 0, output
    busy = max(1.0, os.getloadavg()[0] / os.cpu_count())
    assert time.monotonic() - start < 10.0 * busy
    assert "stopped by a signal at step" in output
    assert max(steps(tmp_path)) == max(row["step"] for row in read_history(tmp_path))


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_older_checkpoints_whole(launch, finish, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        arguments = (
            "--config.optimizer.steps=30",
            "--config.checkpoint.keep=30",
            "--config.log.pictures_every=0",
        )
        code, output = finish(launch(disk / "run", *arguments))
        assert code == 1, output
        line = next((line for line in output.splitlines() if line.startswith("launch.py:")), "")
        assert line.startswith(f"launch.py: {disk / 'run'}/checkpoints: a checkpoint cannot be"), (
            output
        )
        assert "No space left on device" in line
        before = steps(disk / "run")
        assert before
        whole = [saved(disk / "run", step) for step in before]
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        code, output = finish(launch(disk / "run", *arguments))
        assert code == 0, output
        assert f"from step {before[-1]}" in output
        for step, content in zip(before, whole, strict=True):
            assert_same(content, saved(disk / "run", step))
        code, output = finish(launch(tmp_path / "straight", *arguments))
        assert_same(saved(tmp_path / "straight"), saved(disk / "run"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    ("part", "files"),
    [
        ("params", "ocdbt.process_0/d/*"),
        pytest.param("config", "metadata", marks=pytest.mark.slow),
    ],
)
def test_a_truncated_checkpoint_is_set_aside_and_the_one_before_it_used(
    config, tmp_path, caplog, capsys, part, files
):
    config.log.pictures_every = 0
    train(config, tmp_path)
    straight = saved(tmp_path)
    truncate_newest(tmp_path, part, files)
    with caplog.at_level(logging.WARNING, "absl"):
        load_model(tmp_path)
    assert "the one before it is used" in caplog.text
    caplog.clear()
    capsys.readouterr()
    with caplog.at_level(logging.WARNING, "absl"):
        train(config, tmp_path)
    assert "checkpoints/6 cannot be read" in caplog.text
    assert f"resuming {tmp_path} from step 4" in capsys.readouterr().out
    assert_same(straight, saved(tmp_path))
    assert len(list((tmp_path / "unreadable_checkpoints").iterdir())) == 1


def test_the_second_run_in_a_workdir_is_refused(config, tmp_path):
    with only_run_in(tmp_path):
        with pytest.raises(UserError, match=rf"another run trains in it \(process {os.getpid()}"):
            train(config, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with only_run_in(tmp_path):
        pass


def test_a_workdir_that_cannot_be_made_is_told(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/run: cannot be written"):
        train(config, tmp_path / "file" / "run")


def test_a_torn_last_line_of_the_history_is_left_out(tmp_path):
    (tmp_path / "history.jsonl").write_text(json.dumps({"step": 2}) + '\n{"step": 3, "lo')
    assert read_history(tmp_path) == [{"step": 2}]


def start_script(folder, code, *arguments, **options):
    """Starts a script of its own; what it prints comes by its `stdout`."""
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


COMPILING = """
import hashlib
from egmt_jax.training.processes import StopSignal

with StopSignal():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # deaf to signals, as a compilation is
"""


def test_a_signal_before_the_first_step_ends_the_program_at_once(tmp_path):
    process = start_script(tmp_path, COMPILING)
    assert process.stdout.readline() == "busy\n"
    process.terminate()
    assert "before any step" in process.communicate(timeout=60)[0]
    assert process.returncode == 0


FULL = """
import pathlib, resource, sys, time
import numpy as np
from configs import base
from egmt_jax.errors import UserError
from egmt_jax.training.logs import RunLog

log = RunLog(pathlib.Path(sys.argv[1]), base.get_config(), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a file that cannot grow
noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
try:
    for step in range(60):
        log.picture(noise, step)
        log.scalars({str(k): 0.5 for k in range(16)}, step)
        time.sleep(0.1)
except UserError as error:
    print("told:", error)
log.close()
"""


def test_logs_that_cannot_grow_are_told_and_hold_nothing_up(tmp_path):
    process = start_script(tmp_path, FULL, tmp_path / "run")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert f"told: {tmp_path / 'run' / 'tensorboard'}: cannot be written; make room" in output


WORKING = """
import signal, sys
from absl import flags
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
def test_workers_outlive_a_signal_to_all_processes_but_not_the_end_of_their_parent(
    scenes_dir, tmp_path
):
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


def test_a_best_model_of_steps_that_are_done_anew_is_forgotten(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    model, names, config = load_model(trained)
    params, constants = (
        nnx.to_pure_dict(nnx.state(model, kind)) for kind in (nnx.Param, nnx.Not(nnx.Param))
    )
    state = initial_state(params, make_optimizer(1e-3, 2, 6, 0.0, 1.0))

    def opened():
        return Checkpoints(tmp_path / "run", 1, config, names, constants, [])

    for step, kept in ((5, 0.5), (7, None)):
        checkpoints = opened()
        checkpoints.save_best(state, step, 0.5)
        checkpoints.finish()
        checkpoints = opened()  # the newest checkpoint is of step 6
        assert checkpoints.best_value == kept
        checkpoints.finish()
    with pytest.raises(UserError, match="no best model"):
        load_model(tmp_path / "run", best=True)
