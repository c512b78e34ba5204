import numpy as np
import pytest
from two_scale import guided_filter, two_scale
from weights import RANKED, SHOWN, clipped, flat_noise, summarise, to_markdown


def test_clipping_counts_beyond_the_source_that_clips_more():
    fused = np.array([[0, 255, 128, 128]], np.uint8)
    grey = np.full((1, 4), 128, np.uint8)
    assert clipped(fused, grey, grey) == 0.5
    assert clipped(grey, fused, grey) == -0.5


def test_noise_is_compared_where_both_sources_are_flat():
    rng = np.random.default_rng(0)
    quiet, loud = (np.rint(128 + rng.normal(0, s, (32, 64))).astype(np.uint8) for s in (1, 3))
    fused, source = flat_noise(loud, quiet, quiet)
    assert 2.0 < fused / source < 4.0
    busy = np.tile(np.uint8([0, 255]), (32, 32))
    assert flat_noise(loud, busy, quiet).tolist() == [0.0, 0.0]


def test_summary_ranks_among_other_methods_with_shared_ranks_and_without_the_maximum():
    rows = [dict.fromkeys(SHOWN, value) | {"id": k} for k, value in (("1D", 1.0), ("2N", 3.0))]
    others = {name: dict.fromkeys(SHOWN, v) for name, v in (("Max", 9.0), ("A", 2.0), ("B", 1.0))}
    guards = [{"clipped": 0.1, "noise": np.array([2.0, 1.0])}] * 2
    result = summarise(rows, others, guards)
    assert (result["means"]["VIF"], result["mean_rank"]) == (2.0, 1.5)
    assert result["next_best"] == (1.5, "A")
    assert result["above_median_of_learned"] == len(RANKED)
    assert (result["clipped_more"], result["noise_ratio"]) == (pytest.approx(0.1), 2.0)
    low, high = result["intervals"]["EN"]
    assert low == 1.0
    assert high == 3.0
    table = to_markdown({"msrs": result}, {"msrs": others})
    assert "| **EGMT** |" + " 2.00 |" * len(SHOWN) in table
    assert "| night, 1 pairs |" + " 3.00 |" * len(SHOWN) in table
    assert "Mean rank over the nine metrics 1.50; next best A 1.50." in table


def test_guided_filter_flattens_noise_and_keeps_edges():
    rng = np.random.default_rng(0)
    image = np.where(np.arange(80) < 40, 50.0, 200.0) * np.ones((60, 1))
    base = guided_filter((image + rng.normal(0, 4, image.shape)).astype(np.float32))
    assert base[:, :25].std() < 2.0
    assert base[:, 42:45].mean() - base[:, 35:38].mean() > 120


def test_two_scale_takes_detail_from_either_source_and_fills_the_range():
    stripes = (100 + 30 * (np.arange(96) // 2 % 2) * np.ones((64, 1))).astype(np.uint8)
    ramp = np.linspace(60, 180, 64)[:, None].astype(np.uint8) * np.ones((1, 96), np.uint8)
    for sources in ((stripes, ramp), (ramp, stripes)):
        fused = two_scale(*sources)
        assert (fused.dtype, fused.min(), fused.max()) == (np.uint8, 0, 255)
        assert np.corrcoef(fused[32].astype(float), stripes[32])[0, 1] > 0.9
