"""The released weights: whole, small, quick to load, and the same pictures on every machine."""

import json
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import egmt_jax
from egmt_jax import weights as pretrained
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.images import read_image, to_uint8
from egmt_jax.testing import made_up_pair
from egmt_jax.training import checkpoints

STORED = pathlib.Path(__file__).parent / "fused_pair.png"


@pytest.fixture(scope="module")
def fuser():
    return egmt_jax.load_pretrained()


def test_fuses_a_made_up_pair_as_stored(fuser):
    visible, infrared = made_up_pair(96, 128, seed=3)
    fused = to_uint8(fuser(visible, infrared, ["person", "car"]).fused)
    stored = read_image(STORED)[..., 0].astype(int)
    assert np.abs(fused - stored).max() <= 2  # rounding differs between machines
    assert np.abs(fused - stored).mean() < 0.1


def test_all_three_ways_of_guidance_work(fuser):
    visible, infrared = made_up_pair(64, 64)
    pictures = [fuser(visible, infrared, entities).fused for entities in (None, ["person"], [])]
    for picture in pictures:
        assert np.isfinite(picture).all()
        assert picture.std() > 0.02
    assert np.abs(pictures[1] - pictures[2]).max() > 1e-3


def test_knows_the_vocabulary_and_is_small(fuser):
    assert fuser.names == load_vocabulary().names
    size = sum(path.stat().st_size for path in pretrained.FOLDER.iterdir() if path.is_file())
    assert size < 5e6


def test_names_a_damaged_file(tmp_path):
    for name in (pretrained.WEIGHTS, pretrained.SETTINGS):
        shutil.copy(pretrained.FOLDER / name, tmp_path)
    weights = bytearray((tmp_path / pretrained.WEIGHTS).read_bytes())
    weights[1000] ^= 1
    (tmp_path / pretrained.WEIGHTS).write_bytes(weights)
    with pytest.raises(UserError, match=r"weights\.npz: damaged"):
        egmt_jax.load_pretrained(tmp_path)
    shutil.copy(pretrained.FOLDER / pretrained.WEIGHTS, tmp_path)
    settings = json.loads((pretrained.FOLDER / pretrained.SETTINGS).read_text())
    (tmp_path / pretrained.SETTINGS).write_text(json.dumps(settings | {"model": {"colours": 3}}))
    with pytest.raises(UserError, match=r"not of this version .*pack the run again"):
        egmt_jax.load_pretrained(tmp_path)
    with pytest.raises(UserError, match="nowhere: no weights"):
        egmt_jax.load_pretrained(tmp_path / "nowhere")


def test_packs_a_run(tmp_path, trained):
    packed = tmp_path / "packed"
    pretrained.save_pretrained([trained], packed)
    visible, infrared = made_up_pair(48, 64)
    own = egmt_jax.Fuser.load(trained)(visible, infrared).fused
    np.testing.assert_array_equal(egmt_jax.load_pretrained(packed)(visible, infrared).fused, own)
    settings = json.loads((packed / pretrained.SETTINGS).read_text())
    assert tuple(settings["vocabulary"]) == load_vocabulary().names


def test_packs_the_mean_of_runs(tmp_path, trained, monkeypatch):
    model, *rest = checkpoints.load_model(trained)
    graphdef, state = nnx.split(model)
    other = nnx.merge(graphdef, jax.tree.map(lambda leaf: 3.0 * leaf, state))
    runs = {"one": (model, *rest), "other": (other, *rest)}
    monkeypatch.setattr(checkpoints, "load_model", runs.get)
    pretrained.save_pretrained(["one", "other"], tmp_path)
    packed = nnx.state(pretrained.load_packed(tmp_path).model, nnx.Param)
    for mean, leaf in zip(
        jax.tree.leaves(packed), jax.tree.leaves(nnx.state(model, nnx.Param)), strict=True
    ):
        np.testing.assert_allclose(mean, 2.0 * leaf, rtol=1e-6)
    runs["other"] = (other, ("car",), rest[1])
    with pytest.raises(
        UserError, match="other: another model, vocabulary or text features than one"
    ):
        pretrained.save_pretrained(["one", "other"], tmp_path)


def test_the_command_names_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "egmt_jax.weights", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no checkpoint" in done.stderr
    assert "Traceback" not in done.stderr
