"""Scores of many images."""

import itertools
import logging

import jax
import pytest
from metric_images import made_up_triple

from egmt_jax.errors import UserError
from egmt_jax.metrics import METRICS, fusion_metrics, score_pairs
from egmt_jax.metrics.scoring import padded_side

SHAPES = [(49, 57), (128, 128), (17, 90), (49, 58), (100, 33)]


def test_rows_are_in_order_and_equal_the_scores_of_single_images():
    triples = [(str(k), *made_up_triple(k, shape)) for k, shape in enumerate(SHAPES)]
    rows = score_pairs(triples, progress=False)
    assert [row["id"] for row in rows] == ["0", "1", "2", "3", "4"]
    for row, (_, *images) in list(zip(rows, triples, strict=True))[:2]:
        assert list(row) == ["id", *METRICS]
        for name, value in fusion_metrics(*images).items():
            assert isinstance(row[name], float)
            assert row[name] == pytest.approx(float(value), rel=1e-5), name
    assert score_pairs(triples[::-1], progress=False) == rows[::-1]
    assert score_pairs(triples[3:4], progress=False) == rows[3:4]
    assert score_pairs([], progress=False) == []


def test_another_size_compiles_nothing(caplog):
    score_pairs([("first", *made_up_triple(0, (60, 70)))], progress=False)
    with jax.log_compiles(), caplog.at_level(logging.DEBUG):
        score_pairs([("second", *made_up_triple(0, (51, 99)))], progress=False)
        assert not [line for line in caplog.messages if "Compiling" in line]
        jax.jit(lambda x: x + 1)(1.0)  # is logged
        assert [line for line in caplog.messages if "Compiling" in line]


def test_sizes_of_a_data_set_are_padded_to_few_shapes():
    sizes = itertools.product(range(250, 451), range(351, 623))  # RoadScene
    assert len({(padded_side(height), padded_side(width)) for height, width in sizes}) <= 4
    assert [padded_side(side) for side in (17, 128, 129, 480, 512, 640, 641, 1025, 3000)] == [
        *(128, 128, 256, 512, 512, 640, 768, 1280, 3072)
    ]
    for side in range(17, 5000):
        assert side <= padded_side(side) <= max(128, 2 * side)
        assert side < 512 or padded_side(side) <= 1.34 * side


def test_an_error_while_reading_reaches_the_caller():
    def broken():
        yield "good", *made_up_triple()
        raise UserError("b.png: cannot be read")

    with pytest.raises(UserError, match="cannot be read"):
        score_pairs(broken(), progress=False)


def test_bad_triples_are_named():
    fused, visible, infrared = made_up_triple()
    cases = {
        "of one size": (fused[:-1], visible, infrared),
        "must be uint8": (fused / 255, visible, infrared),
        r"must be uint8 \[H, W\]": (fused[..., None], visible, infrared),
        "below 17 pixels": (fused[:16], visible[:16], infrared[:16]),
    }
    for message, images in cases.items():
        with pytest.raises(UserError, match=f"^pair-7: .*{message}"):
            score_pairs([("pair-7", *images)], progress=False)
