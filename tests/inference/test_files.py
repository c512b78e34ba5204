"""Files to pictures: what goes wrong is told in a line and leaves the rest alone."""

import pathlib
import resource

import cv2
import numpy as np
import pytest
from PIL import Image

from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.files import Job, Settings, fuse_files
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io import images
from egmt_jax.io.thermal import parse_range
from egmt_jax.testing import made_up_pair, text_features, tiny_model

NAMES = load_vocabulary().names


@pytest.fixture(scope="module")
def fuser():
    return Fuser(tiny_model(text_features(len(NAMES))), NAMES)


@pytest.fixture
def job(tmp_path):
    """A good pair of 48 x 40 pixels."""
    visible, infrared = made_up_pair(40, 48)
    images.write_png(tmp_path / "vi" / "a.png", visible)
    images.write_png(tmp_path / "ir" / "a.png", infrared)
    return Job(tmp_path / "vi" / "a.png", tmp_path / "ir" / "a.png", tmp_path / "out" / "a.png")


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def tiff(image):
    return cv2.imencode(".tiff", image)[1].tobytes()


GREY = made_up_pair(40, 48)[1][..., 0]
NAN = np.where(GREY > 90, np.float32(np.nan), np.float32(0.5))
JPEG = cv2.imencode(".jpg", GREY)[1].tobytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "not a readable image"),
        ("truncated.png", png(GREY)[:-300], "not a readable image"),
        ("truncated.jpg", JPEG[: len(JPEG) // 2], "not a readable image"),
        ("truncated.tiff", tiff(GREY)[:-300], "not a readable image"),
        ("truncated.bmp", cv2.imencode(".bmp", GREY)[1].tobytes()[:-300], "not a readable image"),
        ("text.png", b"not a picture at all\n" * 9, "not a readable image"),
        ("nan.tiff", tiff(NAN), "NaN or infinite"),
        ("kelvin.tiff", tiff(GREY + np.float32(290)), "--infrared-range"),
        ("integers.tiff", tiff(GREY.astype(np.int32)), "int32 pixels; convert"),
        ("pixel.png", png(GREY[:1, :1]), "1 x 1 pixels; at least 16"),
        ("line.png", png(np.zeros((3, 20000), np.uint8)), "20000 x 3 pixels; at least 16"),
        ("wide.png", png(np.zeros((40, 80), np.uint8)), "differ by 67%, 5% is allowed"),
    ],
)
def test_a_bad_infrared_file_is_told_by_name_and_the_rest_is_done(
    fuser, job, tmp_path, capfd, name, content, message
):
    bad = tmp_path / "ir" / name
    bad.write_bytes(content)
    jobs = [Job(job.visible, bad, tmp_path / "out" / "bad.png"), job]
    failures, _ = fuse_files(fuser, jobs, Settings())
    assert len(failures) == 1
    assert message in failures[0]
    assert name in failures[0]
    assert "\n" not in failures[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert capfd.readouterr().err == "", "decoders write beside our own message"


def test_files_that_cannot_be_opened_are_told(fuser, job, tmp_path):
    loop = tmp_path / "ir" / "loop.png"
    loop.symlink_to(loop)
    folder = tmp_path / "ir" / "folder.png"
    folder.mkdir()
    gone = tmp_path / "ir" / "gone.png"
    jobs = [job._replace(infrared=path) for path in (loop, folder, gone)]
    failures, _ = fuse_files(fuser, [*jobs, job], Settings())
    assert [failure.split(": ")[0] for failure in failures] == [str(loop), str(folder), str(gone)]
    assert all("cannot be read (" in failure for failure in failures)
    assert job.out.exists()


@pytest.mark.parametrize(("kind", "call"), [("read", "read_bytes"), ("written", "write_bytes")])
def test_a_file_without_permission_is_told(fuser, job, monkeypatch, kind, call):
    denied = {"read": job.infrared, "written": job.out}[kind]
    allowed = getattr(pathlib.Path, call)

    def access(path, *content):  # root has every permission
        if denied.name in path.name and path.parent == denied.parent:
            raise PermissionError(13, "Permission denied")
        return allowed(path, *content)

    monkeypatch.setattr(pathlib.Path, call, access)
    failures, _ = fuse_files(fuser, [job], Settings())
    assert failures == [f"{denied}: cannot be {kind} (Permission denied)"]


def test_one_file_given_twice_is_told_even_through_a_link(fuser, job, tmp_path):
    link = tmp_path / "ir" / "link.png"
    link.symlink_to(job.visible)
    jobs = [job._replace(infrared=link), job._replace(infrared=job.visible)]
    failures, _ = fuse_files(fuser, jobs, Settings())
    assert [("one file is both" in failure) for failure in failures] == [True, True]


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "LA", "1", "L"])
def test_other_kinds_of_colour_are_fused(fuser, job, tmp_path, mode):
    picture = Image.open(job.visible).convert(mode)
    path = tmp_path / "vi" / ("other.jpg" if mode == "CMYK" else "other.png")
    picture.save(path)
    assert fuse_files(fuser, [job._replace(visible=path)], Settings()) == ([], [])
    fused = images.read_image(job.out)
    assert fused.shape == (40, 48, 1 if mode in ("1", "L") else 3)
    expected = fuser(images.read_image(path), images.read_image(job.infrared)).image
    np.testing.assert_array_equal(fused, expected.reshape(fused.shape))


def test_names_in_any_script_are_kept(fuser, job, tmp_path):
    names = "gärten und 夜.png", "ночь.png", "κτίριο 🏠.png"
    visible = job.visible.rename(job.visible.with_name(names[0]))
    infrared = job.infrared.rename(job.infrared.with_name(names[1]))
    out = tmp_path / "out" / names[2]
    assert fuse_files(fuser, [Job(visible, infrared, out)], Settings()) == ([], [])
    assert [path.name for path in out.parent.iterdir()] == [names[2]]


def test_a_full_disk_is_told_and_what_was_finished_stays(fuser, job, tmp_path):
    assert fuse_files(fuser, [job], Settings())[0] == []
    before = job.out.read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    images.write_png(tmp_path / "vi" / "b.png", noise)
    later = Job(tmp_path / "vi" / "b.png", job.infrared, tmp_path / "out" / "b.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as if the disk had no more
    try:
        failures, _ = fuse_files(fuser, [later], Settings())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failures == [f"{later.out}: cannot be written (File too large)"]
    assert [path.name for path in job.out.parent.iterdir()] == ["a.png"]
    assert job.out.read_bytes() == before


@pytest.mark.parametrize("size", ["visible", "infrared"])
def test_pairs_of_two_sizes_come_out_at_the_chosen_one(fuser, job, size):
    infrared = cv2.resize(images.read_image(job.infrared), (24, 20))
    images.write_png(job.infrared, infrared)
    assert fuse_files(fuser, [job], Settings(size=size)) == ([], [])
    assert images.read_image(job.out).shape == ((40, 48, 3) if size == "visible" else (20, 24, 3))


def test_a_thermal_file_of_16_bits_is_brought_to_its_range(fuser, job, tmp_path):
    expected = tmp_path / "expected.png"
    fuse_files(fuser, [job._replace(out=expected)], Settings())
    counts = 7000 + 4 * images.read_image(job.infrared)[..., 0].astype(np.uint16)
    for suffix, encode in ((".png", png), (".tiff", tiff)):
        thermal = tmp_path / "ir" / f"thermal{suffix}"
        thermal.write_bytes(encode(8020 - (counts - 7000)))
        settings = Settings(infrared_range=parse_range("7000,8020"), black_hot=True)
        assert fuse_files(fuser, [job._replace(infrared=thermal)], settings) == ([], [])
        difference = images.read_image(job.out).astype(int) - images.read_image(expected)
        assert np.abs(difference).max() <= 1


def test_a_visible_file_of_16_bits_or_float_is_what_its_8_bits_are(fuser, job, tmp_path):
    fuse_files(fuser, [job], Settings())
    expected = images.read_image(job.out)
    bgr = images.read_image(job.visible)[..., ::-1]
    for name, content in (
        ("deep.png", png(bgr.astype(np.uint16) * 257)),
        ("deep.tiff", tiff(bgr / np.float32(255.0))),
    ):
        (tmp_path / "vi" / name).write_bytes(content)
        job = job._replace(visible=tmp_path / "vi" / name)
        assert fuse_files(fuser, [job], Settings()) == ([], [])
        np.testing.assert_array_equal(images.read_image(job.out), expected)


def test_a_visible_file_of_few_of_its_16_bits_gives_a_warning(fuser, job, tmp_path):
    deep = tmp_path / "vi" / "deep.png"
    for bits, warned in ((12, True), (14, True), (16, False)):
        values = images.read_image(job.visible).astype(np.uint16) << bits - 8
        deep.write_bytes(png(values))
        failures, warnings = fuse_files(fuser, [job._replace(visible=deep)], Settings())
        assert failures == []
        assert [f"no value above {values.max()} of 65535" in line for line in warnings] == (
            [True] if warned else []
        )


def test_swapped_and_shifted_pairs_give_a_line_each(fuser, tmp_path):
    visible, infrared = made_up_pair(120, 150)
    both = visible.astype(np.float32) * 0.5 + infrared * 0.5
    both = both.mean(axis=2, keepdims=True).astype(np.uint8)
    for name, image in {
        "visible": visible,
        "infrared": both,
        "shifted": np.roll(both, (7, -4), (0, 1)),
        "near": np.roll(both, (1, -1), (0, 1)),
    }.items():
        images.write_png(tmp_path / f"{name}.png", image)

    def warnings(first, second):
        job = Job(tmp_path / f"{first}.png", tmp_path / f"{second}.png", tmp_path / "out.png")
        failures, lines = fuse_files(fuser, [job], Settings())
        assert failures == []
        return lines

    assert warnings("visible", "infrared") == []
    assert warnings("visible", "near") == []
    (line,) = warnings("visible", "shifted")
    assert "+7 pixels down and -4 to the right" in line
    (line,) = warnings("infrared", "visible")
    assert "are visible and infrared swapped" in line


def test_a_pair_that_fails_for_any_reason_does_not_stop_the_others(fuser, job, monkeypatch):
    def fails(out, picture):
        if out.name == "bad.png":
            raise MemoryError
        return written(out, picture)

    written = images.write_png
    monkeypatch.setattr(images, "write_png", fails)
    jobs = [job._replace(out=job.out.with_name("bad.png")), job]
    failures, _ = fuse_files(fuser, jobs, Settings())
    assert failures == [f"{job.visible} and {job.infrared}: MemoryError: no reason given"]
    assert job.out.exists()


def test_attention_is_drawn_for_each_entity_beside_the_picture(fuser, job):
    job = job._replace(overlay=job.out.parent / "attention" / "a.png")
    settings = Settings(entities=["Person", "cars", "car"])  # which is two things
    assert fuse_files(fuser, [job], settings) == ([], [])
    overlay = images.read_image(job.overlay)
    assert overlay.shape == (40 + 24, 2 * 48, 3)
    # Another entity looks elsewhere: the panels differ.
    assert np.abs(overlay[:40, :48].astype(int) - overlay[:40, 48:]).max() > 5
    fuse_files(fuser, [job], Settings())
    assert images.read_image(job.overlay).shape[1] == 4 * 48
    fuse_files(fuser, [job], Settings(entities=[]))
    bare = images.read_image(job.overlay)
    np.testing.assert_array_equal(bare, images.read_image(job.out))


def test_the_number_of_threads_changes_nothing(fuser, tmp_path):
    outputs = []
    for threads in (1, 3):
        jobs = []
        for k in range(7):
            visible, infrared = made_up_pair(40, 48, seed=k)
            images.write_png(tmp_path / f"v{k}.png", visible)
            images.write_png(tmp_path / f"i{k}.png", infrared)
            out = tmp_path / str(threads) / f"{k}.png"
            jobs.append(Job(tmp_path / f"v{k}.png", tmp_path / f"i{k}.png", out))
        jobs[3].infrared.write_bytes(b"")
        failures, _ = fuse_files(fuser, jobs, Settings(), threads)
        assert len(failures) == 1
        outputs.append({job.out.name: job.out.read_bytes() for job in jobs if job.out.exists()})
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 6


def test_what_was_finished_before_an_interruption_is_whole_and_stays(fuser, job, tmp_path):
    calls = []

    def interrupted(*arguments, **settings):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return fuser(*arguments, **settings)

    jobs = [job._replace(out=tmp_path / "out" / f"{k}.png") for k in range(9)]
    with pytest.raises(KeyboardInterrupt):
        fuse_files(interrupted, jobs, Settings(), threads=1)
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written[:2]] == ["0.png", "1.png"]
    assert len(written) <= 4
    assert all(images.read_image(path).shape == (40, 48, 3) for path in written)


def test_one_cold_value_everywhere_does_not_break_a_thermal_file(fuser, job, tmp_path):
    flat = tmp_path / "ir" / "flat.tiff"
    flat.write_bytes(tiff(np.full((40, 48), 7000, np.uint16)))
    assert fuse_files(fuser, [job._replace(infrared=flat)], Settings()) == ([], [])
    assert images.read_image(job.out).shape == (40, 48, 3)
