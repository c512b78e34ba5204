"""Videos are written completely or not at all, and read frame by frame."""

import contextlib

import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.io.videos import Video, writing
from egmt_jax.testing import made_up_pair

FRAMES = [np.full((48, 64, 3), value, np.uint8) for value in (20, 120, 220)]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".MOV"])
def test_frames_and_rate_survive(tmp_path, suffix):
    path = tmp_path / "new" / f"a{suffix}"
    with writing(path, 12.5, (48, 64)) as write:
        for frame in (*FRAMES, made_up_pair(48, 64)[1][..., 0]):
            write(frame)
        assert not path.exists()
    with contextlib.closing(Video(path)) as video:
        assert (video.rate, video.count) == (12.5, 4)
        for frame in FRAMES:
            np.testing.assert_allclose(video.read(), frame, atol=8)
        assert video.read().shape == (48, 64, 3)
        assert video.read() is None
        assert video.taken == 4


def test_an_interrupted_video_leaves_nothing(tmp_path):
    def interrupt():
        with writing(tmp_path / "a.mp4", 25.0, (48, 64)) as write:
            write(FRAMES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not any(tmp_path.iterdir())


def test_unreadable_videos_and_other_suffixes_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"a\.mp4: not a readable video"):
        Video(tmp_path / "a.mp4")
    with (
        pytest.raises(UserError, match=r"end its name in \.mp4, \.mov, \.avi"),
        writing(tmp_path / "a.webm", 25.0, (48, 64)),
    ):
        pass
