import types

import numpy as np
import pytest
from entities import SEGMENTED, point, pointing_summary, score_classifier, segment, to_markdown
from evidence import UserError, steering_effect

from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.pairs import Pair
from egmt_jax.testing import made_up_pair, tiny_model


def scenes(count=3):
    """The left tenth is a car, the rest is sky; a person is absent, a dog has no mask."""
    found = []
    for k in range(count):
        car, sky = np.zeros((2, 40, 60), np.uint8)
        car[:, :6], sky[:, 6:] = 255, 255
        masks = {"car": car, "sky": sky, "person": np.zeros_like(car)}
        found.append(Pair(str(k), *made_up_pair(40, 60, seed=k), ("car", "dog"), None, masks))
    return found


class AlwaysLeft:
    """Attends to the left border."""

    def __call__(self, visible, infrared, guidance):
        return self

    def attention(self, entity):
        return np.linspace(1.0, 0.0, 60, dtype=np.float32) * np.ones((40, 1), np.float32)


def test_pointing_is_found_in_the_mask_and_its_area_is_chance():
    rows = point(AlwaysLeft(), scenes())
    summary = pointing_summary(rows)
    car, sky = summary["car"], summary["sky"]
    assert (car["count"], car["found"][0], car["centre"]) == (3, 1.0, 0.0)
    assert (sky["found"][0], sky["centre"]) == (0.0, 1.0)
    assert car["chance"] == pytest.approx(0.1)
    assert summary["all"]["count"] == 6
    assert summary["all but the large"] == car
    mean, low, high = summary["all"]["found"]
    assert low <= mean == 0.5 <= high


def test_classifier_is_scored_on_everything_present_in_entities_that_are_rare_enough():
    names = "person", "car", "tree"

    def classify(visible, infrared, guidance):
        values = (0.9, visible.mean() / 255, 0.5)
        return types.SimpleNamespace(probabilities=dict(zip(names, values, strict=True)))

    classify.names = names
    grey = np.zeros((17, 17, 1), np.uint8)
    pairs = [
        Pair(f"{k}", grey + np.uint8(k), grey, (), ("person", "car")[: 1 + (k >= 10)])
        for k in range(15)
    ]
    pairs.append(Pair("unseen", grey, grey, ("car",), None))  # nobody looked
    scores = score_classifier(classify, pairs)
    assert scores["pairs"] == 15
    assert scores["entities"] == {
        "car": {"positives": 5, "prevalence": pytest.approx(1 / 3), "AP": 1.0, "gain": 1.0}
    }
    with pytest.raises(UserError, match="no pair lists what is present"):
        score_classifier(classify, pairs[-1:])


def test_page_has_a_row_per_entity_with_enough_cases():
    entity = {"AP": 0.6, "prevalence": 0.2, "positives": 24, "gain": 0.5}
    rows = point(AlwaysLeft(), scenes(6))
    rows += [row for row in rows if row["entity"] == "sky"][:1]
    rows += [rows[0] | {"entity": "dog"}]
    steered = steering_effect([{"id": k, "named": 0.3, "not_named": 0.2} for k in "ab"])
    classifier = {"pairs": 120, "entities": {"bus": entity}}
    pointing, segmented = {"x": pointing_summary(rows)}, {"car": 0.25, "mean": 0.125}
    page = to_markdown(classifier, pointing, {"x": steered}, segmented, "A run")
    assert "| 0.250 | 0.125 |" in page
    assert "| bus | 24 | 0.200 | 0.600 | 0.500 |" in page
    assert "| mean |  | 0.200 | 0.600 | 0.500 |" in page
    assert "### X" in page
    assert "| sky | 7 | 0.000 [0.000, 0.000] | 0.900 | 1.000 |" in page
    assert "| dog |" not in page
    assert "| x | 2 | 2 | 25.5 [25.5, 25.5] | 50.0 % | 100.0 [100.0, 100.0] % |" in page


def test_segmentation_sums_attention_per_class():
    names = tuple(name for group in SEGMENTED.values() for name in group)
    grid = np.zeros((4, 6, len(names)))
    grid[:, :3, names.index("van")], grid[:, :3, names.index("truck")] = 0.3, 0.3
    grid[:, 3:, names.index("person")] = 0.4  # less than nothing and everything else
    fusion = types.SimpleNamespace(grid=grid, cell_size=10.0, luma=np.zeros((40, 60)))

    def fuse(visible, infrared, guidance):
        assert guidance.weight.all()
        return fusion

    fuse.names = names
    van, person = np.zeros((2, 40, 60), np.uint8)
    van[:, :30], person[:, 30:45] = 255, 255
    pair = Pair("0", *made_up_pair(40, 60), ("van",), masks={"van": van, "person": person})
    scores = segment(fuse, [pair])
    assert scores == {
        "car": pytest.approx(1.0, abs=0.2),
        "person": 0.0,
        "mean": pytest.approx(scores["car"] / 2),
    }


@pytest.mark.parametrize(("level", "count"), [("attention", 2), ("none", 0)])
def test_a_model_points_for_every_entity_unless_it_has_no_attention(level, count):
    names = "person", "car", "sky", "tree", "road", "dog"
    fuser = Fuser(tiny_model(entity_level=level), names)
    assert len(point(fuser, scenes(1))) == count
