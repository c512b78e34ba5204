"""Checkpoints: which ones are kept, what happens to damaged ones, reading them as models."""

import logging
import os
import shutil

import jax
import numpy as np
import pytest
from etils import epath
from flax import nnx
from training_runs import assert_same, saved, steps

from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.training.checkpoints import Checkpoints
from egmt_jax.training.loop import train
from egmt_jax.training.step import initial_state, make_optimizer
from egmt_jax.weights.checkpoint import load_model


def opened(workdir, trained, keep=1, metric="VIF"):
    """The checkpoints of a workdir with the model of the run `trained`, and a state to save."""
    model, names, config = load_model(trained)
    config.checkpoint.keep, config.evaluation.metric = keep, metric
    kinds = nnx.Param, nnx.Not(nnx.Param)
    params, constants = (nnx.to_pure_dict(nnx.state(model, kind)) for kind in kinds)
    state = initial_state(params, make_optimizer(1e-3, 2, 6, 0.0, 1.0))
    return Checkpoints(epath.Path(workdir), config, names, [], constants, state), state


def save(workdir, trained, scores, **settings):
    checkpoints, state = opened(workdir, trained, **settings)
    for step, values in scores:
        checkpoints.save(state, step, values)
    checkpoints.finish()
    return steps(workdir)


def test_the_newest_and_the_best_are_kept(trained, tmp_path):
    rising = [(step, {"VIF": 1.0 - abs(step - 3), "MSE": float(step)}) for step in (2, 3, 4, 6)]
    assert save(tmp_path, trained, [(1, None), *rising, (7, None), (8, None)], keep=2) == [3, 7, 8]
    # By another metric, of which less is better; a checkpoint without it is never the best.
    assert save(tmp_path, trained, [(9, {"VIF": 2.0})], metric="MSE") == [3, 9]
    assert load_model(tmp_path, best=True)
    assert load_model(tmp_path)[1] == load_vocabulary().names


def test_scores_are_added_to_a_checkpoint_and_those_that_are_not_finite_left_out(trained, tmp_path):
    assert save(tmp_path, trained, [(3, None), (3, {"VIF": 0.5, "mAP": float("nan")})]) == [3]
    assert save(tmp_path, trained, [(4, None), (5, None)]) == [3, 5]


def truncate(workdir, step, part, files):
    """Keeps a sixteenth of files of a part of a checkpoint."""
    found = [path for path in (workdir / "checkpoints" / str(step) / part).glob(files)]
    assert found
    for path in found:
        os.truncate(path, path.stat().st_size // 16)


def test_a_damaged_checkpoint_is_deleted_and_the_one_before_it_used(
    config, straight, tmp_path, caplog, capsys
):
    workdir = tmp_path / "run"
    shutil.copytree(straight, workdir)
    truncate(workdir, 6, "params", "ocdbt.process_0/d/*")
    with caplog.at_level(logging.WARNING, "absl"):
        model, _, _ = load_model(workdir)
    assert "the one before it is used" in caplog.text
    leaves = nnx.to_pure_dict(nnx.state(model, nnx.Param)), saved(straight, 4)["params"]
    assert_same(*(jax.tree.leaves(tree) for tree in leaves))
    caplog.clear()
    with caplog.at_level(logging.WARNING, "absl"):
        train(config, workdir)
    lines = [line for line in caplog.text.splitlines() if "cannot be read" in line]
    assert len(lines) == 1
    assert "checkpoints/6 cannot be read" in lines[0]
    assert f"resuming {workdir} from step 4" in capsys.readouterr().out
    assert_same(saved(straight), saved(workdir))


@pytest.mark.parametrize(
    ("part", "files"), [("config", "metadata"), ("optimizer", "_METADATA"), ("constants", "d/*")]
)
def test_damage_is_found_in_every_part_and_a_run_without_another_checkpoint_refused(
    trained, tmp_path, part, files
):
    shutil.copytree(trained, tmp_path / "run")
    truncate(tmp_path / "run", 6, part, files)
    with pytest.raises(UserError, match=r"checkpoints/6: cannot be read .* delete it to start"):
        opened(tmp_path / "run", trained)
    assert steps(tmp_path / "run") == [6]


def test_a_checkpoint_of_another_version_is_refused_and_kept(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    about = tmp_path / "run" / "checkpoints" / "6" / "config" / "metadata"
    about.write_text(about.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(UserError, match="of another version of egmt_jax; choose another"):
        opened(tmp_path / "run", trained)
    assert steps(tmp_path / "run") == [6]


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in it; train there first"):
        load_model(tmp_path)
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    with pytest.raises(UserError, match="checkpoints/3: not a checkpoint of this model"):
        load_model(tmp_path)


def test_a_checkpoint_that_cannot_be_written_is_reported(trained, tmp_path, monkeypatch):
    checkpoints, state = opened(tmp_path, trained)
    checkpoints.save(state, 1)
    checkpoints.finish()
    checkpoints, state = opened(tmp_path, trained)

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", fail)
    with pytest.raises(UserError, match=r"cannot be written \(.*No space left.*steps \[1\]"):
        checkpoints.save(state, 2)
    checkpoints.finish()


def test_restored_arrays_are_those_saved(trained, tmp_path):
    checkpoints, state = opened(tmp_path, trained)
    state = jax.tree.map(lambda leaf: leaf + 1, state)
    checkpoints.save(state, 2)
    checkpoints.finish()
    checkpoints, empty = opened(tmp_path, trained)
    restored = checkpoints.restore(empty)
    checkpoints.finish()
    assert int(restored.step) == 2
    jax.tree.map(np.testing.assert_array_equal, restored.params, state.params)
    jax.tree.map(np.testing.assert_array_equal, restored.optimizer, state.optimizer)
