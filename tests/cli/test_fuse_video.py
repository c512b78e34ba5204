"""`egmt fuse` with videos as a user runs it."""

import cv2
import pytest

from egmt_jax.cli.main import main
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io import images
from egmt_jax.io.videos import Video, writing
from egmt_jax.testing import made_up_pair, text_features, tiny_model


@pytest.fixture(scope="module")
def fuser():
    names = load_vocabulary().names
    return Fuser(tiny_model(text_features(len(names))), names)


@pytest.fixture
def folder(monkeypatch, fuser, tmp_path):
    """With vi.mp4, ir.mp4 and vi.png, and no need of a checkpoint."""
    monkeypatch.setattr("egmt_jax.inference.fuser.load_fuser", lambda workdir: fuser)
    visible, infrared = made_up_pair(40, 48)
    for name, image in (("vi.mp4", visible), ("ir.mp4", infrared)):
        with writing(tmp_path / name, 25.0, (40, 48)) as write:
            for _ in range(3):
                write(images.to_rgb(image))
    images.write_png(tmp_path / "vi.png", visible)
    (tmp_path / "there").mkdir()
    return tmp_path


def fuse(folder, visible, infrared, out, *more):
    return main(["fuse", *(str(folder / x) for x in (visible, infrared)), "-o", out, *more])


def test_two_videos_become_one(folder, capsys):
    out = folder / "there" / "vi.mp4"
    assert fuse(folder, "vi.mp4", "ir.mp4", str(out.parent), "--entities", "person,cars") == 0
    video = Video(out)
    assert (video.count, video.rate, video.first.shape) == (3, 25.0, (40, 48, 3))
    video.close()
    before = out.read_bytes()
    capsys.readouterr()
    assert fuse(folder, "vi.mp4", "ir.mp4", str(out), "--skip-existing") == 0
    assert "0 of 1 pairs fused, 1 were there" in capsys.readouterr().out
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("visible", "infrared", "out", "more", "message"),
    [
        ("vi.mp4", "vi.png", "o.mp4", (), "give two pictures or two videos"),
        ("vi.mp4", "no.mp4", "o.mp4", (), "no.mp4: no such file"),
        ("*.mp4", "*.mp4", "o.mp4", (), "videos are fused one pair at a time"),
        ("vi.mp4", "ir.mp4", "o.png", (), "end its name in .mp4, .mov, .avi"),
        ("vi.mp4", "ir.mp4", "vi.mp4", (), "would replace a source"),
        ("vi.mp4", "ir.mp4", "vi.png/o.mp4", (), "is not a folder"),
        ("vi.mp4", "vi.mp4", "o.mp4", (), "one file is both visible and infrared"),
        ("vi.mp4", "ir.mp4", "o.mp4", ("--overlay",), "--overlay: is drawn for pictures"),
        ("vi.mp4", "ir.mp4", "o.mp4", ("--infrared-range", "1%,9%"), "from frame to frame"),
    ],
)
def test_what_cannot_work_is_one_line(folder, capfd, visible, infrared, out, more, message):
    before = sorted(folder.iterdir())
    assert fuse(folder, visible, infrared, str(folder / out), *more) == 1
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_broken_video_is_one_line_of_ours_alone(folder, capfd):
    (folder / "ir.mp4").write_bytes(b"not a video at all")
    assert fuse(folder, "vi.mp4", "ir.mp4", str(folder / "o.mp4")) == 1
    error = capfd.readouterr().err
    assert error.startswith("egmt fuse: ")
    assert "ir.mp4: not a readable video" in error
    assert error.count("\n") == 1
    assert not cv2.VideoCapture(str(folder / "o.mp4")).isOpened()
