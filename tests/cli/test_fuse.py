"""`egmt fuse` as a user runs it, with a tiny model."""

import os
import pathlib

import cv2
import numpy as np
import pytest

import egmt_jax
from egmt_jax.cli.main import main
from egmt_jax.inference import fuser as module
from egmt_jax.io import images
from egmt_jax.io.videos import Video, writing
from egmt_jax.models import Guidance
from egmt_jax.testing import made_up_pair


@pytest.fixture
def pairs(tmp_path, monkeypatch, fuser):
    """Two pairs and a video; `--checkpoint run` is the tiny model."""
    load = module.load_fuser

    def load_fuser(workdir, model):
        return fuser if workdir == pathlib.Path("run") else load(workdir, model)

    monkeypatch.setattr(module, "load_fuser", load_fuser)
    for number, size in enumerate([(40, 48), (33, 60)]):
        visible, infrared = made_up_pair(*size, seed=number)
        images.write_png(tmp_path / "vi" / f"{number}.png", visible)
        images.write_png(tmp_path / "ir" / f"{number}.png", infrared)
    for name, image in zip(("v.mp4", "i.mp4"), made_up_pair(40, 48), strict=True):
        with writing(tmp_path / name, 25.0, (40, 48)) as write:
            for _ in range(3):
                write(images.to_rgb(image))
    return tmp_path


def fuse(visible, infrared, out, *more, checkpoint="run"):
    arguments = ["fuse", str(visible), str(infrared), "-o", str(out)]
    return main([*arguments, "--checkpoint", str(checkpoint), *more])


def first(pairs):
    return pairs / "vi" / "0.png", pairs / "ir" / "0.png"


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ((), {}),
        (("--entities", "person, cars"), {"guidance": Guidance(("person", "car"))}),
        (("--no-entities",), {"guidance": Guidance(())}),
        (
            ("--infrared-range", "20,180", "--black-hot"),
            {"infrared_range": (20.0, 180.0), "black_hot": True},
        ),
    ],
)
def test_two_files_give_an_image_as_the_fuser_does(fuser, pairs, capsys, options, call):
    assert fuse(*first(pairs), pairs / "color.png", *options) == 0
    assert fuse(*first(pairs), pairs / "grey.png", "--grey", *options) == 0
    expected = fuser(*map(images.read_image, first(pairs)), **call)
    np.testing.assert_array_equal(images.read_image(pairs / "color.png"), expected.image)
    grey = images.read_image(pairs / "grey.png")
    np.testing.assert_array_equal(grey[..., 0], images.to_uint8(expected.luma))
    assert capsys.readouterr().out == ""


def test_sizes_overlays_and_warnings(pairs, capsys):
    images.write_png(pairs / "ir" / "0.png", made_up_pair(40, 48)[1][::2, ::2])
    more = "--size", "infrared", "--overlay", "--entities", "person", "--jobs", "1"
    assert fuse(*first(pairs), pairs / "small.png", *more) == 0
    assert images.read_image(pairs / "small.png").shape == (20, 24, 3)
    assert images.read_image(pairs / "attention" / "small.png").shape[1:] == (24, 3)
    images.write_png(pairs / "ir" / "0.png", made_up_pair(40, 48)[0])
    assert fuse(*first(pairs), pairs / "swapped.png") == 0
    error = capsys.readouterr().err
    assert "egmt fuse: warning:" in error
    assert "swapped" in error


def test_folders_match_by_stem_and_a_broken_pair_does_not_stop_the_others(pairs, capsys):
    folders = pairs / "vi", pairs / "ir", pairs / "out"
    assert fuse(*folders) == 0
    assert sorted(path.name for path in (pairs / "out").iterdir()) == ["0.png", "1.png"]
    assert images.read_image(pairs / "out" / "1.png").shape == (33, 60, 3)
    assert "2 of 2 pairs fused" in capsys.readouterr().out
    (pairs / "ir" / "0.png").write_bytes(b"")
    assert fuse(*folders[:2], pairs / "again") == 1
    assert [path.name for path in (pairs / "again").iterdir()] == ["1.png"]
    captured = capsys.readouterr()
    assert "0.png: not a readable image" in captured.err
    assert "1 of 2 pairs fused" in captured.out
    (pairs / "ir" / "0.png").rename(pairs / "ir" / "x.png")
    assert fuse(*folders[:2], pairs / "never") == 1
    error = capsys.readouterr().err
    assert "vi lacks x\n" in error
    assert "ir lacks 0\n" in error
    assert not (pairs / "never").exists()


def test_patterns_match_by_the_text_for_the_star(pairs, capsys):
    for name in ("day/1", "night/1"):
        visible, infrared = made_up_pair(40, 48)
        images.write_png(pairs / "set" / f"{name}_rgb.png", visible)
        images.write_png(pairs / "set" / f"{name}_th.png", infrared)
    (pairs / "set" / "day" / "again").symlink_to(pairs / "set")  # a cycle
    patterns = pairs / "set" / "*_rgb.png", pairs / "set" / "*_th.png"
    assert fuse(*patterns, pairs / "out") == 1
    assert "no images in it" in capsys.readouterr().err
    assert fuse(*patterns, pairs / "out", "--recursive") == 0
    found = sorted(path.relative_to(pairs / "out") for path in (pairs / "out").rglob("*.png"))
    assert found == [pathlib.Path("day/1.png"), pathlib.Path("night/1.png")]


def test_existing_outputs_are_skipped_on_request(pairs, capsys):
    kept = pairs / "out" / "0.png"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    folders = pairs / "vi", pairs / "ir", pairs / "out"
    for done, existed in ((1, 1), (0, 2)):
        assert fuse(*folders, "--skip-existing") == 0
        expected = f"{done} of 2 pairs fused, {existed} existed"
        assert expected in capsys.readouterr().out
    assert kept.read_bytes() == b"mine"
    assert fuse(*folders, "--skip-existing", "--overlay") == 0
    assert "2 of 2 pairs fused:" in capsys.readouterr().out
    assert kept.read_bytes() != b"mine"


def test_outputs_never_replace_sources_or_each_other(pairs, capsys):
    (pairs / "vi").rename(pairs / "attention")
    assert fuse(pairs / "attention", pairs / "ir", pairs, "--overlay") == 1
    assert "attention/0.png: would replace a source" in capsys.readouterr().err
    for folder in ("deep", "deeper"):
        for below in ("", "attention"):
            images.write_png(pairs / folder / below / "0.png", made_up_pair(40, 48)[0])
    folders = pairs / "deeper", pairs / "deep"
    assert fuse(*folders, pairs / "all", "--recursive", "--overlay") == 1
    assert "attention/0.png: would replace that of another pair" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("visible", "infrared", "out", "more", "message"),
    [
        ("vi/0.png", "ir", "o.png", "", "two videos or two folders"),
        ("vi/0.png", "ir/7.png", "o.png", "", "7.png: no such file or folder"),
        ("vi/0.png", "ir/1.png", "o.png", "", "0.png has 48 x 40 pixels"),
        ("vi/0.png", "ir/0.png", "o.jpg", "", "the output is a PNG file"),
        ("vi", "ir", "vi/0.png", "", "is a file; name a folder"),
        ("vi/0.png", "ir/0.png", "o.png", "--entities=zebra", "'zebra' is not in the voc"),
        ("vi/0.png", "ir/0.png", "o.png", "--entities=,", "--entities is empty"),
        ("vi/0.png", "ir/0.png", "o.png", "--infrared-range=9", "give LOW,HIGH such as"),
        ("vi/0.png", "ir/0.png", "o.png", "--infrared-range=9,7", "the first must be lower"),
        ("vi/0.png", "ir/0.png", "o.png", "--infrared-range=0%,120%", "0 to 100"),
        ("vi/0.png", "ir/0.png", "o.png", "--jobs=0", "--jobs=0: at least 1"),
        ("vi/0.png", "ir/0.png", "o.png", "--checkpoint=vi", "no checkpoint in it"),
        ("vi/0.png", "ir/0.png", "vi/0.png", "", "would replace a source"),
        ("vi/0.png", "ir/0.png", "full", "", "full/0.png: is a folder"),
        ("vi/0.png", "ir/0.png", f"{'x' * 300}.png", "", "File name too long"),
        ("vi", "ir", "vi", "", "would replace a source"),
        ("vi", "vi", "o", "", "given as both visible and infrared"),
        ("vi/0.png", "ir/0.png", "vi/0.png/o.png", "", "cannot be written"),
        ("vi/0.png", "loop.png", "o.png", "", "loop.png: a broken link"),
        ("vi/*_rgb.png", "ir", "o", "", "no images in it"),
        ("vi/*_*.png", "ir", "o", "", "give one * in the pattern"),
        ("no/*.png", "ir", "o", "", "no such folder"),
        ("v.mp4", "vi/0.png", "o.mp4", "", "two videos or two folders"),
        ("v.mp4", "no.mp4", "o.mp4", "", "no.mp4: no such file"),
        ("v.mp4", "bad.mp4", "o.mp4", "", "bad.mp4: not a readable video"),
        ("*.mp4", "*.mp4", "o.mp4", "", "videos are fused one pair at a time"),
        ("v.mp4", "i.mp4", "o.png", "", "end its name in .mp4, .mov, .avi"),
        ("v.mp4", "i.mp4", "v.mp4", "", "would replace a source"),
        ("v.mp4", "i.mp4", "vi/0.png/o.mp4", "", "cannot be written"),
        ("v.mp4", "v.mp4", "o.mp4", "", "given as both visible and infrared"),
        ("v.mp4", "i.mp4", "o.mp4", "--overlay", "--overlay: is drawn for images"),
        ("v.mp4", "i.mp4", "o.mp4", "--infrared-range=1%,9%", "they differ per frame"),
    ],
)
def test_invalid_arguments_are_errors_of_one_line(
    pairs, monkeypatch, capfd, visible, infrared, out, more, message
):
    monkeypatch.chdir(pairs)
    (pairs / "loop.png").symlink_to(pairs / "loop.png")
    (pairs / "full" / "0.png").mkdir(parents=True)
    (pairs / "bad.mp4").write_bytes(b"not a video at all")
    before = sorted(pairs.rglob("*"))
    assert fuse(visible, infrared, out, *more.split()) == 1
    error = capfd.readouterr().err
    assert error.startswith("egmt fuse: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(pairs.rglob("*")) == before


def test_two_videos_give_a_video(pairs, capsys):
    out = pairs / "v.avi"
    assert fuse(pairs / "v.mp4", pairs / "i.mp4", out, "--entities", "person,cars") == 0
    capture = cv2.VideoCapture(str(out))
    assert (capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)) == (25.0, 3.0)
    capture.release()
    (pairs / "out").mkdir()
    for options in ((), ("--skip-existing",)):
        assert fuse(pairs / "v.mp4", pairs / "i.mp4", pairs / "out", *options) == 0
    assert "0 of 1 pairs fused, 1 existed" in capsys.readouterr().out
    video = Video(pairs / "out" / "v.mp4")
    assert video.first.shape == (40, 48, 3)
    video.close()


def test_the_call_for_arrays_gives_what_the_command_writes(trained, pairs):
    visible, infrared = map(images.read_image, first(pairs))
    assert fuse(*first(pairs), pairs / "o.png", "--entities=person", checkpoint=trained) == 0
    image = egmt_jax.fuse(visible, infrared, ["person"], workdir=trained)
    np.testing.assert_array_equal(image, images.read_image(pairs / "o.png"))
    assert main(["fuse", *map(str, first(pairs)), "-o", str(pairs / "released.png")]) == 0
    image = egmt_jax.fuse(visible, infrared)
    np.testing.assert_array_equal(image, images.read_image(pairs / "released.png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_cannot_be_written_is_an_error_before_any_work(pairs, capsys):
    pairs.chmod(0o500)
    assert fuse(pairs / "vi", pairs / "ir", pairs / "out") == 1
    assert "cannot be written" in capsys.readouterr().err
