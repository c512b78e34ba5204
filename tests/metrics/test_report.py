"""Means, ranks, tables, manifests and plots."""

import json

import jax
import pytest

from egmt_jax import metrics
from egmt_jax.errors import UserError
from egmt_jax.metrics import FIELD_METRICS, METRICS


def row(name, value, **others):
    return {"id": name, **dict.fromkeys(METRICS, float(value)), **others}


def test_summary_is_the_mean_of_each_column():
    means = metrics.summary([row("a", 1, VIF=0.5), row("b", 2, VIF=1.0)])
    assert means == {**dict.fromkeys(METRICS, 1.5), "VIF": 0.75}
    with pytest.raises(UserError, match="no images"):
        metrics.summary([])


def three_methods():
    return {
        "good": metrics.summary([row("a", 3, MSE=1.0)]),
        "fair": metrics.summary([row("a", 2, MSE=5.0, EN=3.0)]),
        "poor": metrics.summary([row("a", 1, MSE=9.0)]),
    }


def test_ranks_follow_the_direction_and_ties_share_their_mean_rank():
    means = three_methods()
    assert metrics.mean_ranks(means, ["EN"]) == {"good": 1.5, "fair": 1.5, "poor": 3}
    assert metrics.mean_ranks(means, ["MSE"]) == {"good": 1, "fair": 2, "poor": 3}
    assert metrics.mean_ranks(means, ["EN", "MSE"]) == {"good": 1.25, "fair": 1.75, "poor": 3}
    same = dict.fromkeys("abc", means["good"])
    assert metrics.mean_ranks(same) == dict.fromkeys("abc", 2)


def test_ranks_count_the_nine_metrics_of_published_tables_once():
    assert len(FIELD_METRICS) == 9
    assert set(METRICS) - set(FIELD_METRICS) == {"NMI", "CC", "PSNR", "MSE", "SSIM_legacy"}
    means = three_methods()
    for name in FIELD_METRICS:
        means["poor"][name] = 9.0
    assert metrics.mean_ranks(means)["poor"] == 1
    table = metrics.to_markdown(means)
    assert table.splitlines()[-1].endswith("| 1.00 |")
    assert all(f"{name} " in table for name in METRICS)


def test_markdown_marks_best_and_second_best():
    lines = metrics.to_markdown(three_methods()).splitlines()
    columns, rule, *rows = ([x.strip() for x in line.strip("|").split("|")] for line in lines)
    assert rule == ["---", *["---:"] * (len(columns) - 1)]
    by_column = dict(zip(columns, zip(*rows, strict=True), strict=True))
    assert by_column["method"] == ("good", "fair", "poor")
    assert by_column["VIF ↑"] == ("**3.000**", "<u>2.000</u>", "1.000")
    assert by_column["MSE ↓"] == ("**1.000**", "<u>5.000</u>", "9.000")
    assert by_column["EN ↑"] == ("**3.000**", "**3.000**", "<u>1.000</u>")
    assert by_column["mean rank ↓"] == ("1.06", "1.94", "3.00")


def test_markdown_of_one_method_marks_nothing():
    table = metrics.to_markdown({"a|b": metrics.summary([row("a", 2)])})
    assert not [mark for mark in ("**", "<u>", "rank") if mark in table]
    assert "a\\|b" in table


def test_csv_has_quoted_ids(tmp_path):
    metrics.write_csv(tmp_path / "new" / "t.csv", [row('a,"b', 12345.6), row("b", 0.000123457)])
    lines = (tmp_path / "new" / "t.csv").read_text().splitlines()
    assert lines[0] == "id," + ",".join(METRICS)
    assert lines[1].startswith('"a,""b",12345.6,')
    assert lines[2].startswith("b,0.000123457,")
    assert len(lines) == 3


def test_manifest_names_versions_and_conventions():
    content = json.loads(json.dumps(metrics.manifest()))
    assert content["versions"]["jax"] == jax.__version__
    assert set(METRICS) < set(content["convention"])
    assert content["better"]["MSE"] == "lower"


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot_is_written(tmp_path, suffix, start):
    matplotlib = pytest.importorskip("matplotlib")
    rows = {"one": [row("a", 1), row("b", 2)], "two": [row("a", 3), row("b", 4)]}
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text, not outlines
        metrics.write_plot(tmp_path / f"plot.{suffix}", rows)
    content = (tmp_path / f"plot.{suffix}").read_bytes()
    assert content.startswith(start)
    if suffix == "svg":
        for name, better in METRICS.items():
            assert content.count(f">{name}, {better} is better<".encode()) == 1
        for method in rows:
            assert content.count(f">{method}<".encode()) == len(METRICS)
