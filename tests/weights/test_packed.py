"""The released weights: complete, small, and the same pictures on every machine; packing a run."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import egmt_jax
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.images import read_image, to_uint8
from egmt_jax.models import PREDICTED, UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair
from egmt_jax.weights import packed

STORED = pathlib.Path(__file__).parent
PEOPLE = Guidance(names=("person", "car"))


@pytest.fixture(scope="module", params=packed.RELEASED)
def fuser(request):
    return egmt_jax.load_pretrained(request.param)


@pytest.mark.parametrize("model", packed.RELEASED)
def test_fuses_a_made_up_pair_as_stored(model):
    fused = to_uint8(egmt_jax.load_pretrained(model)(*made_up_pair(96, 128, seed=3), PEOPLE).luma)
    stored = read_image(STORED / f"fused_by_{model}.png")[..., 0].astype(int)
    assert np.abs(fused - stored).max() <= 2  # rounding differs between machines
    assert np.abs(fused - stored).mean() < 0.1


def test_every_guidance_works_and_changes_the_picture(fuser):
    pair = made_up_pair(64, 64)
    pictures = [fuser(*pair, guidance).luma for guidance in (PREDICTED, PEOPLE, UNGUIDED)]
    for picture in pictures:
        assert np.isfinite(picture).all()
        assert picture.std() > 0.02
    assert np.abs(pictures[1] - pictures[2]).max() > 1e-3


def test_the_released_weights_are_small():
    size = sum(path.stat().st_size for path in packed.FOLDER.glob("*/*"))
    assert size < 8e6


def test_damaged_files_are_named(tmp_path):
    for name in (packed.WEIGHTS, packed.SETTINGS):
        shutil.copy(packed.FOLDER / "base" / name, tmp_path)
    weights = bytearray((tmp_path / packed.WEIGHTS).read_bytes())
    weights[1000] ^= 1
    (tmp_path / packed.WEIGHTS).write_bytes(weights)
    with pytest.raises(UserError, match=r"weights\.npz: damaged"):
        egmt_jax.load_pretrained(tmp_path)
    shutil.copy(packed.FOLDER / "base" / packed.WEIGHTS, tmp_path)
    settings = json.loads((packed.FOLDER / "base" / packed.SETTINGS).read_text())
    (tmp_path / packed.SETTINGS).write_text(json.dumps(settings | {"model": {"colours": 3}}))
    with pytest.raises(UserError, match=r"not of this version .*pack the run again"):
        egmt_jax.load_pretrained(tmp_path)
    with pytest.raises(UserError, match="nowhere: no weights"):
        egmt_jax.load_pretrained(tmp_path / "nowhere")


def test_a_packed_run_gives_the_pictures_of_the_run_within_a_grey_level(tmp_path, trained):
    packed.save_packed(trained, tmp_path)
    pair = made_up_pair(48, 64)
    own = egmt_jax.Fuser.load(trained)(*pair).luma
    np.testing.assert_allclose(egmt_jax.load_pretrained(tmp_path)(*pair).luma, own, atol=1 / 255)
    assert packed.load_packed(tmp_path).vocabulary == load_vocabulary().names


def test_the_command_names_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "egmt_jax.weights", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no checkpoint" in done.stderr
    assert "Traceback" not in done.stderr
