import numpy as np
import pytest

from egmt_jax.io import outlines as regions


def test_a_box_covers_the_same_part_of_a_copy_of_any_size():
    for width, height in ((1000, 600), (200, 120), (50, 30)):
        (mask,) = regions.paint({"car": [[200, 100, 600, 400]]}, ["car"], height, width)
        assert mask.shape == (height, width)
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(np.array(bounds) * 1000 / width, [200, 100, 600, 400], atol=1e-9)


def test_small_things_are_not_larger_in_a_small_copy():
    outlines = {"person": [[x, 300, x + 20, 370] for x in range(10, 900, 37)]}
    areas = [
        regions.paint(outlines, ["person"], 3 * width // 4, width).mean() for width in (1280, 128)
    ]
    assert areas[1] == pytest.approx(areas[0], rel=0.1)


def test_the_smaller_of_two_outlines_is_in_front_whatever_their_order():
    road, car = [[0, 300, 1000, 300, 1000, 600, 0, 600]], [[400, 350, 500, 450]]
    for outlines in ({"road": road, "car": car}, {"car": car, "road": road}):
        masks = regions.paint(outlines, ["road", "car"], 60, 100)
        assert not (masks[0] & masks[1]).any()
        assert masks[1][35:45, 40:50].all()
        assert masks[0][55].all()


def test_all_outlines_of_an_entity_count_and_one_that_was_not_found_is_nowhere():
    outlines = {"person": [[0, 0, 100, 100], [500, 0, 600, 100]], "dog": []}
    person, dog, cat = regions.paint(outlines, ["person", "dog", "cat"], 50, 100)
    assert person[5, 5]
    assert person[5, 55]
    assert not person[5, 30]
    assert not dog.any()
    assert not cat.any()


def test_what_is_not_asked_for_hides_what_lies_behind_it():
    outlines = {"sky": [[0, 0, 1000, 500]], "bird": [[100, 100, 200, 200]]}
    (sky,) = regions.paint(outlines, ["sky"], 50, 100)
    assert not sky[15, 15]
    assert sky[30, 50]
