"""A run: what it leaves behind, that resuming is exact, what stops it."""

import copy
import json
import os
import pathlib
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from training_runs import assert_same, saved

from egmt_jax.entities import load_text_features
from egmt_jax.errors import UserError
from egmt_jax.inference.sheets import sample_sheet
from egmt_jax.metrics import METRICS
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import positive_weights, train
from egmt_jax.weights.checkpoint import load_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = pathlib.Path(__file__).with_name("tiny.py")


def parameters(workdir):
    model, _, _ = load_model(workdir)
    return nnx.to_pure_dict(nnx.state(model))


def test_a_run_leaves_checkpoints_logs_and_its_config(config, tmp_path, capsys):
    scalars = train(config, tmp_path, draw=sample_sheet)
    assert np.isfinite(list(scalars.values())).all()
    assert {"loss", "intensity", "gradient", "structure", "classification"} <= set(scalars)
    steps = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert steps == [4, 6]
    assert json.loads((tmp_path / "config.json").read_text())["optimizer"]["steps"] == 6
    assert sum(path.stat().st_size for path in (tmp_path / "tensorboard").iterdir()) > 10_000
    printed = capsys.readouterr().out
    assert "visible_encoder/stem/conv/kernel" in printed
    assert "\nstep 6: " in printed
    assert f"intensity {scalars['intensity']:.6f}" in printed


def test_training_changes_every_kind_of_parameter(config, tmp_path):
    config.checkpoint.keep = 3
    train(config, tmp_path)
    before, after = saved(tmp_path, 2)["params"], saved(tmp_path, 6)["params"]
    for name in before:
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), before[name], after[name])
        assert any(jax.tree.leaves(changed)), name
    table = load_text_features(config.text_features).features
    np.testing.assert_array_equal(parameters(tmp_path)["text_features"], table)


def test_a_run_stopped_by_a_signal_resumes_to_the_same_parameters(config, tmp_path, caplog):
    scenes = {"name": config.data.name, "weight": 1.0}
    config.data.mixture = {"one": scenes, "two": scenes | {"weight": 0.4, "whole": 1.0}}
    jax.config.update("jax_log_compiles", True)
    try:
        train(config, tmp_path / "straight", draw=sample_sheet)
    finally:
        jax.config.update("jax_log_compiles", False)
    assert caplog.text.count("Compiling jit(step)") == 1

    def stop(model, pairs):
        os.kill(os.getpid(), signal.SIGTERM)
        return sample_sheet(model, pairs)

    train(config, tmp_path / "stopped", draw=stop)
    assert max(int(p.name) for p in (tmp_path / "stopped" / "checkpoints").iterdir()) == 3
    train(config, tmp_path / "stopped", draw=sample_sheet)
    assert_same(parameters(tmp_path / "straight"), parameters(tmp_path / "stopped"))


def test_evaluations_are_logged_and_the_best_model_is_kept(config, tmp_path):
    config.evaluation.update(every=2, most=3)
    values = iter([0.5, 0.9, 0.7])
    seen = []

    def evaluate(model, pairs):
        seen.append(len(list(pairs)))
        return dict.fromkeys(METRICS, 0.0) | {"VIF": next(values), "mAP": 0.25}

    train(config, tmp_path, draw=sample_sheet, evaluate=evaluate)
    assert seen == [3, 3, 3]
    scores = {
        r["step"]: r["validation/VIF"] for r in read_history(tmp_path) if "validation/VIF" in r
    }
    assert scores == {2: 0.5, 4: 0.9, 6: 0.7}
    best, newest = load_model(tmp_path, best=True)[0], load_model(tmp_path)[0]
    kept = nnx.to_pure_dict(nnx.state(best, nnx.Param))
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.tree.leaves(kept),
        jax.tree.leaves(saved(tmp_path, 4)["params"]),
    )
    assert (kept["classifier"]["bias"] != newest.classifier.bias[...]).any()
    report = (tmp_path / "report.md").read_text()
    assert "step 4" in report
    assert "mAP at the end: 0.250" in report
    assert (tmp_path / "report" / "curves.png").stat().st_size > 5000
    assert (tmp_path / "report" / "samples.png").stat().st_size > 5000
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert starts[0]["from_step"] == 0
    assert starts[0]["versions"]["jax"] == jax.__version__


@pytest.mark.slow
def test_an_evaluation_is_given_up_when_told_to_stop_and_made_up_later(config, tmp_path):
    config.evaluation.update(every=3, most=4)
    counts = []

    def evaluate(model, pairs):
        if not counts:
            os.kill(os.getpid(), signal.SIGTERM)
        counts.append(len(list(pairs)))
        return dict.fromkeys(METRICS, float(len(counts)))

    train(config, tmp_path, evaluate=evaluate)
    assert counts == [0]
    assert max(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == 3
    train(config, tmp_path, evaluate=evaluate)
    assert counts == [0, 4, 4]
    scored = [row["step"] for row in read_history(tmp_path) if "validation/EN" in row]
    assert scored == [3, 6]


@pytest.mark.slow
def test_what_a_signal_cuts_off_the_end_is_made_up_by_the_next_start(config, tmp_path):
    config.evaluation.update(every=6, most=1)
    counts = []

    def evaluate(model, pairs):
        if not counts:
            os.kill(os.getpid(), signal.SIGTERM)
        counts.append(len(list(pairs)))
        return dict.fromkeys(METRICS, 0.5)

    (tmp_path / "report.md").write_text("of a shorter run")
    train(config, tmp_path, sample_sheet, evaluate)
    assert not (tmp_path / "report.md").exists()
    assert train(config, tmp_path, sample_sheet, evaluate) == {}
    assert counts == [0, 1]
    report = (tmp_path / "report.md").read_text()
    assert "step 6" in report
    assert "samples.png" in report


@pytest.mark.slow
def test_a_best_model_by_another_metric_does_not_stand_in_the_way(config, tmp_path):
    config.evaluation.update(every=6, most=1)

    def evaluate(model, pairs):
        return dict.fromkeys(METRICS, 0.5) | {"EN": 0.25}

    train(config, tmp_path, evaluate=evaluate)
    config.optimizer.steps = 8
    config.evaluation.metric = "EN"
    train(config, tmp_path, evaluate=evaluate)
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["8"]


def test_what_is_done_every_0_steps_is_done_at_the_end_or_never(config, tmp_path):
    config.checkpoint.every = config.log.every = config.log.pictures_every = 0
    train(config, tmp_path, draw=sample_sheet)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["6"]
    assert [row["step"] for row in read_history(tmp_path)] == [6]


@pytest.mark.slow
def test_a_profile_can_be_read_by_perfetto(config, tmp_path):
    config.profile = True
    train(config, tmp_path)
    assert list(tmp_path.glob("profile/**/perfetto_trace.json.gz"))
    assert list(tmp_path.glob("profile/**/*.xplane.pb"))


def test_a_finished_run_is_left_as_it_is(config, tmp_path, capsys):
    train(config, tmp_path)
    before = parameters(tmp_path)
    assert train(config, tmp_path) == {}
    assert "from step 6: all 6 are done" in capsys.readouterr().out
    assert_same(before, parameters(tmp_path))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_and_term(config, tmp_path):
    config.loss.structure = float("inf")
    with pytest.raises(FloatingPointError, match=r"step 1: loss, norm/gradients.* is not finite"):
        train(config, tmp_path)


def test_resuming_with_another_model_or_other_data_is_refused(config, tmp_path):
    train(config, tmp_path)
    one = {"name": config.data.name, "weight": 1.0}
    for changes, message in (
        ({"model.width": 16}, r"has model=.*'width': 8"),
        ({"data.batch_size": 16}, "has data.batch_size=8, this config 16"),
        ({"data.crop": 24}, "has data.crop=32, this config 24"),
        ({"start_from": "released"}, "has start_from='', this config 'released'"),
        (
            {"data.train_split": "train[:9]"},
            r"\(was entity_scenes/tiny/2\.0\.0, \d+ pairs in train, weight 1; "
            r"is entity_scenes/tiny/2\.0\.0, 9 pairs in train\[:9\], weight 1\)",
        ),
        ({"data.mixture": {"one": one | {"weight": 2.0}}}, r"\(was .*weight 1; is .*weight 2\)"),
        (
            {"data.mixture": {"one": one, "two": one | {"weight": 0.5}}},
            r"other data \(is .*weight 0\.5\); resume with the same or choose another --workdir",
        ),
    ):
        other = copy.deepcopy(config)
        for field, value in changes.items():
            other.update_from_flattened_dict({field: value})
        with pytest.raises(UserError, match=message) as error:
            train(other, tmp_path)
        assert "\n" not in str(error.value)


WORKERS = """
import multiprocessing, pathlib, runpy, sys
from absl import flags
from egmt_jax.metrics import METRICS
from egmt_jax.training.loop import train

if __name__ == "__main__":
    flags.FLAGS(sys.argv[:1])  # grain's worker processes read flags
    config = runpy.run_path(sys.argv[1])["get_config"]()
    config.data.update(data_dir=sys.argv[2], workers=2)
    config.optimizer.steps = 2
    seen = []

    def evaluate(model, pairs):
        seen.append(len(multiprocessing.active_children()))
        return dict.fromkeys(METRICS, 0.5)

    config.evaluation.every = 1
    train(config, sys.argv[3], evaluate=evaluate)
    print("during", max(seen), "after", len(multiprocessing.active_children()))
"""


@pytest.mark.slow
def test_workers_are_gone_when_training_returns(scenes_dir, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(WORKERS)
    command = [sys.executable, script, TINY, scenes_dir, tmp_path / "run"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "during 2 after 0"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "data.name",
            "nowhere",
            "no such data set; known here: entity_scenes, m3fd",
        ),
        ("data.name", "entity_scenes/huge", "data.name='entity_scenes/huge'"),
        ("data.train_split", "dev", "no pairs in split 'dev'"),
        ("data.batch_size", 6, "data.batch_size=6 must be a multiple of the 8 devices"),
        ("mesh.model", 3, "mesh.data=-1 x mesh.model=3 does not fit 8 devices"),
        ("model.dtype", "float16", "model.dtype='float16': float32 or bfloat16"),
        ("model.patch", 3, "model: patch is 2 or 4"),
        ("optimizer.steps", 0, "optimizer.steps=0: at least 1"),
        ("text_features", "none", "none"),
        ("data.crop", 300, "data.crop=300: 17 to 256"),
        ("checkpoint.keep", 0, "checkpoint.keep=0: at least 1"),
        ("evaluation.most", 0, "evaluation.most=0: at least 1"),
        ("optimizer.clip", 0.0, "optimizer.clip=0.0: at least 1e-09"),
        ("optimizer.accumulate", 0, "optimizer.accumulate=0: at least 1"),
        ("optimizer.module_rates", {"decoder": -1.0}, "module_rates.decoder=-1.0: at least 0"),
        ("optimizer.speed", 2.0, "optimizer: make_optimizer() got an unexpected keyword"),
        ("loss.structure", float("nan"), "loss.structure=nan: at least 0"),
        ("seed", -1, "seed=-1: 0 to"),
    ],
)
def test_what_cannot_work_is_told_before_training(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError) as error:
        train(config, tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_positive_labels_follow_the_tail_up_to_a_bound():
    labels = np.zeros((101, 3), np.float32)
    labels[:100, 0] = 1.0
    labels[:20, 1] = 1.0
    labels[:1, 2] = 1.0
    np.testing.assert_allclose(positive_weights(labels), [1.0, 2.0, 5.0])


@pytest.mark.slow
def test_a_run_can_begin_with_the_parameters_of_another(config, tmp_path):
    train(config, tmp_path / "one")
    config.start_from = str(tmp_path / "one")
    config.optimizer.learning_rate = 0.0
    config.seed = 1
    train(config, tmp_path / "two")
    assert_same(saved(tmp_path / "two")["params"], saved(tmp_path / "one")["params"])
    config.model.width = 16
    with pytest.raises(UserError, match="another size than the config"):
        train(config, tmp_path / "three")
    config.start_from = "released"
    with pytest.raises(UserError, match="start_from=released: its model has another size"):
        train(config, tmp_path / "four")
