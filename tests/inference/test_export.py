"""An exported model gives the same images with jax and without this package."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from egmt_jax.cli.main import main
from egmt_jax.errors import UserError
from egmt_jax.inference.export import PLATFORMS, export_model
from egmt_jax.inference.fuser import by_names
from egmt_jax.testing import made_up_pair

GUIDANCE = {"predicted": None, "named": ["car", "person"], "none": []}

ELSEWHERE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("egmt_jax", "flax", "cv2"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
folder, pairs, guidance, out = sys.argv[1:]
sys.path.insert(0, folder)

import json
import numpy as np
from load import load

fuse, names = load()
results = {}
visible, infrared = np.load(pairs).values()
for guide, entities in json.loads(guidance).items():
    fused, probabilities = fuse(visible, infrared, entities)
    results |= {f"{guide} fused": fused, f"{guide} probabilities": probabilities}
np.savez(out, **results)
assert not {"egmt_jax", "flax", "cv2"} & set(sys.modules)
try:
    fuse(visible, infrared, "zebra")
except ValueError as error:
    assert "'zebra' is not known; known are" in str(error)
else:
    raise AssertionError("an unknown entity was taken")
"""


@pytest.fixture(scope="module")
def exported(fuser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "new" / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("egmt_jax.inference.fuser.load_fuser", {pathlib.Path("run"): fuser}.get)
        assert main(["export-model", "-o", str(folder), "--checkpoint", "run"]) == 0
    return folder


def pairs(size, batch=2):
    """uint8 [B, H, W, 1] twice."""
    made = [made_up_pair(*size, seed=seed) for seed in range(batch)]
    return np.stack([v[..., :1] for v, _ in made]), np.stack([i for _, i in made])


@pytest.mark.parametrize("size", [(47, 61), pytest.param((300, 421), marks=pytest.mark.slow)])
def test_without_this_package_it_gives_the_images_of_the_fuser(fuser, exported, tmp_path, size):
    np.savez(tmp_path / "pairs.npz", *(images / np.float32(255.0) for images in pairs(size)))
    arguments = exported, tmp_path / "pairs.npz", json.dumps(GUIDANCE), tmp_path / "results.npz"
    subprocess.run(
        [sys.executable, "-IB", "-c", ELSEWHERE, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        check=True,
    )
    results = np.load(tmp_path / "results.npz")
    for guide, entities in GUIDANCE.items():
        fused, probabilities = results[f"{guide} fused"], results[f"{guide} probabilities"]
        assert fused.shape == (2, *size, 1)
        for k, pair in enumerate(zip(*pairs(size), strict=True)):
            expected = fuser(*pair, by_names(entities))
            np.testing.assert_allclose(fused[k, ..., 0], expected.luma, atol=1e-4)
            np.testing.assert_allclose(
                probabilities[k], [*expected.probabilities.values()], atol=1e-4
            )
    predicted, named, none = (results[f"{guide} fused"] for guide in GUIDANCE)
    assert min(np.abs(named - other).max() for other in (predicted, none)) > 1e-3


def test_it_is_lowered_for_every_platform_without_folders_of_this_machine(exported):
    import jax.export

    for name in ("self_guided.jax", "guided.jax"):
        content = (exported / name).read_bytes()
        assert jax.export.deserialize(bytearray(content)).platforms == PLATFORMS
        assert os.path.dirname(__file__).encode() not in content
        assert os.path.dirname(sys.modules["egmt_jax"].__file__).encode() not in content
    assert PLATFORMS == ("cpu", "cuda", "tpu")


def test_the_readme_names_every_file_and_nothing_else_is_written(exported, fuser):
    files = {path.name for path in exported.iterdir()}
    assert files - {"README.txt"} == {
        "guided.jax",
        "self_guided.jax",
        "params.npz",
        "vocabulary.json",
        "load.py",
    }
    readme = (exported / "README.txt").read_text()
    assert all(name in readme for name in files - {"README.txt"})
    assert json.loads((exported / "vocabulary.json").read_text()) == list(fuser.names)
    assert [path.name for path in exported.parent.iterdir()] == ["model"]


def test_a_failure_leaves_nothing(fuser, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("egmt_jax.inference.export._files", lambda fuser: {"a": b"1"})
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"model: cannot be written \(No space left on device\)"):
        export_model(fuser, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("new", "no checkpoint in it"),
        ("full", "full: is not empty; name a new folder"),
        ("full/file", "file: is a file; name a new folder"),
        ("full/file/below", "cannot be written"),
        ("here", "here: is the current folder; name a new one"),
    ],
)
def test_invalid_arguments_are_errors_of_one_line(tmp_path, monkeypatch, capsys, out, message):
    for name in ("full", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "file").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["export-model", "-o", str(tmp_path / out), "--checkpoint", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
