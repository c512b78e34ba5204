"""`egmt metrics` on folders of made-up images."""

import argparse
import csv
import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest

from egmt_jax.cli import main as cli
from egmt_jax.cli import metrics as command
from egmt_jax.errors import UserError
from egmt_jax.io.images import read_image, to_grey, write_png
from egmt_jax.metrics import METRICS, score_pairs, scoring, summary, to_markdown
from egmt_jax.metrics import folders as checking

ROLES = ("fused", "visible", "infrared")


@pytest.fixture
def folders(tmp_path):
    """Folders of three grey pairs of two sizes, by role."""
    random = np.random.default_rng(0)
    for stem, shape in {"a": (49, 57), "b": (49, 57), "c": (40, 44)}.items():
        for role in ROLES:
            image = cv2.blur(random.integers(0, 256, shape).astype(np.uint8), (3, 3))
            write_png(tmp_path / role / f"{stem}.png", image)
    return {role: tmp_path / role for role in ROLES}


@pytest.fixture
def egmt(folders):
    """Runs the command on the made-up folders; keyword arguments replace theirs."""

    def run(*others, **replaced):
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        words = [f"--{role}={replaced.get(role, folder)}" for role, folder in folders.items()]
        return command.run(parser.parse_args([*words, *map(str, others)]))

    return run


@pytest.fixture
def scored(monkeypatch):
    """Ids that are computed while the test runs."""
    ids, score = [], scoring.score_triple
    monkeypatch.setattr(scoring, "score_triple", lambda t: (ids.append(t[0]), score(t))[1])
    return ids


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_one_method_gives_table_means_and_manifest(egmt, folders, tmp_path, capsys):
    assert egmt("--out", tmp_path / "new" / "table.csv") == 0
    triples = [
        (stem, *(to_grey(read_image(folders[role] / f"{stem}.png")) for role in ROLES))
        for stem in "abc"
    ]
    rows = score_pairs(triples, progress=False)
    table = read_table(tmp_path / "new" / "table.csv")
    assert table == [{key: str(value) for key, value in row.items()} for row in rows]
    assert list(table[0]) == ["id", *METRICS]
    means = to_markdown({"fused": summary(rows)})
    assert capsys.readouterr().out == means
    assert (tmp_path / "new" / "table.md").read_text() == means
    manifest = json.loads((tmp_path / "new" / "table.json").read_text())
    paths = {role: {stem: folders[role] / f"{stem}.png" for stem in "abc"} for role in ROLES}
    assert manifest["files"] == {
        role: {
            stem: {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for stem, path in group.items()
        }
        for role, group in paths.items()
    }
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        *("table.csv", "table.json", "table.md")
    ]


def test_several_methods_are_compared(egmt, folders, tmp_path, capsys):
    shutil.copytree(folders["visible"], tmp_path / "copy")
    egmt(
        f"--fused=copy of visible={tmp_path / 'copy'}",
        *("--out", tmp_path / "table.csv", "--plot", tmp_path / "plot.svg"),
        fused=f"ours={folders['fused']}",
    )
    table = read_table(tmp_path / "table.csv")
    assert list(table[0]) == ["id", "method", *METRICS]
    assert [(row["method"], row["id"]) for row in table] == [
        (method, stem) for method in ("ours", "copy of visible") for stem in "abc"
    ]
    header, _, ours, copy = capsys.readouterr().out.splitlines()
    assert "mean rank" in header
    assert ours.startswith("| ours |")
    assert copy.startswith("| copy of visible |")
    assert "**" in ours
    assert (tmp_path / "plot.svg").stat().st_size > 10_000


def test_all_problems_are_listed_at_once(egmt, folders, tmp_path, scored):
    shutil.copytree(folders["fused"], tmp_path / "other")
    (tmp_path / "other" / "b.png").unlink()
    (folders["visible"] / "a.png").unlink()
    (folders["infrared"] / "b.png").write_bytes(b"not an image")
    write_png(tmp_path / "other" / "c.png", np.zeros((40, 45), np.uint8))
    for folder in (*folders.values(), tmp_path / "other"):
        write_png(folder / "tiny.png", np.zeros((16, 30), np.uint8))
    with pytest.raises(UserError) as error:
        egmt("--out", tmp_path / "table.csv", f"--fused={tmp_path / 'other'}")
    unreadable = "not a readable image (empty, truncated or of another type)"
    sizes = "visible 30x16, infrared 30x16, fused 30x16, other 30x16"
    assert str(error.value).split("\n  ") == [
        "cannot score:",
        f"{folders['visible']}: no visible image with the stem a",
        f"{folders['infrared'] / 'b.png'}: {unreadable}",
        f"{tmp_path / 'other'}: no other image with the stem b",
        "c: images differ in size (visible 44x40, infrared 44x40, fused 44x40, other 45x40); bring "
        "them to one size",
        f"tiny: below 17 pixels, the window of VIF ({sizes})",
    ]
    assert scored == []
    assert not (tmp_path / "table.csv").exists()


def test_sources_without_results_are_left_out_with_a_warning(egmt, folders, capsys, tmp_path):
    (folders["fused"] / "b.png").unlink()
    egmt("--out", tmp_path / "table.csv")
    assert "no fused image for b; left out" in capsys.readouterr().err
    assert [row["id"] for row in read_table(tmp_path / "table.csv")] == ["a", "c"]


def test_a_stem_may_end_like_a_suffix(egmt, folders, tmp_path):
    for folder in folders.values():
        (folder / "b.png").rename(folder / "a.png.png")
    egmt("--out", tmp_path / "table.csv")
    assert [row["id"] for row in read_table(tmp_path / "table.csv")] == ["a", "a.png", "c"]


def coloured(image):
    return cv2.applyColorMap(image[..., 0], cv2.COLORMAP_JET)[..., ::-1]


def test_colour_results_are_scored_by_luma_with_a_warning(egmt, folders, tmp_path, capsys):
    image = coloured(read_image(folders["fused"] / "a.png"))
    versions = {"colour": image, "grey": to_grey(image), "rgb": np.dstack([to_grey(image)] * 3)}
    for name, version in versions.items():
        write_png(folders["fused"] / "a.png", version)
        egmt("--out", tmp_path / f"{name}.csv")
        warned = "fused in colour, scored by its luma (BT.601): a" in capsys.readouterr().err
        assert warned == (name == "colour")
    assert len({(tmp_path / f"{name}.csv").read_text() for name in versions}) == 1


def test_swapped_sources_are_suspected(egmt, folders, capsys):
    for path in folders["visible"].iterdir():
        write_png(path, coloured(read_image(path)))
    egmt()
    assert "swapped" not in capsys.readouterr().err
    egmt(visible=folders["infrared"], infrared=folders["visible"])
    assert "are --visible and --infrared swapped?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "table.txt"], "table.txt: the table is a .csv file"),
        (["--plot", "plot.jpg"], "plot.jpg: a plot is a .png or .svg file"),
        (["--fused", "gone"], "gone: no such folder"),
        (["--fused", "=x"], "write NAME=DIR"),
        (["--fused", "visible=."], "the name visible is taken"),
        (["--fused", "fused"], "the name fused is taken"),
        (["--out", "taken.csv"], "taken.csv: is a folder"),
        (["--out", "other.csv"], "other.json: is a folder"),
        (["--plot", "taken.svg"], "taken.svg: is a folder"),
        (["--visible", "empty", "--infrared", "gone"], "empty: no images in it"),
        (["--visible", "empty", "--infrared", "gone"], "gone: no such folder"),
    ],
)
def test_usage_errors_come_before_scoring(egmt, words, message, tmp_path, monkeypatch, scored):
    monkeypatch.chdir(tmp_path)
    for name in ("taken.csv", "other.json", "taken.svg", "empty"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError) as error:
        egmt(*words)
    assert message in str(error.value)
    assert scored == []


def test_a_file_that_changes_after_the_check_is_refused(egmt, folders, tmp_path, monkeypatch):
    check_folders = checking.check_folders

    def check_then_change(*arguments):
        result = check_folders(*arguments)
        write_png(folders["fused"] / "b.png", np.zeros((49, 57), np.uint8))
        return result

    monkeypatch.setattr(checking, "check_folders", check_then_change)
    with pytest.raises(UserError, match=r"b\.png: changed while being scored"):
        egmt("--out", tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_works_from_the_command_line(folders, capsys):
    words = [f"--{role}={folder}" for role, folder in folders.items()]
    assert cli.main(["metrics", *words]) == 0
    assert capsys.readouterr().out.startswith("| method | EN")
    (folders["visible"] / "a.png").unlink()
    assert cli.main(["metrics", *words]) == 1
    assert (
        f"egmt metrics: cannot score: {folders['visible']}: no visible" in capsys.readouterr().err
    )
