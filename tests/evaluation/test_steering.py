"""Steering: contrast in a mask, with the entity named and with one that is not there."""

import numpy as np
import pytest

from egmt_jax.data.pipeline import Pair
from egmt_jax.evaluation.steering import contrast, steering
from egmt_jax.testing import made_up_pair


def pairs(entities=("sky", "car", "dog")):
    """Of 40 x 60 pixels: the first entity fills the upper half, each other one a small square."""
    found = []
    for k in range(3):
        masks = np.zeros((len(entities), 40, 60), np.uint8)
        masks[0, :20] = 255
        for n in range(1, len(entities)):
            masks[n, 24:34, 20 * n - 10 : 20 * n] = 255
        found.append(Pair(str(k), *made_up_pair(40, 60, seed=k), entities, masks))
    nothing = np.zeros((1, 40, 60), np.uint8)
    return [*found, Pair("other", *made_up_pair(40, 60), ("tree",), nothing)]


class Shows:
    """Brightens the mask of whatever is named, by a tenth for each letter of its name."""

    def __init__(self):
        self.fused = None

    def __call__(self, visible, infrared, entities):
        (name,) = entities
        self.fused = np.zeros((40, 60), np.float32)
        for pair in pairs():
            if name in pair.entities:
                self.fused[pair.masks[pair.entities.index(name)] > 0] = 0.1 * len(name)
        return self


def test_contrast_is_that_of_the_mask_against_what_lies_around_it():
    image, mask = np.full((40, 60), 0.2, np.float32), np.zeros((40, 60), bool)
    mask[10:20, 10:20] = True
    image[mask] = 0.7
    image[:, 50:] = 1.0  # far away
    assert contrast(image, mask) == pytest.approx(0.5)
    assert contrast(1.0 - image, mask) == pytest.approx(0.5)


def test_the_most_salient_thing_that_is_small_is_named_and_one_that_is_not_there():
    rows = steering(Shows(), pairs())
    assert [(row["id"], row["entity"], row["absent"]) for row in rows] == [
        (str(k), "car", "tree") for k in range(3)
    ]
    for row in rows:
        assert row["named"] == pytest.approx(0.3)
        assert row["not_named"] == 0.0


def test_more_things_of_a_pair_are_named_one_at_a_time():
    rows = steering(Shows(), pairs(), most=8)
    assert [row["entity"] for row in rows] == ["car", "dog"] * 3
    assert [row["named"] for row in rows] == pytest.approx([0.3] * 6)
