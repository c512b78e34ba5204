"""Reports on rows of scores: means, ranks, Markdown, CSV and manifest."""

import csv
import io
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import jax
import jaxlib
import numpy as np

from egmt_jax import __version__
from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.metrics.table import CONVENTIONS, FIELD_METRICS, GREY, METRICS

Row = Mapping[str, Any]
Summary = dict[str, float]  # means by metric


def summary(rows: Sequence[Row]) -> Summary:
    """Mean of each of `METRICS` over rows of `score_pairs`; raises UserError if there are none."""
    if not rows:
        raise UserError("no images were scored; give at least one fused image with its sources")
    return {name: statistics.fmean(row[name] for row in rows) for name in METRICS}


def mean_ranks(
    summaries: Mapping[str, Summary], metrics: Sequence[str] = FIELD_METRICS
) -> dict[str, float]:
    """Mean rank of each method over metrics, 1 is best; equal values share their mean rank."""
    values = np.array([[means[name] for name in metrics] for means in summaries.values()])
    costs = values * [-1 if METRICS[name] == "higher" else 1 for name in metrics]
    better = (costs < costs[:, None]).sum(axis=1)  # [method, metric]
    equal = (costs == costs[:, None]).sum(axis=1)
    ranks = (better + (equal + 1) / 2).mean(axis=1)
    return dict(zip(summaries, ranks.tolist(), strict=True))


def to_markdown(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table with a line per method and a column per metric.

    Of several methods, the best value is bold, the second best underlined, and the last column has
    the mean rank over `FIELD_METRICS`.
    """
    several = len(summaries) > 1
    columns = {"method": [method.replace("|", "\\|") for method in summaries]}
    for name, better in METRICS.items():
        values = [means[name] for means in summaries.values()]
        levels = sorted(set(values), reverse=better == "higher") if several else []
        marks = dict(zip(levels, ("**{}**", "<u>{}</u>"), strict=False))
        cells = [marks.get(value, "{}").format(f"{value:.3f}") for value in values]
        columns[f"{name} {'↑' if better == 'higher' else '↓'}"] = cells
    if several:
        columns["mean rank ↓"] = [f"{rank:.2f}" for rank in mean_ranks(summaries).values()]
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [list(columns), rule, *zip(*columns.values(), strict=True)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write_csv(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Writes one row or more of `score_pairs`; raises UserError if that fails."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def manifest() -> dict[str, Any]:
    """Provenance of a table, for a JSON file: versions, device, and definition of each metric."""
    return {
        "versions": {
            "egmt-jax": __version__,
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
        "device": jax.devices()[0].device_kind,
        "convention": {"grey": GREY, "means": "means of per-image values", **CONVENTIONS},
        "better": METRICS,
    }
