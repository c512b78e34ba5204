"""Guidance by policy, and scores of a model on pairs."""

import numpy as np
import pytest

from egmt_jax import metrics
from egmt_jax.errors import UserError
from egmt_jax.evaluation import scoring
from egmt_jax.evaluation.guidance import guided
from egmt_jax.io.images import to_uint8
from egmt_jax.io.pairs import Pair
from egmt_jax.models import PREDICTED, UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair

ENTITIES = ("person",), ("car", "tree"), (), ("sky",)
PAIRS = [
    Pair(str(k), *made_up_pair(40, 48, seed=k), entities, entities or None)
    for k, entities in enumerate(ENTITIES)
]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("predicted", [PREDICTED] * 4),
        ("none", [UNGUIDED] * 4),
        ("own", [Guidance(entities) for entities in ENTITIES]),
        ("shuffled", [Guidance(ENTITIES[k]) for k in (2, 3, 0, 1)]),
    ],
)
def test_the_policy_decides_what_guides_each_pair(policy, expected):
    found = list(guided(iter(PAIRS), policy))
    assert [pair for pair, _ in found] == PAIRS
    assert [guidance for _, guidance in found] == expected


def test_a_single_pair_has_no_other_to_shuffle_with_and_unknown_policies_are_errors():
    assert [guidance for _, guidance in guided(PAIRS[:1], "shuffled")] == [UNGUIDED]
    with pytest.raises(UserError, match="guidance='given': known are predicted, own"):
        list(guided([], "given"))


def test_images_of_all_pairs_and_the_classifier_on_labelled_ones_are_scored(fuser, monkeypatch):
    rows, scores = scoring.score(fuser, PAIRS, "own")
    pair = PAIRS[1]
    luma = to_uint8(fuser(pair.visible, pair.infrared, Guidance(pair.entities)).luma)
    expected = metrics.score_pairs([("1", luma, pair.luma, pair.infrared[..., 0])], progress=False)
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[1] == expected[0]
    probabilities = np.asarray(
        [[*fuser(p.visible, p.infrared).probabilities.values()] for p in PAIRS if p.present]
    )
    labels = np.asarray([[n in p.present for n in fuser.names] for p in PAIRS if p.present])
    assert scores == metrics.classification.classification_scores(probabilities, labels)
    assert scoring.score(fuser, PAIRS[2:3])[1] is None
    monkeypatch.setattr(scoring, "Fuser", lambda model, names: fuser)
    means = scoring.score_model(fuser.model, PAIRS, "own")
    assert means["EN"] == pytest.approx(np.mean([row["EN"] for row in rows]))
    assert means["mAP"] == scores["mAP"]
    assert scoring.score_model(fuser.model, [], "own") == {}


def test_only_a_window_with_complete_infrared_data_is_scored():
    visible = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30, 1).astype(np.uint8)
    has_infrared = np.ones((20, 30), bool)
    has_infrared[:2], has_infrared[5:, -3:] = False, False
    pair = Pair("a", visible, visible, has_infrared=has_infrared)
    name, *images = scoring.scored_images(pair, visible[..., 0])
    assert name == "a"
    for image in images:
        np.testing.assert_array_equal(image, visible[2:, :27, 0])
    complete = scoring.scored_images(Pair("b", visible, visible), visible[..., 0])
    assert complete[1].shape == (20, 30)
