import numpy as np
import pytest

from egmt_jax.io.outlines import paint


def test_a_box_covers_the_same_part_at_any_size():
    for width, height in ((1000, 600), (200, 120), (50, 30)):
        (mask,) = paint({"car": [[200, 100, 600, 400]]}, ["car"], height, width)
        assert mask.shape == (height, width)
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(np.array(bounds) * 1000 / width, [200, 100, 600, 400], atol=1e-9)


def test_masks_keep_their_share_of_the_area_at_any_size():
    outlines = {"person": [[x, 300, x + 20, 370] for x in range(10, 900, 37)]}
    areas = [paint(outlines, ["person"], 3 * width // 4, width).mean() for width in (1280, 128)]
    assert areas[1] == pytest.approx(areas[0], rel=0.1)


def test_the_smaller_of_two_outlines_is_in_front():
    road, car = [[0, 300, 1000, 300, 1000, 600, 0, 600]], [[400, 350, 500, 450]]
    for outlines in ({"road": road, "car": car}, {"car": car, "road": road}):
        masks = paint(outlines, ["road", "car"], 60, 100)
        assert not (masks[0] & masks[1]).any()
        assert masks[1][35:45, 40:50].all()
        assert masks[0][55].all()


def test_a_mask_covers_all_outlines_of_an_entity():
    outlines = {"person": [[0, 0, 100, 100], [500, 0, 600, 100]], "dog": []}
    person, dog, cat = paint(outlines, ["person", "dog", "cat"], 50, 100)
    assert person[5, 5]
    assert person[5, 55]
    assert not person[5, 30]
    assert not dog.any()
    assert not cat.any()


def test_other_entities_hide_what_is_behind_them():
    outlines = {"sky": [[0, 0, 1000, 500]], "bird": [[100, 100, 200, 200]]}
    (sky,) = paint(outlines, ["sky"], 50, 100)
    assert not sky[15, 15]
    assert sky[30, 50]
