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
from egmt_jax.metrics import folders as files_of


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
    names, real = [], scoring.score_triple
    monkeypatch.setattr(
        scoring, "score_triple", lambda triple: (names.append(triple[0]), real(triple))[1]
    )
    return names


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_one_method_gives_table_means_and_manifest(egmt, folders, tmp_path, capsys):
    assert egmt("--out", tmp_path / "new" / "table.csv") == 0
    rows = score_pairs(
        [
            (stem, *(to_grey(read_image(folders[role] / f"{stem}.png")) for role in folders))
            for stem in "abc"
        ],
        progress=False,
    )
    table = read_table(tmp_path / "new" / "table.csv")
    assert list(table[0]) == ["id", *METRICS]
    for line, row in zip(table, rows, strict=True):
        assert line["id"] == row["id"]
        for name in METRICS:
            assert float(line[name]) == row[name]
    means = to_markdown({"fused": summary(rows)})
    assert capsys.readouterr().out == means
    assert (tmp_path / "new" / "table.md").read_text() == means
    manifest = json.loads((tmp_path / "new" / "table.json").read_text())
    assert set(manifest["files"]) == {"fused", "visible", "infrared"}
    assert list(manifest["files"]["visible"]) == ["a", "b", "c"]
    for role, group in manifest["files"].items():
        for stem, recorded in group.items():
            path = folders[role] / f"{stem}.png"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert recorded == {"path": str(path), "sha256": digest}


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
        *(("ours", stem) for stem in "abc"),
        *(("copy of visible", stem) for stem in "abc"),
    ]
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].startswith("| ours |")
    assert printed[3].startswith("| copy of visible |")
    assert "**" in printed[2]
    assert "mean rank" in printed[0]
    assert (tmp_path / "plot.svg").stat().st_size > 10_000


def test_all_problems_are_listed_at_once(egmt, folders, tmp_path, capsys, scored):
    (folders["visible"] / "a.png").unlink()
    (folders["infrared"] / "b.png").write_bytes(b"not an image")
    write_png(folders["fused"] / "c.png", np.zeros((40, 45), np.uint8))
    for role in folders:
        write_png(folders[role] / "tiny.png", np.zeros((16, 30), np.uint8))
    with pytest.raises(UserError, match="4 of the files"):
        egmt("--out", tmp_path / "table.csv")
    listed = capsys.readouterr().err
    assert f"{folders['visible']}: no visible image with the stem a" in listed
    assert f"{folders['infrared'] / 'b.png'}: not a readable image" in listed
    assert f"{folders['fused'] / 'c.png'}: 45x40 pixels" in listed
    assert "44x40" in listed
    assert f"{folders['visible'] / 'tiny.png'}: 30x16 pixels" in listed
    assert scored == []
    assert not (tmp_path / "table.csv").exists()


def test_a_result_that_one_method_lacks_is_a_problem(egmt, folders, tmp_path, capsys):
    shutil.copytree(folders["fused"], tmp_path / "other")
    (tmp_path / "other" / "b.png").unlink()
    with pytest.raises(UserError, match="1 of the files"):
        egmt(f"--fused={tmp_path / 'other'}")
    assert "no other image with the stem b" in capsys.readouterr().err


def test_sources_without_results_are_left_out_aloud(egmt, folders, capsys, tmp_path):
    (folders["fused"] / "b.png").unlink()
    egmt("--out", tmp_path / "table.csv")
    assert "1 source without any fused result left out" in capsys.readouterr().err
    assert [row["id"] for row in read_table(tmp_path / "table.csv")] == ["a", "c"]


def coloured(grey):
    return cv2.applyColorMap(grey[..., 0], cv2.COLORMAP_JET)[..., ::-1]


def test_colour_results_are_scored_by_luma_with_a_warning(egmt, folders, tmp_path, capsys):
    picture = coloured(read_image(folders["fused"] / "a.png"))
    write_png(folders["fused"] / "a.png", picture)
    egmt("--out", tmp_path / "colour.csv")
    assert "1 result of fused in colour: the luma (BT.601)" in capsys.readouterr().err
    write_png(folders["fused"] / "a.png", to_grey(picture))
    egmt("--out", tmp_path / "grey.csv")
    assert "colour" not in capsys.readouterr().err
    assert (tmp_path / "colour.csv").read_text() == (tmp_path / "grey.csv").read_text()


def test_swapped_sources_are_suspected(egmt, folders, capsys):
    for stem in "abc":
        path = folders["visible"] / f"{stem}.png"
        write_png(path, coloured(read_image(path)))
    egmt()
    assert "swapped" not in capsys.readouterr().err
    egmt(visible=folders["infrared"], infrared=folders["visible"])
    assert "are --visible and --infrared swapped?" in capsys.readouterr().err


def test_grey_pictures_stored_as_rgb_are_no_colour(egmt, folders, capsys):
    for role in folders:
        picture = read_image(folders[role] / "a.png")
        write_png(folders[role] / "a.png", np.repeat(picture, 3, axis=2))
    egmt()
    assert "warning" not in capsys.readouterr().err


def test_an_interrupted_run_goes_on_where_it_was(egmt, tmp_path, monkeypatch, scored):
    real = scoring.score_triple

    def interrupted(triple):
        if triple[0] == "c":
            raise KeyboardInterrupt
        return real(triple)

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "score_triple", interrupted)
        with pytest.raises(KeyboardInterrupt):
            egmt("--out", tmp_path / "table.csv")
    assert sorted(scored) == ["a", "b"]
    assert not (tmp_path / "table.csv").exists()
    scored.clear()
    egmt("--out", tmp_path / "table.csv")
    assert scored == ["c"]
    egmt("--out", tmp_path / "fresh.csv")
    assert (tmp_path / "table.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()
    assert (tmp_path / "table.md").read_bytes() == (tmp_path / "fresh.md").read_bytes()


def test_only_changed_files_are_scored_again(egmt, folders, tmp_path, scored):
    egmt("--out", tmp_path / "table.csv")
    before = read_table(tmp_path / "table.csv")
    scored.clear()
    egmt("--out", tmp_path / "table.csv")
    assert scored == []
    picture = read_image(folders["visible"] / "b.png")
    write_png(folders["visible"] / "b.png", 255 - picture)
    egmt("--out", tmp_path / "table.csv")
    assert scored == ["b"]
    after = read_table(tmp_path / "table.csv")
    assert [after[0], after[2]] == [before[0], before[2]]
    assert after[1] != before[1]


def test_half_a_line_in_the_partial_table_is_scored_again(egmt, tmp_path, scored):
    egmt("--out", tmp_path / "table.csv")
    table = (tmp_path / "table.csv").read_bytes()
    partial = tmp_path / "table.partial.csv"
    partial.write_text(partial.read_text()[:-3])
    scored.clear()
    egmt("--out", tmp_path / "table.csv")
    assert scored == ["c"]
    assert (tmp_path / "table.csv").read_bytes() == table
    assert len(partial.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "table.txt"], "table.txt: the table is a .csv file"),
        (["--plot", "plot.jpg"], "plot.jpg: a plot is a .png or .svg file"),
        (["--fused", "gone"], "gone: no such folder"),
        (["--fused", "=x"], "write NAME=DIR"),
        (["--fused", "visible=."], "that name is a source's"),
    ],
)
def test_usage_errors_name_the_argument(egmt, words, message, tmp_path, monkeypatch, scored):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        egmt(*words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert scored == []


@pytest.mark.parametrize("taken", ["table.csv", "table.json", "table.partial.csv", "plot.svg"])
def test_an_output_that_cannot_be_written_is_told_before_scoring(egmt, tmp_path, scored, taken):
    (tmp_path / taken).mkdir()
    with pytest.raises(UserError, match=f"{taken}: is a folder"):
        egmt("--out", tmp_path / "table.csv", "--plot", tmp_path / "plot.svg")
    assert scored == []


def test_all_folders_that_cannot_be_used_are_listed(egmt, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as error:
        egmt(visible=tmp_path / "empty", infrared=tmp_path / "gone")
    assert sorted(line.split(":")[1][:10] for line in str(error.value).splitlines()) == [
        " no images",
        " no such f",
    ]


def test_a_file_that_changes_after_the_check_is_refused(egmt, folders, tmp_path, monkeypatch):
    checked = files_of.check_folders

    def check_then_change(*arguments):
        result = checked(*arguments)
        write_png(folders["fused"] / "b.png", np.zeros((49, 57), np.uint8))
        return result

    monkeypatch.setattr(files_of, "check_folders", check_then_change)
    with pytest.raises(UserError, match=r"b\.png: has changed since it was checked; run again"):
        egmt("--out", tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_two_methods_of_one_name_are_refused(egmt, folders):
    with pytest.raises(UserError, match="two results are called fused"):
        egmt(f"--fused={folders['fused']}")


def test_works_from_the_command_line(folders, monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "metrics", "score fused images")
    words = [f"--{role}={folder}" for role, folder in folders.items()]
    assert cli.main(["metrics", *words]) == 0
    assert capsys.readouterr().out.startswith("| method | EN")
    (folders["visible"] / "a.png").unlink()
    assert cli.main(["metrics", *words]) == 1
    assert "egmt metrics: 1 of the files" in capsys.readouterr().err
