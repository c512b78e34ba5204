"""`egmt fuse` as a user runs it, on a checkpoint of a short run."""

import os
import pathlib

import numpy as np
import pytest

import egmt_jax
from egmt_jax.cli.main import main
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair


@pytest.fixture
def pairs(tmp_path):
    for number, size in enumerate([(40, 48), (33, 60)]):
        visible, infrared = made_up_pair(*size, seed=number)
        images.write_png(tmp_path / "vi" / f"{number}.png", visible)
        images.write_png(tmp_path / "ir" / f"{number}.png", infrared)
    return tmp_path


def fuse(trained, visible, infrared, out, *more):
    arguments = ["fuse", str(visible), str(infrared), "-o", str(out), "--checkpoint", str(trained)]
    return main([*arguments, *more])


def test_two_files_become_a_picture_in_colour_or_grey(trained, pairs):
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert fuse(trained, *files, pairs / "color.png") == 0
    assert fuse(trained, *files, pairs / "grey.png", "--grey") == 0
    color, grey = (images.read_image(pairs / f"{name}.png") for name in ("color", "grey"))
    assert color.shape == (40, 48, 3)
    assert grey.shape == (40, 48, 1)
    assert np.abs(images.to_grey(color).astype(int) - grey[..., 0]).mean() < 4


def test_two_folders_become_a_folder_matched_by_stem(trained, pairs, capsys):
    assert fuse(trained, pairs / "vi", pairs / "ir", pairs / "out") == 0
    assert sorted(path.name for path in (pairs / "out").iterdir()) == ["0.png", "1.png"]
    assert images.read_image(pairs / "out" / "1.png").shape == (33, 60, 3)
    assert "2 of 2 pairs fused" in capsys.readouterr().out


def test_guidance_is_given_by_name_or_switched_off(trained, pairs):
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert fuse(trained, *files, pairs / "a.png", "--entities", "person,cars") == 0
    assert fuse(trained, *files, pairs / "b.png", "--no-entities") == 0
    visible, infrared = map(images.read_image, files)
    for name, entities in (("a", ["person", "car"]), ("b", [])):
        expected = egmt_jax.fuse(visible, infrared, entities, workdir=trained)
        np.testing.assert_array_equal(images.read_image(pairs / f"{name}.png"), expected)
    for name in ("a", "b"):
        assert images.read_image(pairs / f"{name}.png").shape == (40, 48, 3)


def test_a_broken_pair_is_reported_and_does_not_stop_the_rest(trained, pairs, capsys):
    (pairs / "ir" / "0.png").write_bytes(b"")
    assert fuse(trained, pairs / "vi", pairs / "ir", pairs / "out") == 1
    assert [path.name for path in (pairs / "out").iterdir()] == ["1.png"]
    told = capsys.readouterr()
    assert "0.png: not a readable image" in told.err
    assert "1 of 2 pairs fused" in told.out


def test_sizes_that_differ_are_reported_with_both_names(trained, pairs, capsys):
    assert fuse(trained, pairs / "vi" / "0.png", pairs / "ir" / "1.png", pairs / "o.png") == 1
    told = capsys.readouterr()
    assert "0.png has 48 x 40 pixels" in told.err
    assert told.out == "", "of a pair alone one line tells enough"
    assert not (pairs / "o.png").exists()


@pytest.mark.parametrize(
    ("visible", "infrared", "out", "more", "message"),
    [
        ("vi/0.png", "ir", "o.png", (), "give two files or two folders"),
        ("vi/0.png", "ir/7.png", "o.png", (), "7.png: no such file or folder"),
        ("vi/0.png", "ir/0.png", "o.jpg", (), "the output is a PNG file"),
        ("vi", "ir", "vi/0.png", (), "is a file; name a folder"),
        ("vi/0.png", "ir/0.png", "o.png", ("--entities", "zebra"), "'zebra' is not in the voc"),
        ("vi/0.png", "ir/0.png", "o.png", ("--entities", ","), "--entities names nothing"),
        ("vi/0.png", "ir/0.png", "o.png", ("--infrared-range", "9"), "give LOW,HIGH such as"),
        ("vi/0.png", "ir/0.png", "o.png", ("--infrared-range", "9,7"), "the first must be lower"),
        ("vi/0.png", "ir/0.png", "o.png", ("--infrared-range", "0%,120%"), "0 to 100"),
        ("vi/0.png", "ir/0.png", "o.png", ("--jobs", "0"), "--jobs=0: at least 1"),
        ("vi/0.png", "ir/0.png", "vi/0.png", (), "would replace a source"),
        ("vi/0.png", "ir/0.png", "full", (), "full/0.png: is a folder"),
        ("vi/0.png", "ir/0.png", f"{'x' * 300}.png", (), "File name too long"),
        ("vi", "other", "o", (), "vi lacks x"),
        ("vi", "ir", "vi", (), "would replace a source"),
        ("vi", "vi", "o", (), "given as both visible and infrared"),
        ("vi/0.png", "ir/0.png", "vi/0.png/o.png", (), "is not a folder"),
        ("vi/0.png", "loop.png", "o.png", (), "loop.png: a link that leads nowhere"),
        ("vi/*_rgb.png", "ir", "o", (), "no images in it"),
        ("vi/*_*.png", "ir", "o", (), "give one * in the pattern"),
        ("no/*.png", "ir", "o", (), "no such folder"),
    ],
)
def test_what_cannot_work_is_one_line(
    trained, pairs, capsys, visible, infrared, out, more, message
):
    (pairs / "loop.png").symlink_to(pairs / "loop.png")
    (pairs / "full" / "0.png").mkdir(parents=True)
    images.write_png(pairs / "other" / "x.png", made_up_pair(40, 48)[1])
    assert fuse(trained, pairs / visible, pairs / infrared, pairs / out, *more) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_counterpart_is_named_before_any_work(trained, pairs, capsys):
    (pairs / "ir" / "1.png").unlink()
    assert fuse(trained, pairs / "vi", pairs / "ir", pairs / "out") == 1
    assert "lacks 1" in capsys.readouterr().err
    assert not (pairs / "out").exists()


def test_a_folder_without_a_checkpoint_is_told(pairs, capsys):
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert fuse(pairs, *files, pairs / "o.png") == 1
    assert "no checkpoint in it" in capsys.readouterr().err


def test_a_checkpoint_of_another_model_is_told(trained, pairs, capsys, tmp_path):
    import json
    import shutil

    shutil.copytree(trained / "checkpoints" / "6", tmp_path / "other" / "checkpoints" / "6")
    file = tmp_path / "other" / "checkpoints" / "6" / "config" / "metadata"
    saved = json.loads(file.read_text())
    saved["config"]["model"]["width"] = 16
    file.write_text(json.dumps(saved))
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert fuse(tmp_path / "other", *files, pairs / "o.png") == 1
    assert "not a checkpoint of this model" in capsys.readouterr().err


def test_without_a_checkpoint_the_released_weights_fuse(pairs):
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert main(["fuse", *map(str, files), "-o", str(pairs / "o.png")]) == 0
    expected = egmt_jax.fuse(*(images.read_image(file) for file in files))
    np.testing.assert_array_equal(images.read_image(pairs / "o.png"), expected)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_cannot_be_written_is_told_before_any_work(trained, pairs, capsys):
    pairs.chmod(0o500)
    assert fuse(trained, pairs / "vi", pairs / "ir", pairs / "out") == 1
    assert "cannot be written to" in capsys.readouterr().err


def test_patterns_match_by_what_the_star_stands_for_in_folders_below(trained, tmp_path, capsys):
    for name in ("day/1", "night/1"):
        visible, infrared = made_up_pair(40, 48)
        images.write_png(tmp_path / f"{name}_rgb.png", visible)
        images.write_png(tmp_path / f"{name}_th.png", infrared)
    (tmp_path / "day" / "again").symlink_to(tmp_path)  # leads in circles
    patterns = tmp_path / "*_rgb.png", tmp_path / "*_th.png"
    assert fuse(trained, *patterns, tmp_path / "out") == 1
    assert "no images in it" in capsys.readouterr().err
    assert fuse(trained, *patterns, tmp_path / "out", "--recursive") == 0
    assert sorted(
        path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.png")
    ) == [
        pathlib.Path("day/1.png"),
        pathlib.Path("night/1.png"),
    ]


def test_what_is_there_is_skipped_on_request(trained, pairs, capsys):
    kept = pairs / "out" / "0.png"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    folders = pairs / "vi", pairs / "ir", pairs / "out"
    assert fuse(trained, *folders, "--skip-existing") == 0
    assert "1 of 2 pairs fused, 1 were there" in capsys.readouterr().out
    assert kept.read_bytes() == b"mine"
    assert fuse(trained, *folders, "--skip-existing") == 0
    assert "0 of 2 pairs fused, 2 were there" in capsys.readouterr().out
    assert fuse(trained, *folders) == 0
    assert kept.read_bytes() != b"mine"


def test_options_reach_the_pictures(trained, pairs, capsys):
    visible, infrared = made_up_pair(40, 48)
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    options = {"infrared_range": (20.0, 180.0), "black_hot": True}
    more = "--infrared-range", "20,180", "--black-hot"
    assert fuse(trained, *files, pairs / "ranged.png", *more) == 0
    expected = egmt_jax.fuse(visible, infrared, workdir=trained, **options)
    np.testing.assert_array_equal(images.read_image(pairs / "ranged.png"), expected)
    images.write_png(files[1], infrared[::2, ::2])
    more = "--size", "infrared", "--overlay", "--entities", "person", "--jobs", "1"
    assert fuse(trained, *files, pairs / "small.png", *more) == 0
    assert images.read_image(pairs / "small.png").shape == (20, 24, 3)
    assert images.read_image(pairs / "attention" / "small.png").shape == (44, 24, 3)
    images.write_png(files[1], visible)
    assert fuse(trained, *files, pairs / "swapped.png") == 0
    error = capsys.readouterr().err
    assert "egmt fuse: warning:" in error
    assert "swapped" in error


def test_what_is_drawn_beside_the_pictures_replaces_nothing_either(trained, pairs, capsys):
    (pairs / "vi").rename(pairs / "attention")
    folders = pairs / "attention", pairs / "ir"
    assert fuse(trained, *folders, pairs, "--overlay") == 1
    assert "attention/0.png: would replace a source" in capsys.readouterr().err
    assert fuse(trained, *folders, pairs / "out", "--skip-existing") == 0
    assert fuse(trained, *folders, pairs / "out", "--skip-existing", "--overlay") == 0
    assert "2 of 2 pairs fused" in capsys.readouterr().out
    for folder, kind in ((pairs / "deep", "ir"), (pairs / "deeper", "vi")):
        for below in ("", "attention"):
            images.write_png(folder / below / "0.png", made_up_pair(40, 48)[kind == "ir"])
    folders = pairs / "deeper", pairs / "deep"
    assert fuse(trained, *folders, pairs / "all", "--recursive", "--overlay") == 1
    assert "attention/0.png: would replace that of another pair" in capsys.readouterr().err


def test_the_call_for_arrays_gives_what_the_command_writes(trained, pairs):
    files = pairs / "vi" / "0.png", pairs / "ir" / "0.png"
    assert fuse(trained, *files, pairs / "o.png", "--entities", "person") == 0
    visible, infrared = map(images.read_image, files)
    picture = egmt_jax.fuse(visible, infrared, ["person"], workdir=trained)
    np.testing.assert_array_equal(picture, images.read_image(pairs / "o.png"))


def test_wrong_usage_exits_with_2_at_once(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["fuse", "a.png", "b.png", "-o", "o.png", "--size", "largest"])
    assert leaving.value.code == 2
    assert "--size" in capsys.readouterr().err
