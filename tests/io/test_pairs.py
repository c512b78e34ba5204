"""Pairs of files in folders and by patterns."""

import os
import pathlib

import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair, find_pairs, raise_problems


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def ids(pairs):
    return [pair.id for pair in pairs]


def test_pairs_match_by_stem_in_natural_order_with_their_labels(tmp_path):
    touch(tmp_path, *(f"{d}/frame{n}.png" for d in ("vi", "ir") for n in (81, 9, 100)))
    touch(tmp_path, *(f"labels/frame{n}.xml" for n in (9, 81, 100)), "vi/.hidden.png", "vi/a.txt")
    pairs, problems = find_pairs(tmp_path / "vi", tmp_path / "ir", tmp_path / "labels")
    assert not problems
    assert ids(pairs) == ["frame9", "frame81", "frame100"]
    assert pairs[0].labels == tmp_path / "labels/frame9.xml"
    pairs, problems = find_pairs(tmp_path / "vi", tmp_path / "ir", tmp_path / "absent")
    assert not problems
    assert pairs[0].labels is None


@pytest.mark.parametrize(
    ("visible", "infrared"), [("vi", "ir"), ("vi/*", "ir/*"), ("vi/*.png", "ir")]
)
def test_names_that_contain_a_suffix_are_names(tmp_path, visible, infrared):
    touch(
        tmp_path,
        *(f"{folder}/{name}" for folder in ("vi", "ir") for name in ("a.png", "a.png.png")),
    )
    pairs, problems = find_pairs(tmp_path / visible, tmp_path / infrared)
    assert not problems
    assert ids(pairs) == ["a", "a.png"]


def test_patterns_and_subfolders(tmp_path):
    touch(tmp_path, "x/1_rgb.jpg", "x/1_ir.png", "x/y/2_rgb.jpg", "x/y/2_ir.png")
    patterns = tmp_path / "x" / "*_rgb.jpg", tmp_path / "x" / "*_ir.png"
    assert ids(find_pairs(*patterns)[0]) == ["1"]
    assert ids(find_pairs(*patterns, recursive=True)[0]) == ["1", "y/2"]


def test_all_problems_are_listed(tmp_path):
    touch(
        tmp_path, "vi/a.png", "vi/a.jpg", "vi/b.png", "vi/c.bmp", "vi/c.tif", "ir/a.png", "ir/d.png"
    )
    touch(tmp_path, "labels/b.png")
    pairs, problems = find_pairs(tmp_path / "vi", tmp_path / "ir", tmp_path / "labels")
    assert ids(pairs) == ["a"]
    assert [problem.replace(str(tmp_path), "") for problem in problems] == [
        "/vi/a.png has the same name as a.jpg; keep one of them",
        "/vi/c.tif has the same name as c.bmp; keep one of them",
        "/vi lacks d",
        "/ir lacks b, c",
        "/labels lacks a",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"(?s)^Fix:\n  .*labels lacks a$"):
        raise_problems("Fix:", problems)
    with pytest.raises(UserError, match="and 20 more"):
        raise_problems("Fix:", ["problem"] * 70)
    raise_problems("Fix:", [])


@pytest.mark.parametrize(
    ("visible", "infrared", "problem"),
    [
        ("vi", "vi", "given as both visible and infrared"),
        ("vi", "none", "none: no such folder"),
        ("vi", "empty", "no images in it"),
        ("vi/*_*", "vi", "give one *"),
    ],
)
def test_unusable_folders(tmp_path, visible, infrared, problem):
    touch(tmp_path, "vi/a.png", "empty/a.txt")
    pairs, problems = find_pairs(tmp_path / visible, tmp_path / infrared)
    assert not pairs
    assert problem in problems[0]


def test_an_unreadable_subfolder_is_a_problem(tmp_path, monkeypatch):
    touch(tmp_path, "vi/a.png", "vi/closed/b.png", "ir/a.png")
    scan = os.scandir

    def closed(path):  # to root as well
        if pathlib.Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    folders = tmp_path / "vi", tmp_path / "ir"
    assert not find_pairs(*folders)[1]
    (problem,) = find_pairs(*folders, recursive=True)[1]
    assert "closed: cannot be read (Permission denied)" in problem


def test_luma_of_a_pair():
    infrared = np.zeros((4, 5, 1), np.uint8)
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    np.testing.assert_array_equal(Pair("a", grey, infrared).luma, grey[..., 0])
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 255
    assert (Pair("a", red, infrared).luma == 76).all()
