"""Videos: written completely or not at all, at their rate and size, without flicker."""

import resource

import cv2
import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.inference.files import Job, Settings
from egmt_jax.inference.video import VideoFuser, fuse_video
from egmt_jax.io.pairs import PairFiles
from egmt_jax.io.videos import Video, writing
from egmt_jax.models import UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair

SIZE = (48, 64)


def moving(count, size=SIZE):
    """Visible and infrared frames of a warm object that crosses a static scene."""
    visible, infrared = made_up_pair(*size)
    frames = [(visible.copy(), infrared.copy()) for _ in range(count)]
    for number, (v, i) in enumerate(frames):
        v[20:30, 3 * number : 3 * number + 6], i[20:30, 3 * number : 3 * number + 6] = 40, 230
    return [v for v, _ in frames], [np.repeat(i, 3, axis=2) for _, i in frames]


def write(path, frames, rate=25.0):
    with writing(path, rate, frames[0].shape[:2]) as add:
        for frame in frames:
            add(frame)
    return path


def read(path):
    video = Video(path)
    frames = []
    while (frame := video.read()) is not None:
        frames.append(frame)
    video.close()
    return frames, video.rate


@pytest.fixture
def job(tmp_path):
    """A good pair of 8 frames."""
    paths = [write(tmp_path / f"{n}.mp4", f) for n, f in zip(("vi", "ir"), moving(8), strict=True)]
    return Job(PairFiles("", *paths), tmp_path / "out" / "fused.mp4")


def test_number_rate_size_and_colour_of_the_frames_are_kept(fuser, job):
    guidance = Guidance(("person",))
    assert fuse_video(fuser, job, Settings(guidance)) == []
    frames, rate = read(job.out)
    assert (len(frames), rate) == (8, 25.0)
    sources = zip(read(job.pair.visible)[0], read(job.pair.infrared)[0], strict=True)
    steady = VideoFuser(fuser, 25.0, guidance)
    for frame, pair in zip(frames, sources, strict=True):
        assert frame.shape == (*SIZE, 3)
        # A larger loss than the codec's means another frame, or red and blue exchanged.
        assert np.abs(frame.astype(float) - steady(*pair).image).mean() < 6.0
    assert np.ptp(frames[0].astype(float).mean(axis=(0, 1))) > 5.0
    assert [path.name for path in job.out.parent.iterdir()] == ["fused.mp4"]


def test_the_shorter_video_sizes_and_grey_output(fuser, job, tmp_path):
    short = [cv2.resize(frame, (32, 24)) for frame in moving(7)[1]]
    pair = PairFiles("", job.pair.visible, write(tmp_path / "short.avi", short))
    job = Job(pair, tmp_path / "fused.avi")
    settings = Settings(UNGUIDED, size="infrared", grey=True, black_hot=True)
    (warning,) = fuse_video(fuser, job, settings)
    assert "short.avi: ends after 7 frames, before" in warning
    frames, rate = read(job.out)
    assert (len(frames), rate, frames[0].shape) == (7, 25.0, (24, 32, 3))
    assert np.ptp(np.asarray(frames).astype(int), axis=-1).max() <= 3  # the codec's rounding


def test_odd_sides_give_a_warning(fuser, tmp_path):
    paths = tmp_path / "v.avi", tmp_path / "i.avi"
    for path, frames in zip(paths, moving(2, (33, 49)), strict=True):
        code = cv2.VideoWriter.fourcc(*"MJPG")  # this one keeps odd sides
        writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, 25.0, (49, 33))
        for frame in frames:
            writer.write(frame)
        writer.release()
    (warning,) = fuse_video(fuser, Job(PairFiles("", *paths), tmp_path / "o.mov"), Settings())
    assert "o.mov: 49 x 33 pixels, but videos have even sides" in warning
    frames, _ = read(tmp_path / "o.mov")
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 2


def test_noise_of_one_source_does_not_make_a_static_scene_flicker(fuser):
    visible, infrared = made_up_pair(*SIZE)
    visible = (128 + 0.3 * (visible - 128.0)).astype(np.uint8)  # nothing is clipped
    rng = np.random.default_rng(0)
    steady, means = VideoFuser(fuser, 25.0), []
    for _ in range(16):
        noise = rng.normal(0.0, rng.uniform(0.0, 20.0), infrared.shape)
        noisy = 128 + 0.3 * (infrared - 128.0) + noise - noise.mean()
        pair = visible, np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        means.append((steady(*pair).luma.mean(), fuser(*pair).luma.mean()))
    smooth, alone = np.abs(np.diff(means, axis=0)).mean(axis=0)
    assert alone > 0.3 / 255.0
    assert smooth < 0.6 * alone


@pytest.mark.parametrize(("rate", "looks"), [(25.0, 3), (10.0, 5), (60.0, 2)])
def test_global_features_are_computed_for_some_frames_and_after_a_cut(
    fuser, monkeypatch, rate, looks
):
    seen = []
    see = fuser.see
    monkeypatch.setattr(fuser, "see", lambda *pair: seen.append(pair) or see(*pair))
    visible, infrared = made_up_pair(*SIZE)
    steady = VideoFuser(fuser, rate)
    for _ in range(5):
        steady(visible, infrared)
    assert len(seen) == looks
    steady(visible, 255 - infrared)
    assert len(seen) == looks + 1


def test_the_first_frame_equals_a_single_fusion_and_a_cut_resets(fuser):
    scene = made_up_pair(*SIZE)
    other = scene[0], 255 - scene[1]
    brighter = scene[0], np.clip(scene[1] + 9.0, 0, 255).astype(np.uint8)
    steady = VideoFuser(fuser, 25.0)
    np.testing.assert_allclose(steady(*scene).luma, fuser(*scene).luma, atol=1e-5)
    assert np.abs(steady(*brighter).luma - fuser(*brighter).luma).max() > 1e-3
    np.testing.assert_allclose(steady(*other).luma, fuser(*other).luma, atol=1e-5)


def test_averages_follow_within_their_time_at_any_rate(fuser):
    scene = made_up_pair(*SIZE)
    brighter = scene[0], np.clip(scene[1] + 9.0, 0, 255).astype(np.uint8)
    left = []
    for rate in (10.0, 40.0):
        steady = VideoFuser(fuser, rate)
        steady(*scene)
        for _ in range(int(rate)):
            last = steady(*brighter)
        first, end = (np.asarray([*fuser(*x).probabilities.values()]) for x in (scene, brighter))
        now = np.asarray([*last.probabilities.values()])
        left.append(np.abs(now - end).sum() / np.abs(first - end).sum())
    # A second is two time constants of the logits.
    np.testing.assert_allclose(left, np.exp(-2.0), atol=0.02)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


BROKEN = {
    "empty": (lambda d: (d / "ir.mp4").write_bytes(b""), "not a readable video"),
    "truncated": (lambda d: truncated(d / "ir.mp4"), "not a readable video"),
    "no frames": (lambda d: write_none(d / "ir.mp4"), "no frames in it|not a readable video"),
    "rates": (lambda d: write(d / "ir.mp4", moving(8)[1], 30.0), "bring both to one rate first"),
    "shapes": (lambda d: write(d / "ir.mp4", moving(8, (64, 64))[1]), "crop one of them first"),
    "tiny": (lambda d: write(d / "ir.mp4", moving(2, (12, 32))[1]), "at least 16"),
}


def write_none(path):
    cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))


@pytest.mark.parametrize("case", BROKEN)
def test_invalid_videos_are_errors_of_one_line_and_write_nothing(fuser, job, capfd, case):
    breaks, message = BROKEN[case]
    breaks(job.pair.visible.parent)
    with pytest.raises(UserError, match=message) as error:
        fuse_video(fuser, job, Settings())
    assert "ir.mp4" in str(error.value)
    assert "\n" not in str(error.value)
    assert not job.out.parent.exists()
    assert capfd.readouterr().err == ""


def test_a_truncated_video_is_an_error_and_writes_nothing(fuser, job, tmp_path):
    path = truncated(write(tmp_path / "ir.avi", moving(30)[1]))
    pair = PairFiles("", write(job.pair.visible, moving(30)[0]), path)
    with pytest.raises(UserError, match=r"ir\.avi: ends after \d+ of 30 frames: truncated"):
        fuse_video(fuser, Job(pair, job.out), Settings())
    assert list(job.out.parent.iterdir()) == []


def test_an_interruption_leaves_nothing(fuser, job, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("egmt_jax.io.images.to_uint8", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fuse_video(fuser, job, Settings(grey=True))
    assert list(job.out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "message"),
    [(0, r"cannot be written \(File too large\)"), (1000, "cannot be written completely")],
)
def test_a_full_disk_is_an_error_and_an_existing_file_stays(fuser, job, limit, message):
    job.out.parent.mkdir()
    job.out.write_bytes(b"mine")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(UserError, match=message):
            fuse_video(fuser, job, Settings())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in job.out.parent.iterdir()] == ["fused.mp4"]
    assert job.out.read_bytes() == b"mine"
