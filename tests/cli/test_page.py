"""What the page of `egmt app` shows of a pair, without the page."""

import cv2
import numpy as np
import pytest

from egmt_jax.cli import page
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import read_image, to_grey, write_png
from egmt_jax.metrics import METRICS, score_pairs
from egmt_jax.testing import made_up_pair, text_features, tiny_model

NAMES = load_vocabulary().names


@pytest.fixture(scope="module")
def fuser():
    return Fuser(tiny_model(text_features(len(NAMES))), NAMES)


@pytest.fixture
def files(tmp_path):
    """A visible and an infrared picture of 48 x 40 pixels."""
    visible, infrared = made_up_pair(40, 48)
    write_png(tmp_path / "vi.png", visible)
    write_png(tmp_path / "ir.png", infrared)
    return tmp_path / "vi.png", tmp_path / "ir.png"


def test_the_pictures_are_those_of_the_files_and_of_the_fuser(fuser, files):
    result = page.fuse_pair(fuser, *files)
    visible, infrared = map(read_image, files)
    np.testing.assert_array_equal(result.visible, visible)
    np.testing.assert_array_equal(result.infrared, np.repeat(infrared, 3, axis=2))
    np.testing.assert_array_equal(result.picture, fuser(visible, infrared).image)


def test_the_guidance_is_predicted_chosen_or_none(fuser, files):
    pair = tuple(map(read_image, files))
    for guidance, entities, given in (
        (page.PREDICTED, ["dog"], None),  # what is chosen counts when it is asked for
        (page.CHOSEN, ["car", "person"], ["car", "person"]),
        (page.NONE, ["dog"], []),
    ):
        result = page.fuse_pair(fuser, *files, guidance, entities)
        np.testing.assert_array_equal(result.fused.fused, fuser(*pair, given).fused)


def test_the_scores_are_those_of_the_metrics_beside_the_average_of_the_sources(fuser, files):
    result = page.fuse_pair(fuser, *files)
    visible, infrared = (to_grey(read_image(path)) for path in files)
    fused = np.rint(255 * result.fused.fused).astype(np.uint8)
    (row,) = score_pairs([("", fused, visible, infrared)], progress=False)
    assert [name.split()[0] for name, _, _ in result.scores] == list(METRICS)
    assert [value for _, value, _ in result.scores] == [round(row[name], 3) for name in METRICS]
    assert dict((name, plain) for name, _, plain in result.scores)["EN ↑"] > 0


def test_pictures_too_small_to_be_scored_are_fused(fuser, tmp_path):
    for name, image in zip(("vi.png", "ir.png"), made_up_pair(16, 20), strict=True):
        write_png(tmp_path / name, image)
    result = page.fuse_pair(fuser, tmp_path / "vi.png", tmp_path / "ir.png")
    assert result.scores == []
    assert result.picture.shape == (16, 20, 3)


def test_infrared_of_16_bits_and_grey_visible_pictures_are_shown(fuser, tmp_path):
    visible, infrared = made_up_pair(40, 48)
    counts = 27000 + 8 * infrared[..., 0].astype(np.uint16)
    cv2.imwrite(str(tmp_path / "thermal.tiff"), counts)
    write_png(tmp_path / "grey.png", to_grey(visible))
    result = page.fuse_pair(fuser, tmp_path / "grey.png", tmp_path / "thermal.tiff")
    for picture in (result.visible, result.infrared, result.picture):
        assert picture.shape == (40, 48, 3)
        assert picture.dtype == np.uint8
    assert result.infrared.min() == 0
    assert result.infrared.max() == 255


def test_what_is_suspicious_is_told_without_folders(fuser, files):
    visible, _ = files
    swapped = page.fuse_pair(fuser, files[1], visible)
    assert "vi.png: colourful for an infrared picture" in swapped.warnings[0]
    assert str(visible.parent) not in swapped.warnings[0]


def test_bad_files_are_told_by_name_without_folders(fuser, files):
    visible, infrared = files
    folder = visible.parent
    (folder / "text.png").write_text("not a picture")
    write_png(folder / "other.png", made_up_pair(40, 80)[1])
    write_png(folder / "small.png", made_up_pair(12, 48)[1])
    for pair, message in (
        ((folder / "text.png", infrared), r"^text\.png: not a readable image"),
        ((visible, folder / "other.png"), r"^vi\.png has 48 x 40 pixels, other\.png 80 x 40"),
        ((visible, folder / "small.png"), r"^small\.png: 48 x 12 pixels; at least 16"),
        ((visible, visible), r"^vi\.png: one file is both visible and infrared"),
        ((visible, None), "^no infrared picture"),
        ((None, infrared), "^no visible picture"),
    ):
        with pytest.raises(UserError, match=message):
            page.fuse_pair(fuser, *pair)


def test_choosing_nothing_or_too_much_is_told(fuser, files):
    with pytest.raises(UserError, match="no entity is chosen"):
        page.fuse_pair(fuser, *files, page.CHOSEN)
    with pytest.raises(UserError, match="at most 8"):
        page.fuse_pair(fuser, *files, page.CHOSEN, NAMES[:9])


def test_all_entities_are_offered_the_likeliest_first(fuser, files):
    assert [name for _, name in page.choices(NAMES)] == list(NAMES)
    fused = page.fuse_pair(fuser, *files).fused
    offered = page.choices(NAMES, fused)
    probabilities = [fused.probabilities[name] for _, name in offered]
    assert sorted(name for _, name in offered) == sorted(NAMES)
    assert probabilities == sorted(probabilities, reverse=True)
    assert offered[0][0] == f"{offered[0][1]} ({probabilities[0]:.0%})"


def test_what_is_predicted_is_chosen_first(fuser, files):
    assert page.first_choice(None) == []
    fused = page.fuse_pair(fuser, *files).fused
    assert len(fused.predicted) > 8, "a tiny model is undecided about everything"
    assert page.first_choice(fused) == list(fused.predicted[:8])


def test_attention_is_drawn_for_what_guided_the_strongest_first(fuser, files):
    fused = page.fuse_pair(fuser, *files).fused
    looked_at = page.looked_at(fused)
    peaks = [fused.attention(name).max() for _, name in looked_at]
    assert sorted(name for _, name in looked_at) == sorted(NAMES)
    assert peaks[0] == pytest.approx(max(peaks), rel=0.05)  # of cells, here of pixels
    assert page.attention_picture(fused, looked_at[0][1]).shape == (40, 48, 3)


def test_without_guidance_there_is_no_attention(fuser, files):
    assert page.attention_picture(None, "person") is None  # as after hours
    fused = page.fuse_pair(fuser, *files, page.NONE).fused
    assert page.looked_at(fused) == []
    assert page.attention_picture(fused, None) is None
    assert page.attention_picture(fused, "person") is None


def test_examples_are_pairs_that_can_be_fused(fuser, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "EXAMPLE_SIZE", (64, 48))
    monkeypatch.setattr(page, "EXAMPLES", (("day", ("person",)), ("night", ())))
    day, night = page.write_examples(tmp_path)
    assert (day.time, night.time) == ("day", "night")
    assert page.fuse_pair(fuser, night.visible, night.infrared).picture.shape == (48, 64, 3)
