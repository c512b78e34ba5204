"""Pairs of files in folders: names that occur twice."""

import pytest

from egmt_jax.data.pairs import find_pairs
from egmt_jax.errors import UserError


def test_all_names_that_occur_twice_are_listed(tmp_path):
    for name in ("vi/a.png", "vi/a.jpg", "vi/b.png", "vi/c.bmp", "vi/c.tif", "ir/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        find_pairs(tmp_path / "vi", tmp_path / "ir")
    assert "a.png has the same name as a.jpg" in str(error.value)
    assert "c.tif has the same name as c.bmp" in str(error.value)
    assert "b.png" not in str(error.value)
