"""The content of the page of `egmt app`, without the page."""

import dataclasses

import cv2
import numpy as np
import pytest

from egmt_jax.cli import page
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import by_names
from egmt_jax.io.images import read_image, to_grey, write_png
from egmt_jax.metrics import METRICS, score_pairs
from egmt_jax.testing import made_up_pair


@pytest.fixture
def files(tmp_path):
    """A visible and an infrared image of 48 x 40 pixels."""
    for name, image in zip(("vi.png", "ir.png"), made_up_pair(40, 48), strict=True):
        write_png(tmp_path / name, image)
    return tmp_path / "vi.png", tmp_path / "ir.png"


@pytest.mark.parametrize(
    ("guidance", "entities", "given"),
    [
        (page.PREDICTED, ["dog"], None),  # choices count only with CHOSEN
        (page.CHOSEN, ["car", "person"], ["car", "person"]),
        (page.NONE, ["dog"], []),
    ],
)
def test_the_images_equal_the_files_and_a_fusion(fuser, files, guidance, entities, given):
    visible, infrared = map(read_image, files)
    result = page.fuse_pair(fuser, *files, guidance, entities)
    np.testing.assert_array_equal(result.visible, visible)
    np.testing.assert_array_equal(result.infrared, np.repeat(infrared, 3, axis=2))
    np.testing.assert_array_equal(result.picture, fuser(visible, infrared, by_names(given)).image)


def test_the_scores_are_the_metrics_beside_the_average_of_the_sources(fuser, files, tmp_path):
    result = page.fuse_pair(fuser, *files)
    visible, infrared = (to_grey(read_image(path)) for path in files)
    luma = np.rint(255 * result.fused.luma).astype(np.uint8)
    (row,) = score_pairs([("", luma, visible, infrared)], progress=False)
    assert [name.split()[0] for name, _, _ in result.scores] == list(METRICS)
    assert [value for _, value, _ in result.scores] == [round(row[name], 3) for name in METRICS]
    assert {name: plain for name, _, plain in result.scores}["EN ↑"] > 0
    for path, image in zip(files, made_up_pair(16, 20), strict=True):
        write_png(path, image)
    small = page.fuse_pair(fuser, *files)
    assert small.scores == []
    assert small.picture.shape == (16, 20, 3)


def test_16_bit_infrared_and_grey_visible_images_are_shown(fuser, tmp_path):
    visible, infrared = made_up_pair(40, 48)
    cv2.imwrite(str(tmp_path / "ir.tiff"), 27000 + 8 * infrared[..., 0].astype(np.uint16))
    write_png(tmp_path / "grey.png", to_grey(visible))
    result = page.fuse_pair(fuser, tmp_path / "grey.png", tmp_path / "ir.tiff")
    for picture in (result.visible, result.infrared, result.picture):
        assert picture.shape == (40, 48, 3)
        assert picture.dtype == np.uint8
    assert (result.infrared.min(), result.infrared.max()) == (0, 255)


def test_warnings_and_errors_name_files_without_folders(fuser, files):
    visible, infrared = files
    folder = visible.parent
    (warning,) = page.fuse_pair(fuser, infrared, visible).warnings
    assert warning.startswith("vi.png: has colours")
    (folder / "text.png").write_text("not an image")
    write_png(folder / "other.png", made_up_pair(40, 80)[1])
    write_png(folder / "small.png", made_up_pair(12, 48)[1])
    for pair, message in (
        ((folder / "text.png", infrared), r"^text\.png: not a readable image"),
        ((visible, folder / "other.png"), r"^vi\.png has 48 x 40 pixels, other\.png 80 x 40"),
        ((visible, folder / "small.png"), r"^small\.png: 48 x 12 pixels; at least 16"),
        ((visible, visible), r"^vi\.png: given as both visible and infrared"),
        ((visible, None), "^no infrared image"),
        ((None, infrared), "^no visible image"),
    ):
        with pytest.raises(UserError, match=message):
            page.fuse_pair(fuser, *pair)
    with pytest.raises(UserError, match="no entity is chosen"):
        page.fuse_pair(fuser, *files, page.CHOSEN)
    with pytest.raises(UserError, match="at most 8"):
        page.fuse_pair(fuser, *files, page.CHOSEN, fuser.names[:9])


def test_entities_are_offered_by_probability_and_the_predicted_ones_chosen(fuser, files):
    names = fuser.names
    assert page.preselect(page.CHOSEN, [], None) == []
    likely = {name: 0.99 - 0.03 * k for k, name in enumerate(names)}  # 17 above a half
    fused = dataclasses.replace(page.fuse_pair(fuser, *files).fused, probabilities=likely)
    offered = page.choices(fused)
    probabilities = [fused.probabilities[name] for _, name in offered]
    assert sorted(name for _, name in offered) == sorted(names)
    assert probabilities == sorted(probabilities, reverse=True)
    assert offered[0][0] == f"{offered[0][1]} ({probabilities[0]:.0%})"
    assert page.preselect(page.CHOSEN, [], fused) == list(fused.predicted[:8])
    assert page.preselect(page.CHOSEN, ["dog"], fused) == ["dog"]
    assert page.preselect(page.NONE, [], fused) == []


def test_attention_is_drawn_for_guides_the_strongest_first(fuser, files):
    fused = page.fuse_pair(fuser, *files).fused
    offered = page.attention_choices(fused)
    peaks = [fused.attention(name).max() for _, name in offered]
    assert sorted(name for _, name in offered) == sorted(fuser.names)
    assert peaks[0] == pytest.approx(max(peaks), rel=0.05)  # of cells, here of pixels
    assert page.attention_picture(fused, offered[0][1]).shape == (40, 48, 3)
    plain = page.fuse_pair(fuser, *files, page.NONE).fused
    assert page.attention_choices(plain) == []
    for fusion, entity in ((plain, None), (plain, "person"), (None, "person")):
        assert page.attention_picture(fusion, entity) is None


def test_examples_are_pairs_that_can_be_fused(fuser, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "EXAMPLE_SIZE", (64, 48))
    monkeypatch.setattr(page, "EXAMPLES", (("day", ("person",)), ("night", ())))
    day, night = page.write_examples(tmp_path)
    assert (day.time, night.time) == ("day", "night")
    halves = np.split(day.picture, 2, axis=1)
    np.testing.assert_array_equal(halves[0], read_image(day.visible)[:, :32])
    np.testing.assert_array_equal(halves[1][..., :1], read_image(day.infrared)[:, 32:])
    assert page.fuse_pair(fuser, night.visible, night.infrared).picture.shape == (48, 64, 3)
