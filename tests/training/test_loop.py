"""A run: what it leaves behind, that resuming is exact, what stops it."""

import copy
import json
import os
import signal

import jax
import numpy as np
import pytest
from flax import nnx

from egmt_jax.errors import UserError
from egmt_jax.inference.sheets import sample_sheet
from egmt_jax.training.checkpoints import load_model
from egmt_jax.training.loop import positive_weights, train


def parameters(workdir):
    model, _, _ = load_model(workdir)
    return nnx.to_pure_dict(nnx.state(model))


def assert_same(one, two):
    jax.tree.map(np.testing.assert_array_equal, one, two)


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
    train(config, tmp_path / "six")
    config.optimizer.steps = 1
    config.optimizer.warmup = 0
    train(config, tmp_path / "one")
    before, after = parameters(tmp_path / "one"), parameters(tmp_path / "six")
    np.testing.assert_array_equal(before["text_features"], after["text_features"])
    for name in set(before) - {"text_features"}:
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), before[name], after[name])
        assert any(jax.tree.leaves(changed)), name


def test_a_run_stopped_by_a_signal_resumes_to_the_same_parameters(config, tmp_path):
    train(config, tmp_path / "straight", draw=sample_sheet)

    def stop(model, pairs):
        os.kill(os.getpid(), signal.SIGTERM)
        return sample_sheet(model, pairs)

    train(config, tmp_path / "stopped", draw=stop)
    assert max(int(p.name) for p in (tmp_path / "stopped" / "checkpoints").iterdir()) == 3
    train(config, tmp_path / "stopped", draw=sample_sheet)
    assert_same(parameters(tmp_path / "straight"), parameters(tmp_path / "stopped"))


def test_a_finished_run_is_left_as_it_is(config, tmp_path):
    train(config, tmp_path)
    before = parameters(tmp_path)
    assert train(config, tmp_path) == {}
    assert_same(before, parameters(tmp_path))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_and_term(config, tmp_path):
    config.loss.structure = float("inf")
    with pytest.raises(FloatingPointError, match=r"step 1: loss, norm/gradients.* is not finite"):
        train(config, tmp_path)


def test_resuming_with_another_model_is_refused(config, tmp_path):
    train(config, tmp_path)
    other = copy.deepcopy(config)
    other.model.width = 16
    with pytest.raises(UserError, match=r"has model=.*'width': 8"):
        train(other, tmp_path)


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
        ("text_features", "none", "none"),
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
