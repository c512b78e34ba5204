import numpy as np
import pytest
from evidence import mean_interval, read_json, steering_effect, write_json

from egmt_jax.errors import UserError


def test_interval_contains_the_mean_and_narrows_with_more_cases():
    few, many = np.random.default_rng(0).normal(3.0, 1.0, 10), np.tile([2.0, 4.0], 500)
    mean, low, high = mean_interval(few)
    assert low < mean == few.mean() < high
    _, low, high = mean_interval(many)
    assert high - low == pytest.approx(2 * 1.96 / 1000**0.5, rel=0.1)


def test_interval_resamples_the_cases_of_a_group_together():
    values = [0.0, 1.0, 2.0, 5.0]
    assert mean_interval(values, ["a"] * 4) == (2.0, 2.0, 2.0)
    mean, low, high = mean_interval(values, ["a", "a", "b", "b"])
    assert (mean, low, high) == (2.0, 0.5, 3.5)


def test_steering_effect_gives_the_change_in_grey_levels_and_how_often_it_rises():
    cases = [("a", 0.3, 0.2), ("a", 0.2, 0.2), ("b", 0.1, 0.2), ("c", 0.4, 0.2)]
    found = steering_effect([{"id": i, "named": n, "not_named": o} for i, n, o in cases])
    assert (found["pairs"], found["count"]) == (3, 4)
    assert found["change"] == pytest.approx(255.0 * 0.05)
    assert (found["relative"], found["rises"]) == (pytest.approx(0.25), 0.625)  # a tie is half
    low, high = found["rises_interval"]
    assert 0.0 <= low < 0.625 < high <= 1.0
    assert steering_effect([]) == {}


def test_json_round_trip_and_errors(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1.5, None]})
    assert read_json(tmp_path / "a.json") == {"x": [1.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(UserError, match="delete it and run again"):
        read_json(tmp_path / "c.json")
