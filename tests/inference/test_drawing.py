"""Attention over images, and contact sheets."""

import numpy as np

from egmt_jax.inference import drawing
from egmt_jax.inference.drawing import CELL, GAP, attention_panel, contact_sheet, sample_sheet
from egmt_jax.io.pairs import Pair
from egmt_jax.models import UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair

GREY = np.full((40, 60, 3), 100, np.uint8)


def test_images_of_any_kind_and_size_share_a_grid():
    rows = [
        (np.zeros((30, 40), np.uint8), np.full((300, 40, 1), 9, np.uint8)),
        (np.full((10, 500, 3), [1, 2, 3], np.uint8),),
    ]
    sheet = contact_sheet(rows)
    height, width = CELL
    assert sheet.shape == (GAP + 2 * (height + GAP), GAP + 2 * (width + GAP), 3)
    middle = GAP + height // 2, GAP + width // 2
    assert sheet[middle].tolist() == [0, 0, 0]
    assert sheet[middle[0], middle[1] + width + GAP].tolist() == [9, 9, 9]
    assert sheet[middle[0] + height + GAP, middle[1]].tolist() == [1, 2, 3]
    assert sheet[0, 0].tolist() == [255, 255, 255]


def test_attention_colours_only_where_it_is_high():
    attention = np.zeros((40, 60), np.float32)
    attention[20:, 30:] = 0.5
    panel = attention_panel(GREY, attention)
    assert (panel[:20] == 100).all()
    assert (panel[20:, :30] == 100).all()
    red, _, blue = panel[30, 45].astype(int)
    assert red > 150
    assert red >= blue
    labelled = attention_panel(np.tile(GREY, (5, 5, 1)), np.tile(attention, (5, 5)), "car")
    assert labelled.shape[0] > 200
    assert labelled[200:].max() > 200
    faint = attention_panel(GREY, np.full((40, 60), 1e-4))
    assert np.abs(faint.astype(int) - 100).max() <= 1


def test_an_overlay_has_a_panel_per_entity(fuser):
    visible, infrared = made_up_pair(40, 48)
    named = fuser(visible, infrared, Guidance(("person", "car")))
    panels = drawing.overlay(named, named.guides)
    assert panels.shape[1:] == (2 * 48, 3)
    assert np.abs(panels[:40, :48].astype(int) - panels[:40, 48:]).max() > 5
    assert drawing.overlay(fuser(visible, infrared)).shape[1] == 4 * 48
    plain = fuser(visible, infrared, UNGUIDED)
    np.testing.assert_array_equal(drawing.overlay(plain), plain.image)
    deep = fuser(visible.astype(np.uint16) * 257, infrared, UNGUIDED)
    assert np.abs(drawing.as_rgb(deep.image).astype(int) - plain.image).max() <= 3


def test_samples_show_attention_to_their_entities_or_to_predicted_ones(fuser, monkeypatch):
    labels = []

    def panel(picture, attention, label):
        labels.append(label)
        return attention_panel(picture, attention, label)

    monkeypatch.setattr(drawing, "attention_panel", panel)
    monkeypatch.setattr(drawing, "Fuser", lambda model, names: fuser)
    pair = made_up_pair(40, 56)
    sample_sheet(fuser.model, [Pair("a", *pair)])
    assert labels == list(fuser(*pair).predicted[:2])
    labels.clear()
    sheet = sample_sheet(fuser.model, [Pair("a", *pair, ("person", "tree", "road"))])
    assert labels == ["person", "tree"]
    assert sheet.shape == (2 * GAP + CELL[0], GAP + 5 * (CELL[1] + GAP), 3)
