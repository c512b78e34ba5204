"""`egmt export-model` as a user runs it."""

import pytest

from egmt_jax.cli.main import main
from egmt_jax.inference.fuser import Fuser
from egmt_jax.testing import tiny_model


def test_the_model_of_a_run_becomes_a_folder(monkeypatch, tmp_path, capsys):
    asked = []

    def load_fuser(workdir):
        asked.append(workdir)
        return Fuser(tiny_model(), ["a", "b", "c", "d", "e", "f"])

    monkeypatch.setattr("egmt_jax.inference.fuser.load_fuser", load_fuser)
    folder = tmp_path / "new" / "model"
    assert main(["export-model", "-o", str(folder), "--checkpoint", "runs/mine"]) == 0
    assert "load.py" in {path.name for path in folder.iterdir()}
    assert [str(workdir) for workdir in asked] == ["runs/mine"]
    assert str(folder) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("new", "no checkpoint in it"),
        ("full", "full: is not empty; name a new folder"),
        ("full/file", "file: is a file; name a new folder"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, capsys, out, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert main(["export-model", "-o", str(tmp_path / out), "--checkpoint", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
