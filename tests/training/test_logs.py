"""The files of a log, on full disks too, and on a file system that is not local."""

import io
import json
import os
import resource
import signal

import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath
from etils.epath import backend, gpath
from training_runs import assert_same, saved

from configs import base
from egmt_jax.errors import UserError
from egmt_jax.training import logs
from egmt_jax.training.checkpoints import Checkpoints
from egmt_jax.training.loop import train
from egmt_jax.weights.checkpoint import load_model


def test_an_incomplete_last_line_of_the_history_is_ignored(tmp_path):
    (tmp_path / "history.jsonl").write_text(json.dumps({"step": 2}) + '\n{"step": 3, "lo')
    assert logs.read_history(tmp_path) == [{"step": 2}]


def test_a_resumed_log_drops_rows_after_the_checkpoint(tmp_path):
    folder, config = epath.Path(tmp_path), base.get_config()
    for first, steps in ((0, (2, 4, 6)), (4, (6,))):
        log = logs.RunLog(folder, config, first)
        for step in steps:
            log.scalars({"loss": first + step, "validation/VIF": float("nan")}, step)
        assert log.has_scores(6)
        assert not log.has_scores(5)
        log.close()
    rows = logs.read_history(folder)
    assert [(row["step"], row["loss/loss"]) for row in rows] == [(2, 2), (4, 4), (6, 10)]
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert [start["from_step"] for start in starts] == [0, 4]


def test_files_that_cannot_grow_are_reported_and_block_nothing(tmp_path):
    log = logs.RunLog(epath.Path(tmp_path), base.get_config(), 0)
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(UserError, match=r"tensorboard: cannot be written \(File too large"):
            log.picture(noise, 1)
        with pytest.raises(UserError, match=r"history\.jsonl: cannot be written"):
            log.scalars({f"loss/{number}": 0.5 for number in range(5000)}, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.close()


class Bucket(backend._OsPathBackend):
    """An object store in a local folder: gs:// paths, and files that cannot be appended to."""

    def __init__(self, folder):
        self.folder = folder

    def local(self, path):
        return str(path).replace("gs://", f"{self.folder}/")

    def open(self, path, mode):
        if "a" in mode:
            raise io.UnsupportedOperation(f"{path}: an object cannot be appended to")
        if "w" in mode:
            os.makedirs(os.path.dirname(self.local(path)), exist_ok=True)
        return super().open(self.local(path), mode)


def _on_local(name):
    def method(self, path, **options):
        return getattr(backend._OsPathBackend, name)(self, self.local(path), **options)

    return method


for _name in ("exists", "isdir", "listdir", "makedirs", "mkdir", "rmtree", "remove", "stat"):
    setattr(Bucket, _name, _on_local(_name))


def test_a_run_in_a_bucket_trains_and_resumes(config, straight, tmp_path, monkeypatch):
    """Only Orbax, whose driver for gs:// is not epath's, gets local paths."""
    bucket = Bucket(tmp_path)
    monkeypatch.setitem(gpath._PREFIX_TO_BACKEND, "gs", bucket)
    manager, checkpointer = ocp.CheckpointManager, ocp.Checkpointer

    class LocalCheckpointer(checkpointer):
        def restore(self, path, **options):
            return super().restore(epath.Path(bucket.local(path)), **options)

    monkeypatch.setattr(
        ocp, "CheckpointManager", lambda path, **options: manager(bucket.local(path), **options)
    )
    monkeypatch.setattr(ocp, "Checkpointer", LocalCheckpointer)
    save, calls = Checkpoints.save, []

    def save_and_interrupt(self, state, step, scores=None):
        save(self, state, step, scores)
        calls.append(step)
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Checkpoints, "save", save_and_interrupt)
    for _ in range(2):
        train(config, "gs://bucket/run")
    assert calls[:2] == [2, 4]
    assert calls[-1] == 6
    folder = tmp_path / "bucket" / "run"
    assert_same(saved(straight), saved(folder))
    assert load_model("gs://bucket/run")[2].optimizer.steps == 6
    files = {"config.json", "environment.json", "history.jsonl", "report.md"}
    assert {path.name for path in folder.iterdir()} == files | {
        "checkpoints",
        "report",
        "tensorboard",
    }
    assert len(logs.read_history("gs://bucket/run")) == 3
    assert len(list((folder / "tensorboard").iterdir())) == 2
