"""Image files: decoding, luma, atomic writes."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair


def test_colour_and_grey_files_come_back_as_written(tmp_path):
    visible, infrared = made_up_pair(20, 30)
    images.write_png(tmp_path / "visible.png", visible)
    images.write_png(tmp_path / "infrared.png", infrared)
    np.testing.assert_array_equal(images.read_image(tmp_path / "visible.png"), visible)
    np.testing.assert_array_equal(images.read_image(tmp_path / "infrared.png"), infrared)


def test_alpha_is_dropped(tmp_path):
    bgra = np.random.default_rng(0).integers(0, 255, (8, 9, 4), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), bgra[..., 2::-1])


def test_luma_is_opencvs_grey():
    visible, infrared = made_up_pair(20, 30)
    expected = np.rint(visible @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(images.to_grey(visible) - expected).max() <= 1
    np.testing.assert_array_equal(images.to_grey(infrared), infrared[..., 0])


@pytest.mark.parametrize(
    ("dtype", "most", "tolerance"),
    [("u1", 255, 2), ("u2", 65535, 2), ("f4", 1, 2e-3), ("f2", 1, 4e-3)],
)
def test_with_chroma_keeps_luma_and_hue(dtype, most, tolerance):
    visible, _ = made_up_pair(20, 30)
    luma = images.to_grey(visible).astype(np.float64) / 255.0
    visible = (visible / 255.0 * most).astype(dtype)
    alpha = np.concatenate([visible, visible[..., :1]], axis=2)
    same = images.with_chroma((luma * most).astype(dtype), alpha)
    assert same.dtype == visible.dtype
    np.testing.assert_allclose(same, visible, atol=tolerance + most * 3e-3)
    darker = images.with_chroma((luma * 0.8 * most).astype(dtype), visible).astype(np.float64)
    error = darker @ np.array([0.299, 0.587, 0.114]) / most - luma * 0.8
    assert np.abs(error).mean() < 0.008
    assert images.is_colourful(visible)
    assert not images.is_colourful(visible[..., :1])
    assert not images.is_colourful(np.repeat(visible[..., :1], 3, axis=2))


@pytest.mark.parametrize("content", [b"", b"GIF89a nonsense", b"\x89PNG\r\n\x1a\n rest is missing"])
def test_unreadable_images_are_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.png: not a readable image"):
        images.read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    visible, _ = made_up_pair(64, 64)
    encoded = cv2.imencode(suffix, visible)[1].tobytes()
    path = tmp_path / f"half{suffix}"
    path.write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(UserError, match="not a readable image"):
        images.read_image(path)


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_photograph(tmp_path):
    visible, _ = made_up_pair(64, 64)
    photograph = cv2.imencode(".jpg", visible)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", visible[::8, ::8])[1].tobytes()
    header = b"\xff\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    encoded = photograph[:2] + header + photograph[2:]
    (tmp_path / "complete.jpg").write_bytes(encoded)
    expected = images.decode_image(photograph, "photograph")
    np.testing.assert_array_equal(images.read_image(tmp_path / "complete.jpg"), expected)
    (tmp_path / "half.jpg").write_bytes(encoded[: -len(photograph) // 4])
    with pytest.raises(UserError, match="not a readable image"):
        images.read_image(tmp_path / "half.jpg")


def test_missing_files_and_deep_pixels_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        images.read_image(tmp_path / "none.png")
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(UserError, match=r"deep\.png: uint16 pixels"):
        images.read_image(tmp_path / "deep.png")


def with_orientation(encoded: bytes, orientation: int) -> bytes:
    """A JPEG with an APP1 segment in front that holds nothing but the EXIF orientation tag."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + encoded[2:]


def test_exif_rotation_is_applied_and_detected(tmp_path):
    upright = np.full((24, 32), 200, np.uint8)
    upright[:8, :16] = 30
    plain = cv2.imencode(".jpg", np.rot90(upright))[1].tobytes()
    rotated = with_orientation(plain, 6)  # 90 degrees clockwise
    (tmp_path / "a.jpg").write_bytes(rotated)
    np.testing.assert_allclose(images.read_image(tmp_path / "a.jpg")[..., 0], upright, atol=12)
    np.testing.assert_array_equal(
        images.read_image(tmp_path / "a.jpg"), images.read_image(tmp_path / "a.jpg", deep=True)
    )
    detected = [images.has_exif_rotation(with_orientation(plain, k)) for k in range(1, 9)]
    assert detected == [False] + [True] * 7
    assert not images.has_exif_rotation(plain)
    assert not images.has_exif_rotation(b"not an image")


def test_float64_is_read_as_float32(tmp_path):
    values = np.linspace(0.0, 300.0, 64).reshape(8, 8)
    cv2.imwrite(str(tmp_path / "deep.tiff"), values)
    image = images.read_image(tmp_path / "deep.tiff", deep=True)
    np.testing.assert_array_equal(image[..., 0], values.astype(np.float32), strict=True)


def test_huge_images_are_refused_before_decoding(tmp_path):
    encoded = bytearray(images.encode_png(np.zeros((8, 8), np.uint8)))
    encoded[16:24] = struct.pack(">II", 40_000, 40_000)
    encoded[29:33] = struct.pack(">I", zlib.crc32(bytes(encoded[12:29])))
    (tmp_path / "bomb.png").write_bytes(encoded)
    with pytest.raises(UserError, match=r"bomb\.png: more than 1073741824 pixels"):
        images.read_image(tmp_path / "bomb.png")


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b.txt"
    images.write_atomically(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=r"b\.txt: cannot be written \(No space left"):
        images.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["b.txt"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        images.write_atomically(tmp_path / "b.txt", b"new")
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_before_work_and_nothing_is_created(tmp_path, monkeypatch):
    images.check_writable(tmp_path / "new" / "table.csv")
    images.check_writable(tmp_path / "new" / "folder", folder=True)
    assert not any(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    images.check_writable(tmp_path / "empty", folder=True)
    with pytest.raises(UserError, match="empty: is a folder; name a file"):
        images.check_writable(tmp_path / "empty")
    (tmp_path / "file").touch()
    images.check_writable(tmp_path / "file")
    for path in (tmp_path / "file" / "table.csv", tmp_path / ("n" * 300)):
        for folder in (False, True):
            with pytest.raises(UserError, match="cannot be written"):
                images.check_writable(path, folder)
        with pytest.raises(UserError, match="cannot be written"):
            images.write_atomically(path, b"new")
    with pytest.raises(UserError, match="file: is a file; name a new folder"):
        images.check_writable(tmp_path / "file", folder=True)
    with pytest.raises(UserError, match="is not empty; name a new folder"):
        images.check_writable(tmp_path, folder=True)
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match="is the current folder"):
        images.check_writable(".", folder=True)


def test_names_are_in_natural_order():
    names = ["frame", "frame1", "frame9", "frame09b", "frame10", "frame81", "frame100a2", "zoo"]
    assert sorted(reversed(names), key=images.natural_key) == names
    assert images.summarise(["a10", "a9", "a8"], 2) == "a8, a9 and 1 more"


def test_chroma_is_zero_for_greys_and_half_at_most_for_pure_colours():
    colours = np.uint8([[[90, 90, 90], [0, 0, 255], [255, 0, 0]]])
    found = images.chroma(colours)
    assert found.dtype == np.float32
    expected = [[[0.0, 0.0], [0.5, -0.081], [-0.169, 0.5]]]  # Cb and Cr of BT.601
    np.testing.assert_allclose(found, expected, atol=2e-3)
    for other in (colours.astype(np.uint16) * 257, colours / np.float32(255.0)):
        np.testing.assert_allclose(images.chroma(other), found, atol=1e-5)
