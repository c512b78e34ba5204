"""The contrast of an entity when it is named, and when an absent one is."""

import numpy as np
import pytest

from egmt_jax.evaluation.steering import contrast, steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.pairs import Pair
from egmt_jax.testing import made_up_pair


def pairs(entities=("sky", "car", "dog")):
    """Of 40 x 60 pixels: the first entity fills the upper half, each other one a small square."""
    found = []
    for k in range(3):
        masks = {name: np.zeros((40, 60), np.uint8) for name in entities}
        masks[entities[0]][:20] = 255
        for n, name in enumerate(entities[1:], 1):
            masks[name][24:34, 20 * n - 10 : 20 * n] = 255
        found.append(Pair(str(k), *made_up_pair(40, 60, seed=k), entities, masks=masks))
    nothing = {"tree": np.zeros((40, 60), np.uint8)}
    without = Pair("no masks", *made_up_pair(40, 60), ("tree",))
    return [*found, Pair("other", *made_up_pair(40, 60), ("tree",), masks=nothing), without]


class Named(Fuser):
    """Brightens the mask of the named entity, by a tenth for each letter of its name."""

    def __init__(self):
        self.luma = None

    def __call__(self, visible, infrared, guidance):
        (name,) = guidance.names
        self.luma = np.zeros((40, 60), np.float32)
        for pair in pairs():
            if pair.masks and name in pair.masks:
                self.luma[pair.masks[name] > 0] = 0.1 * len(name)
        return self


def test_contrast_compares_the_mask_with_its_surround():
    image, mask = np.full((40, 60), 0.2, np.float32), np.zeros((40, 60), bool)
    mask[10:20, 10:20] = True
    image[mask] = 0.7
    image[:, 50:] = 1.0  # outside the surround
    assert contrast(image, mask) == pytest.approx(0.5)
    assert contrast(1.0 - image, mask) == pytest.approx(0.5)


def test_the_most_salient_small_entity_and_an_absent_one_are_named():
    rows = steering(Named(), pairs())
    assert [(row["id"], row["entity"], row["absent"]) for row in rows] == [
        (str(k), "car", "tree") for k in range(3)
    ]
    for row in rows:
        assert row["named"] == pytest.approx(0.3)
        assert row["not_named"] == 0.0


def test_more_entities_of_a_pair_are_named_one_at_a_time():
    rows = steering(Named(), pairs(), most=8)
    assert [row["entity"] for row in rows] == ["car", "dog"] * 3
    assert [row["named"] for row in rows] == pytest.approx([0.3] * 6)
