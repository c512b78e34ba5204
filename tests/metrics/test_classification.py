"""Scores of the classifier."""

import numpy as np
import pytest

from egmt_jax.metrics.classification import (
    average_precision,
    classification_scores,
    normalised_gain,
)


def test_average_precision_is_the_mean_precision_at_the_positives():
    rows = {
        (0.9, 0.8, 0.7, 0.1): ([1, 0, 1, 0], (1 + 2 / 3) / 2),
        (0.1, 0.2, 0.3, 0.0): ([0, 0, 1, 0], 1.0),
        (0.3, 0.2, 0.1, 0.0): ([0, 0, 1, 0], 1 / 3),
        (0.5, 0.5, 0.5, 0.5): ([1, 0, 0, 0], 0.25),  # ties count in their worst order
        (0.6, 0.6, 0.6, 0.6): ([0, 0, 0, 1], 0.25),
        (0.1, 0.2, 0.3, 0.4): ([0, 0, 0, 0], np.nan),
    }
    labels, expected = zip(*rows.values(), strict=True)
    np.testing.assert_allclose(average_precision(list(rows), labels), expected)
    alone = [average_precision(row, label) for row, (label, _) in rows.items()]
    np.testing.assert_allclose(alone, expected)


def test_the_normalised_gain_is_zero_for_chance_and_one_for_a_perfect_ranking():
    assert normalised_gain(0.3, 0.3) == 0
    assert normalised_gain(1.0, 0.3) == 1
    gains = normalised_gain([0.6, 0.1, 1.0], np.array([0.2, 0.2, 1.0]))
    np.testing.assert_allclose(gains, [0.5, -0.125, np.nan])


def test_summary_of_a_perfect_classifier_and_of_chance():
    rng = np.random.default_rng(0)
    labels = rng.random((4000, 3)) < [0.3, 0.1, 0.8]
    perfect = classification_scores(np.where(labels, 0.9, 0.1), labels)
    assert perfect == {"mAP": 1, "gain": 1, "F1_micro": 1, "F1_macro": 1, "entities": 3}
    chance = classification_scores(rng.random(labels.shape), labels)
    assert abs(chance["gain"]) < 0.03
    assert chance["mAP"] == pytest.approx(labels.mean(), abs=0.03)


def test_entities_count_where_they_have_positives_and_for_the_gain_below_one_half():
    labels = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    probabilities = np.array([[0.1, 0.1, 0.9], [0.2, 0.2, 0.1], [0.3, 0.9, 0.1], [0.9, 0.3, 0.1]])
    scores = classification_scores(probabilities, labels)
    assert scores["entities"] == 2
    assert scores["gain"] == 1
    assert scores["mAP"] == pytest.approx((1 + (1 / 2 + 2 / 3 + 3 / 4) / 3) / 2)
    nothing = classification_scores(probabilities, np.zeros((4, 3), bool))
    assert np.isnan([nothing["mAP"], nothing["gain"], nothing["F1_macro"]]).all()
