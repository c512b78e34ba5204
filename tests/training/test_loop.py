"""A run: what it writes, that resuming is exact, and what it refuses."""

import copy
import itertools
import json
import os
import signal

import jax
import numpy as np
import pytest
from flax import nnx
from training_runs import assert_same, saved, steps

from egmt_jax.data import pipeline
from egmt_jax.entities import load_text_features
from egmt_jax.errors import UserError
from egmt_jax.io.images import read_image
from egmt_jax.metrics import METRICS
from egmt_jax.training import validation
from egmt_jax.training.checkpoints import starting_params
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import positive_weights, train
from egmt_jax.weights.checkpoint import load_model


def scores_of(workdir, name="VIF"):
    rows = read_history(workdir)
    return {row["step"]: row[f"validation/{name}"] for row in rows if f"validation/{name}" in row}


@pytest.fixture
def scored(monkeypatch):
    """Lets evaluations give these values of VIF in turn, and returns what each call received."""
    calls = []

    def give(*values):
        values = iter(values)

        def score_model(model, pairs, guidance):
            calls.append((len(list(pairs)), guidance))
            return dict.fromkeys(METRICS, 0.0) | {"VIF": next(values), "mAP": 0.25}

        monkeypatch.setattr(validation, "score_model", score_model)
        return calls

    return give


def test_a_run_writes_checkpoints_logs_and_its_config(straight):
    assert steps(straight) == [4, 6]
    assert json.loads((straight / "config.json").read_text())["optimizer"]["steps"] == 6
    assert sum(path.stat().st_size for path in (straight / "tensorboard").iterdir()) > 1000
    history = read_history(straight)
    assert [row["step"] for row in history] == [2, 4, 6]
    assert {"loss/loss", "loss/intensity", "norm/gradients"} <= set(history[0])
    starts = json.loads((straight / "environment.json").read_text())
    assert starts[0]["from_step"] == 0
    assert starts[0]["versions"]["jax"] == jax.__version__
    table = load_text_features("minilm").features
    np.testing.assert_array_equal(load_model(straight)[0].text_features[...], table)


def test_training_changes_every_kind_of_parameter(straight):
    before, after = saved(straight, 4)["params"], saved(straight, 6)["params"]
    for name in before:
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), before[name], after[name])
        assert any(jax.tree.leaves(changed)), name


def test_a_run_stopped_by_signals_resumes_to_the_same_parameters(
    config, straight, tmp_path, monkeypatch, capsys
):
    config.log.pictures_every = 3
    signals = iter([signal.SIGTERM, signal.SIGINT])

    def draw(model, pairs):
        for number in itertools.islice(signals, 1):
            os.kill(os.getpid(), number)
        return np.zeros((8, 40 * len(pairs), 3), np.uint8)

    monkeypatch.setattr(validation, "sample_sheet", draw)
    train(config, tmp_path)
    assert steps(tmp_path) == [2, 3]
    assert "stopped by a signal at step 3; run again to resume" in capsys.readouterr().out
    config.log.pictures_every = 5
    train(config, tmp_path)
    assert steps(tmp_path) == [4, 5]
    train(config, tmp_path)
    assert f"resuming {tmp_path} from step 5" in capsys.readouterr().out
    assert_same(saved(straight), saved(tmp_path))
    assert [row["step"] for row in read_history(tmp_path)] == [2, 4, 6]
    assert read_image(tmp_path / "report" / "samples.png").shape == (8, 160, 3)


def test_evaluations_are_logged_and_the_best_checkpoint_is_kept(config, tmp_path, scored):
    config.evaluation.update(every=2, most=3)
    config.checkpoint.keep = 1
    calls = scored(0.9, 0.5, 0.7)
    train(config, tmp_path)
    assert calls == [(3, "predicted")] * 3
    assert scores_of(tmp_path) == {2: 0.9, 4: 0.5, 6: 0.7}
    assert steps(tmp_path) == [2, 6]
    best, newest = (nnx.state(load_model(tmp_path, best)[0], nnx.Param) for best in (True, False))
    for model, step in ((best, 2), (newest, 6)):
        leaves = (
            jax.tree.leaves(nnx.to_pure_dict(model)),
            jax.tree.leaves(saved(tmp_path, step)["params"]),
        )
        assert_same(*leaves)
    report = (tmp_path / "report.md").read_text()
    assert "step 4" in report
    assert "mAP at the end: 0.250" in report
    assert (tmp_path / "report" / "curves.png").stat().st_size > 5000


def test_an_evaluation_that_a_signal_ends_is_repeated_on_resuming(
    config, tmp_path, monkeypatch, scored
):
    config.evaluation.update(every=6, most=4)

    def stopped(model, pairs, guidance):
        os.kill(os.getpid(), signal.SIGTERM)
        assert list(pairs) == []
        return {}

    monkeypatch.setattr(validation, "score_model", stopped)
    train(config, tmp_path)
    assert not (tmp_path / "report.md").exists()
    with pytest.raises(UserError, match="no best model"):
        load_model(tmp_path, best=True)
    calls = scored(0.5)
    assert train(config, tmp_path) == {}
    assert calls == [(4, "predicted")]
    assert scores_of(tmp_path) == {6: 0.5}
    assert load_model(tmp_path, best=True)
    assert "step 6" in (tmp_path / "report.md").read_text()


def test_a_finished_run_is_left_unchanged(config, straight, capsys):
    before = saved(straight)
    assert train(config, straight) == {}
    assert "from step 6: all 6 are done" in capsys.readouterr().out
    assert_same(before, saved(straight))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(config, tmp_path, monkeypatch):
    batches = pipeline.training_batches

    def with_nan(*arguments):
        for batch in batches(*arguments):
            yield batch | {"view": np.full_like(batch["view"], np.nan)}

    monkeypatch.setattr(pipeline, "training_batches", with_nan)
    with pytest.raises(FloatingPointError, match=r"step 1: .*intensity.* is not finite"):
        train(config, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.width": 16}, r"has model=.*'width': 8"),
        ({"data.batch_size": 16}, "has data.batch_size=8, this config 16"),
        ({"start_from": "base"}, "has start_from='', this config 'base'"),
        (
            {"data.train_split": "train[:9]"},
            r"other data \(was .* pairs in train, weight 1; is .*, 9 pairs in train\[:9\]",
        ),
        (
            {"data.mixture": {"one": {"name": "entity_scenes/tiny", "weight": 2.0}}},
            r"\(was .*weight 1; is .*weight 2\); resume with the same or choose another",
        ),
    ],
)
def test_resuming_with_another_model_or_other_data_is_refused(config, straight, changes, message):
    config = copy.deepcopy(config)
    for field, value in changes.items():
        config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=message) as error:
        train(config, straight)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.name", "nowhere", "no such data set; known: "),
        ("data.train_split", "dev", "no pairs in split 'dev'"),
        ("data.batch_size", 6, "data.batch_size=6 must be a multiple of the 8 devices"),
        ("mesh.model", 3, "mesh.data=-1 x mesh.model=3 does not fit 8 devices"),
        ("optimizer.steps", 0, "optimizer.steps=0: must be at least 1"),
        ("text_features", "none", "none"),
    ],
)
def test_what_cannot_work_is_reported_in_one_line(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError) as error:
        train(config, tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_positive_weights_follow_the_long_tail_up_to_a_bound():
    labels = np.zeros((101, 3), np.float32)
    labels[:100, 0] = 1.0
    labels[:20, 1] = 1.0
    labels[:1, 2] = 1.0
    np.testing.assert_allclose(positive_weights(labels), [1.0, 2.0, 5.0])


def test_a_run_can_start_with_the_parameters_of_another(straight):
    params = nnx.to_pure_dict(nnx.state(load_model(straight)[0], nnx.Param))
    assert_same(starting_params(str(straight), jax.tree.map(np.zeros_like, params)), params)
    with pytest.raises(UserError, match="start_from=base: its model differs in size"):
        starting_params("base", params)


@pytest.mark.slow
def test_a_trace_can_be_read_by_perfetto(config, tmp_path):
    config.profile = True
    train(config, tmp_path)
    assert list(tmp_path.glob("profile/**/perfetto_trace.json.gz"))
    assert list(tmp_path.glob("profile/**/*.xplane.pb"))
