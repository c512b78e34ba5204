"""Pairs of files in folders: names that occur twice."""

import os
import pathlib

import pytest

from egmt_jax.errors import UserError
from egmt_jax.io.pairs import find_pairs


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path, monkeypatch):
    for name in ("vi/a.png", "vi/closed/b.png", "ir/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    scan = os.scandir

    def closed(path):  # to root as well
        if pathlib.Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert len(find_pairs(tmp_path / "vi", tmp_path / "ir")) == 1
    with pytest.raises(UserError, match=r"closed: cannot be read \(Permission denied\)"):
        find_pairs(tmp_path / "vi", tmp_path / "ir", recursive=True)


def test_all_names_that_occur_twice_are_listed(tmp_path):
    for name in ("vi/a.png", "vi/a.jpg", "vi/b.png", "vi/c.bmp", "vi/c.tif", "ir/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        find_pairs(tmp_path / "vi", tmp_path / "ir")
    assert "a.png has the same name as a.jpg" in str(error.value)
    assert "c.tif has the same name as c.bmp" in str(error.value)
    assert "b.png" not in str(error.value)
