"""Contact sheets."""

import numpy as np

from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fuser
from egmt_jax.inference.sheets import (
    CELL_HEIGHT,
    CELL_WIDTH,
    GAP,
    attention_panel,
    contact_sheet,
    sample_sheet,
)
from egmt_jax.testing import made_up_pair, text_features, tiny_model


def test_pictures_of_any_kind_and_size_share_a_grid():
    rows = [
        (np.zeros((30, 40), np.uint8), np.full((300, 40, 1), 9, np.uint8)),
        (np.full((10, 500, 3), [1, 2, 3], np.uint8),),
    ]
    sheet = contact_sheet(rows)
    assert sheet.shape == (GAP + 2 * (CELL_HEIGHT + GAP), GAP + 2 * (CELL_WIDTH + GAP), 3)
    middle = GAP + CELL_HEIGHT // 2, GAP + CELL_WIDTH // 2
    assert sheet[middle].tolist() == [0, 0, 0]
    assert sheet[middle[0], middle[1] + CELL_WIDTH + GAP].tolist() == [9, 9, 9]
    assert sheet[middle[0] + CELL_HEIGHT + GAP, middle[1]].tolist() == [1, 2, 3]
    assert sheet[0, 0].tolist() == [255, 255, 255]


def test_a_map_colours_the_places_it_is_high_at_and_no_others():
    picture = np.full((40, 60), 100, np.uint8)
    attention = np.zeros((40, 60), np.float32)
    attention[20:, 30:] = 0.5
    overlay = attention_panel(picture, attention)
    assert (overlay[:20] == 100).all()
    assert (overlay[20:, :30] == 100).all()
    red, _, blue = overlay[30, 45].astype(int)
    assert red > 150
    assert red >= blue
    assert (attention_panel(picture, attention, "car") != overlay)[:20].any()


def test_a_map_of_next_to_nothing_is_next_to_invisible():
    picture = np.full((40, 60), 100, np.uint8)
    overlay = attention_panel(picture, np.full((40, 60), 1e-4))
    assert np.abs(overlay.astype(int) - 100).max() <= 1


def test_samples_show_maps_of_their_entities_or_of_predicted_ones(monkeypatch):
    labels = []

    def panel(picture, attention, label):
        labels.append(label)
        return attention_panel(picture, attention, label)

    monkeypatch.setattr("egmt_jax.inference.sheets.attention_panel", panel)
    visible, infrared = made_up_pair(40, 56)
    model = tiny_model(text_features(len(load_vocabulary())))
    sample_sheet(model, [Pair("a", visible, infrared, (), None)])
    likely = Fuser(model, load_vocabulary().names)(visible, infrared).predicted
    assert labels == list(likely[:2])
    labels.clear()
    sheet = sample_sheet(model, [Pair("a", visible, infrared, ("person", "tree", "road"), None)])
    assert labels == ["person", "tree"]
    assert sheet.shape == (2 * GAP + CELL_HEIGHT, GAP + 5 * (CELL_WIDTH + GAP), 3)
