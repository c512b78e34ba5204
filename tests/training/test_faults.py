"""What goes wrong in long runs: each fault is made to happen, and nothing may be lost."""

import json
import logging
import os
import pathlib
import random
import signal
import subprocess
import time

import jax
import pytest
from training_runs import assert_same, saved, steps, wait_for_step

from egmt_jax.errors import UserError
from egmt_jax.training.checkpoints import load_model
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import train
from egmt_jax.training.processes import only_run_in


def truncate_newest(workdir, part, files):
    """Cuts files of a part of the newest checkpoint in half."""
    folder = pathlib.Path(workdir, "checkpoints", str(max(steps(workdir))), part)
    found = [path for path in folder.glob(files) if path.is_file()]
    assert found
    for path in found:
        os.truncate(path, path.stat().st_size // 2)


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
    assert time.monotonic() - start < 10.0
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
    ("part", "files"), [("params", "ocdbt.process_0/d/*"), ("config", "metadata")]
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
