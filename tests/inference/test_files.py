"""Fusing files: what fails gets one line and does not affect the other pairs."""

import pathlib
import resource

import cv2
import numpy as np
import pytest
from PIL import Image

from egmt_jax.inference import files
from egmt_jax.inference.files import Job, Settings, fuse_files
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io import images
from egmt_jax.io.pairs import PairFiles
from egmt_jax.io.thermal import parse_range
from egmt_jax.models import UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair


def job_of(folder, visible="vi/a.png", infrared="ir/a.png", out="out/a.png"):
    return Job(PairFiles("a", folder / visible, folder / infrared), folder / out)


@pytest.fixture
def folder(tmp_path):
    """With a pair of 48 x 40 pixels: vi/a.png and ir/a.png."""
    visible, infrared = made_up_pair(40, 48)
    images.write_png(tmp_path / "vi" / "a.png", visible)
    images.write_png(tmp_path / "ir" / "a.png", infrared)
    return tmp_path


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def tiff(image):
    return cv2.imencode(".tiff", image)[1].tobytes()


GREY = made_up_pair(40, 48)[1][..., 0]
NAN = np.where(GREY > 90, np.float32(np.nan), np.float32(0.5))
JPEG = cv2.imencode(".jpg", GREY)[1].tobytes()
UNREADABLE = "not a readable image"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", UNREADABLE),
        ("truncated.png", png(GREY)[:-300], UNREADABLE),
        ("truncated.jpg", JPEG[: len(JPEG) // 2], UNREADABLE),
        ("truncated.tiff", tiff(GREY)[:-300], UNREADABLE),
        ("truncated.bmp", cv2.imencode(".bmp", GREY)[1].tobytes()[:-300], UNREADABLE),
        ("text.png", b"not an image at all\n" * 9, UNREADABLE),
        ("nan.tiff", tiff(NAN), "NaN or infinite"),
        ("kelvin.tiff", tiff(GREY + np.float32(290)), "--infrared-range"),
        ("integers.tiff", tiff(GREY.astype(np.int32)), "int32 pixels; convert"),
        ("pixel.png", png(GREY[:1, :1]), "1 x 1 pixels; at least 16"),
        ("line.png", png(np.zeros((3, 20000), np.uint8)), "20000 x 3 pixels; at least 16"),
        ("wide.png", png(np.zeros((40, 80), np.uint8)), "differ by 67%, 5% is allowed"),
        ("folder.png", None, "cannot be read ("),
        ("loop.png", "loop.png", "cannot be read ("),
        ("link.png", "../vi/a.png", "given as both visible and infrared"),
        ("gone.png", "gone/gone.png", "cannot be read ("),
    ],
)
def test_a_bad_infrared_file_is_named_and_the_other_pair_is_fused(
    fuser, folder, capfd, name, content, message
):
    bad = folder / "ir" / name
    if content is None:
        bad.mkdir()
    elif isinstance(content, str):
        bad.symlink_to(content)
    else:
        bad.write_bytes(content)
    jobs = [job_of(folder, infrared=f"ir/{name}", out="out/bad.png"), job_of(folder)]
    (failure,), _ = fuse_files(fuser, jobs, Settings())
    assert message in failure
    assert "\n" not in failure
    if name != "link.png":
        assert name in failure
    assert [path.name for path in (folder / "out").iterdir()] == ["a.png"]
    assert capfd.readouterr().err == "", "decoders print beside our own message"


@pytest.mark.parametrize(("kind", "call"), [("read", "read_bytes"), ("written", "write_bytes")])
def test_a_file_without_permission_is_named(fuser, folder, monkeypatch, kind, call):
    job = job_of(folder)
    denied = {"read": job.pair.infrared, "written": job.out}[kind]
    allowed = getattr(pathlib.Path, call)

    def access(path, *content):  # root has every permission
        if denied.name in path.name and path.parent == denied.parent:
            raise PermissionError(13, "Permission denied")
        return allowed(path, *content)

    monkeypatch.setattr(pathlib.Path, call, access)
    failures, _ = fuse_files(fuser, [job], Settings())
    assert failures == [f"{denied}: cannot be {kind} (Permission denied)"]


def test_a_rotation_by_exif_explains_different_shapes(fuser, folder):
    image = Image.open(folder / "vi" / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(folder / "vi" / "turned.jpg", exif=exif)
    (failure,), _ = fuse_files(fuser, [job_of(folder, "vi/turned.jpg")], Settings())
    assert "(the EXIF data of turned.jpg rotate it): their aspect ratios differ" in failure


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "LA", "1", "L"])
def test_other_colour_modes_are_fused(fuser, folder, mode):
    name = "vi/other.jpg" if mode == "CMYK" else "vi/other.png"
    Image.open(folder / "vi" / "a.png").convert(mode).save(folder / name)
    job = job_of(folder, name)
    assert fuse_files(fuser, [job], Settings()) == ([], [])
    fused = images.read_image(job.out)
    assert fused.shape == (40, 48, 1 if mode in ("1", "L") else 3)
    expected = fuser(images.read_image(folder / name), images.read_image(job.pair.infrared)).image
    np.testing.assert_array_equal(fused, expected.reshape(fused.shape))


def test_names_in_any_script_are_kept(fuser, folder):
    names = "vi/gärten und 夜.png", "ir/ночь.png", "out/κτίριο 🏠.png"
    for kind, name in zip(("vi", "ir"), names, strict=False):
        (folder / kind / "a.png").rename(folder / name)
    assert fuse_files(fuser, [job_of(folder, *names)], Settings()) == ([], [])
    assert (folder / names[2]).exists()


def test_a_full_disk_is_reported_and_finished_files_stay(fuser, folder):
    job = job_of(folder)
    assert fuse_files(fuser, [job], Settings())[0] == []
    before = job.out.read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    images.write_png(folder / "vi" / "b.png", noise)
    later = job_of(folder, "vi/b.png", out="out/b.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # acts like a full disk
    try:
        failures, _ = fuse_files(fuser, [later], Settings())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failures == [f"{later.out}: cannot be written (File too large)"]
    assert [path.name for path in job.out.parent.iterdir()] == ["a.png"]
    assert job.out.read_bytes() == before


@pytest.mark.parametrize("size", ["visible", "infrared"])
def test_pairs_of_two_sizes_get_the_chosen_one(fuser, folder, size):
    job = job_of(folder)
    images.write_png(job.pair.infrared, cv2.resize(images.read_image(job.pair.infrared), (24, 20)))
    assert fuse_files(fuser, [job], Settings(size=size)) == ([], [])
    assert images.read_image(job.out).shape == ((40, 48, 3) if size == "visible" else (20, 24, 3))


def test_deep_files_give_the_result_of_their_8_bits(fuser, folder):
    job = job_of(folder)
    fuse_files(fuser, [job], Settings())
    expected = images.read_image(job.out)
    bgr = images.read_image(job.pair.visible)[..., ::-1]
    for name, content in (
        ("vi/deep.png", png(bgr.astype(np.uint16) * 257)),
        ("vi/deep.tiff", tiff(bgr / np.float32(255.0))),
    ):
        (folder / name).write_bytes(content)
        assert fuse_files(fuser, [job_of(folder, name)], Settings()) == ([], [])
        np.testing.assert_array_equal(images.read_image(job.out), expected)
    counts = 7000 + 4 * (255 - GREY.astype(np.uint16))
    settings = Settings(infrared_range=parse_range("7000,8020"), black_hot=True)
    for name, encode in (("ir/thermal.png", png), ("ir/thermal.tiff", tiff)):
        (folder / name).write_bytes(encode(counts))
        assert fuse_files(fuser, [job_of(folder, infrared=name)], settings) == ([], [])
        difference = images.read_image(job.out).astype(int) - expected
        assert np.abs(difference).max() <= 1


def test_unscaled_values_of_few_bits_give_a_warning(fuser, folder):
    for bits, warned in ((12, True), (14, True), (16, False)):
        values = images.read_image(folder / "vi" / "a.png").astype(np.uint16) << bits - 8
        (folder / "vi" / "deep.png").write_bytes(png(values))
        failures, warnings = fuse_files(fuser, [job_of(folder, "vi/deep.png")], Settings())
        assert failures == []
        assert [f"no value above {values.max()} of 65535" in line for line in warnings] == (
            [True] if warned else []
        )


def test_swapped_and_shifted_pairs_give_a_warning_each(fuser, tmp_path):
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
        job = job_of(tmp_path, f"{first}.png", f"{second}.png")
        failures, lines = fuse_files(fuser, [job], Settings())
        assert failures == []
        return lines

    assert warnings("visible", "infrared") == []
    assert warnings("visible", "near") == []
    (line,) = warnings("visible", "shifted")
    assert "shifted by +7 pixels down and -4 to the right" in line
    (line,) = warnings("infrared", "visible")
    assert "are visible and infrared swapped" in line


def test_any_failure_of_a_pair_does_not_stop_the_others(fuser, folder, monkeypatch):
    def fails(out, image):
        if out.name == "bad.png":
            raise MemoryError
        return written(out, image)

    written = images.write_png
    monkeypatch.setattr(images, "write_png", fails)
    job = job_of(folder)
    failures, _ = fuse_files(fuser, [job_of(folder, out="out/bad.png"), job], Settings())
    pair = job.pair
    assert failures == [f"{pair.visible} and {pair.infrared}: MemoryError: no reason given"]
    assert job.out.exists()


def test_attention_is_drawn_for_given_or_strongest_entities(fuser, folder):
    job = job_of(folder)._replace(overlay=folder / "out" / "attention" / "a.png")
    for guidance, panels in (
        (Guidance(("Person", "cars", "car")), 2),
        (Guidance(), 4),
        (UNGUIDED, 1),
    ):
        assert fuse_files(fuser, [job], Settings(guidance)) == ([], [])
        assert images.read_image(job.overlay).shape[1] == panels * 48


def test_threads_and_a_program_for_one_size_do_not_change_results(fuser, tmp_path, monkeypatch):
    outputs = []
    for k in range(7):
        for kind, image in zip(("vi", "ir"), made_up_pair(40, 90, seed=k), strict=True):
            images.write_png(tmp_path / kind / f"{k}.png", image)
    (tmp_path / "ir" / "3.png").write_bytes(b"")
    for threads, equal in ((1, 99), (3, 2)):
        monkeypatch.setattr(files, "EQUAL_SIZES", equal)
        jobs = [
            job_of(tmp_path, f"vi/{k}.png", f"ir/{k}.png", f"{threads}/{k}.png") for k in range(7)
        ]
        failures, _ = fuse_files(fuser, jobs, Settings(), threads)
        assert len(failures) == 1
        outputs.append([images.read_image(job.out) for job in jobs if job.out.exists()])
    assert len(outputs[0]) == 6
    difference = np.asarray(outputs[0]).astype(int) - np.asarray(outputs[1])
    assert np.abs(difference).max() <= 1


def test_an_interruption_keeps_complete_files(fuser, folder, monkeypatch):
    calls, fuse = [], Fuser.__call__

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return fuse(*arguments, **options)

    monkeypatch.setattr(Fuser, "__call__", interrupted)
    jobs = [job_of(folder, out=f"out/{k}.png") for k in range(9)]
    with pytest.raises(KeyboardInterrupt):
        fuse_files(fuser, jobs, Settings(), threads=1)
    written = sorted((folder / "out").iterdir())
    assert [path.name for path in written[:2]] == ["0.png", "1.png"]
    assert len(written) <= 4
    assert all(images.read_image(path).shape == (40, 48, 3) for path in written)
