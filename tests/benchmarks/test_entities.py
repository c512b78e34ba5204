import numpy as np
import pytest
from entities import (
    classifier_section,
    effect,
    group,
    point,
    pointing_section,
    steering_section,
    summarise,
)

from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.fuser import Fuser
from egmt_jax.testing import made_up_pair, text_features, tiny_model


def scenes(count=3):
    """The left tenth is a car, the rest sky."""
    found = []
    for k in range(count):
        visible, infrared = made_up_pair(40, 60, seed=k)
        masks = np.zeros((2, 40, 60), np.uint8)
        masks[0, :, :6], masks[1, :, 6:] = 255, 255
        found.append(Pair(str(k), visible, infrared, ("car", "sky"), masks))
    return found


def test_what_points_into_the_mask_is_found_and_the_area_is_chance():
    class AlwaysLeft:
        def __call__(self, visible, infrared, entities):
            return self

        def attention(self, entity):
            return np.linspace(1.0, 0.0, 60, dtype=np.float32) * np.ones((40, 1), np.float32)

    rows = point(AlwaysLeft(), scenes())
    car, sky = (
        summarise([row for row in rows if row["entity"] == name]) for name in ("car", "sky")
    )
    assert (car["found"], car["count"], car["middle"]) == (1.0, 3, 0.0)
    assert car["chance"] == pytest.approx(0.1)
    assert (sky["found"], sky["middle"]) == (0.0, 1.0)
    table = pointing_section({"real pairs": group(rows + rows)})
    assert "### Real pairs" in table
    assert "| sky | 6 | 0.000 [0.000, 0.000] | 0.900 | 1.000 |" in table
    assert "| sky |" not in pointing_section({"few": group(rows)})
    both = summarise(rows)
    assert both["low"] <= both["found"] == 0.5 <= both["high"]


def test_steering_tells_the_change_in_grey_levels_and_how_often_it_rises():
    cases = [("a", 0.3, 0.2), ("a", 0.2, 0.2), ("b", 0.1, 0.2), ("c", 0.4, 0.2)]
    found = effect([{"id": i, "named": n, "not_named": o} for i, n, o in cases])
    assert (found["pairs"], found["count"]) == (3, 4)
    assert found["change"] == pytest.approx(255.0 * 0.05)
    assert (found["relative"], found["rises"]) == (pytest.approx(0.25), 0.625)
    low, high = found["rises_interval"]
    assert 0.0 <= low < 0.625 < high <= 1.0
    alone = effect([{"id": "a", "named": n, "not_named": 0.2} for n in (0.1, 0.2, 0.3, 0.5)])
    assert alone["change_interval"] == [alone["change"]] * 2  # things of one pair are no sample
    line = steering_section({"real pairs": found}).splitlines()[-1]
    assert line.startswith("| real pairs | 3 | 4 | 12.7 [")
    assert " | 25.0 % | 62.5 [" in line


def test_the_table_of_the_classifier_gives_gain_over_chance():
    entity = {"AP": 0.6, "prevalence": 0.2, "positives": 24}
    text = classifier_section({"pairs": 120, "entities": {"bus": entity}})
    assert "| bus | 24 | 0.200 | 0.600 | 0.500 |" in text


@pytest.mark.slow
def test_a_model_points_for_every_entity_and_one_without_attention_for_none():
    names = load_vocabulary().names
    features = text_features(len(names))
    assert len(point(Fuser(tiny_model(features), names), scenes())) == 6
    blind = Fuser(tiny_model(features, entity_level="none"), names)
    assert point(blind, scenes()) == []
