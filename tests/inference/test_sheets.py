"""Contact sheets."""

import numpy as np

from egmt_jax.inference.sheets import CELL_HEIGHT, CELL_WIDTH, GAP, contact_sheet


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
