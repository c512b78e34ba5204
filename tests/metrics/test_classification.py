"""Scores of the classifier."""

import numpy as np
import pytest

from egmt_jax.metrics.classification import average_precision, classification_scores


def test_average_precision_is_the_mean_precision_at_the_positives():
    # Ranked: +, -, +, -: precisions 1 and 2/3.
    assert average_precision([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0]) == pytest.approx(5 / 6)
    assert average_precision([0.1, 0.2, 0.3], [0, 0, 1]) == 1.0
    assert average_precision([0.3, 0.2, 0.1], [0, 0, 1]) == pytest.approx(1 / 3)


def test_ties_get_no_credit_from_their_order():
    assert average_precision([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]) == 0.25
    assert average_precision([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 1]) == 0.25


def test_average_precision_needs_a_positive():
    with pytest.raises(ValueError, match="at least one positive"):
        average_precision([0.1, 0.2], [0, 0])


def test_a_perfect_classifier_has_a_gain_of_one_and_chance_about_none():
    rng = np.random.default_rng(0)
    labels = rng.random((4000, 3)) < [0.3, 0.1, 0.8]
    perfect = classification_scores(np.where(labels, 0.9, 0.1), labels)
    assert perfect["mAP"] == perfect["gain"] == perfect["F1_micro"] == perfect["F1_macro"] == 1.0
    assert perfect["entities"] == 3
    chance = classification_scores(rng.random(labels.shape), labels)
    assert abs(chance["gain"]) < 0.03
    assert chance["mAP"] == pytest.approx(labels.mean(axis=0).mean(), abs=0.03)


def test_the_gain_counts_entities_in_less_than_half_of_the_pairs():
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], bool)
    probabilities = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.9], [0.9, 0.3]])
    assert classification_scores(probabilities, labels)["gain"] == 1.0


def test_entities_in_no_pair_count_for_nothing():
    labels = np.array([[1, 0], [0, 0]], bool)
    scores = classification_scores(np.array([[0.9, 0.2], [0.1, 0.3]]), labels)
    assert scores["entities"] == 1
    assert scores["mAP"] == 1.0
