import json

import jax
import pytest

from egmt_jax import metrics
from egmt_jax.errors import UserError
from egmt_jax.metrics import METRICS


def row(name, value, **others):
    return {"id": name, **dict.fromkeys(METRICS, float(value)), **others}


def test_summary_is_the_mean_of_each_column():
    means = metrics.summary([row("a", 1, VIF=0.5), row("b", 2, VIF=1.0)])
    assert list(means) == list(METRICS)
    assert means["EN"] == 1.5
    assert means["VIF"] == 0.75


def test_summary_of_nothing_is_an_error():
    with pytest.raises(UserError, match="no images"):
        metrics.summary([])


def three_methods():
    return {
        "good": metrics.summary([row("a", 3, MSE=1.0)]),
        "fair": metrics.summary([row("a", 2, MSE=5.0, EN=3.0)]),
        "poor": metrics.summary([row("a", 1, MSE=9.0)]),
    }


def test_ranks_follow_the_direction_and_share_ties():
    ranks = metrics.mean_ranks(three_methods())
    count = len(METRICS)
    assert ranks["good"] == pytest.approx((count - 1 + 1.5) / count)  # ties in EN
    assert ranks["fair"] == pytest.approx((2 * (count - 1) + 1.5) / count)
    assert ranks["poor"] == 3
    assert sum(ranks.values()) == pytest.approx(6)


def test_markdown_marks_best_and_second_best():
    header, rule, good, fair, poor = metrics.to_markdown(three_methods()).splitlines()
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns[0] == "method"
    assert columns[-1] == "mean rank ↓"
    assert "MSE ↓" in columns
    assert "VIF ↑" in columns
    assert rule.count("---") == len(columns)

    def cells(line):
        return dict(
            zip(columns, (cell.strip() for cell in line.strip("|").split("|")), strict=True)
        )

    assert cells(good)["VIF ↑"] == "**3.000**"
    assert cells(fair)["VIF ↑"] == "<u>2.000</u>"
    assert cells(poor)["VIF ↑"] == "1.000"
    assert cells(good)["MSE ↓"] == "**1.000**"
    assert cells(fair)["MSE ↓"] == "<u>5.000</u>"
    assert cells(good)["EN ↑"] == cells(fair)["EN ↑"] == "**3.000**"
    assert cells(poor)["EN ↑"] == "<u>1.000</u>"
    assert cells(poor)["mean rank ↓"] == "3.00"


def test_markdown_of_one_method_marks_nothing():
    table = metrics.to_markdown({"a|b": metrics.summary([row("a", 2)])})
    assert "**" not in table
    assert "<u>" not in table
    assert "rank" not in table
    assert "a\\|b" in table


def test_csv_has_the_rows_as_they_are(tmp_path):
    metrics.write_csv(tmp_path / "new" / "t.csv", [row('a,"b', 1234567), row("b", 0.000123456789)])
    lines = (tmp_path / "new" / "t.csv").read_text().splitlines()
    assert lines[0] == "id," + ",".join(METRICS)
    assert lines[1].startswith('"a,""b",1.23457e+06,')
    assert lines[2].startswith("b,0.000123457,")
    assert len(lines) == 3


def test_manifest_names_versions_conventions_and_hashes(tmp_path):
    content = metrics.manifest({"visible": {"a": (tmp_path / "a.png", "abc123")}})
    metrics.write_manifest(tmp_path / "m.json", content)
    assert json.loads((tmp_path / "m.json").read_text()) == content
    assert content["versions"]["jax"] == jax.__version__
    assert set(METRICS) < set(content["convention"])
    assert content["better"]["MSE"] == "lower"
    recorded = {"path": str(tmp_path / "a.png"), "sha256": "abc123"}
    assert content["files"] == {"visible": {"a": recorded}}


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot_is_written(tmp_path, suffix, start):
    matplotlib = pytest.importorskip("matplotlib")
    rows = {"one": [row("a", 1), row("b", 2)], "two": [row("a", 3), row("b", 4)]}
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text as text, not as outlines
        metrics.write_plot(tmp_path / f"plot.{suffix}", rows)
    content = (tmp_path / f"plot.{suffix}").read_bytes()
    assert content.startswith(start)
    if suffix == "svg":
        for name, better in METRICS.items():
            assert content.count(f">{name}, {better} is better<".encode()) == 1
        for method in rows:
            assert content.count(f">{method}<".encode()) == len(METRICS)


def test_plot_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.svg"):
        metrics.write_plot(tmp_path / "plot.jpg", {"one": [row("a", 1)]})
