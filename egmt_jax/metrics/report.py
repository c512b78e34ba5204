"""Reports on rows of scores: means, ranks, Markdown, CSV and manifest."""

import csv
import io
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
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
Summary = dict[str, float]


def summary(rows: Iterable[Row]) -> Summary:
    """Mean of each metric over the rows of one method.

    Args:
      rows: as from `score_pairs`.

    Returns:
      Means by metric, in the order of `METRICS`.

    Raises:
      UserError: there are no rows.
    """
    rows = list(rows)
    if not rows:
        raise UserError("no images were scored; give at least one fused image with its sources")
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in METRICS}


def mean_ranks(
    summaries: Mapping[str, Summary], metrics: Sequence[str] = FIELD_METRICS
) -> dict[str, float]:
    """Mean rank of each method: 1 is best, methods with equal values share the mean of their ranks.

    Args:
      summaries: means by metric, by method.
      metrics: names of the metrics to rank by, each with equal weight.

    Returns:
      Mean ranks by method, between 1 and the number of methods.
    """
    total = dict.fromkeys(summaries, 0.0)
    for name in metrics:
        costs = {method: _cost(name, means[name]) for method, means in summaries.items()}
        for method, own in costs.items():
            better = sum(cost < own for cost in costs.values())
            equal = sum(cost == own for cost in costs.values())
            total[method] += better + (equal + 1) / 2
    return {method: ranks / len(metrics) for method, ranks in total.items()}


def to_markdown(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table: one line per method, one column per metric.

    With several methods the best value of a column is bold, the second best underlined, and the
    last column has the mean rank over `FIELD_METRICS`.

    Args:
      summaries: means by metric, by method; one method or more.

    Returns:
      The table, with a final newline.
    """
    several = len(summaries) > 1
    arrows = {"higher": "↑", "lower": "↓"}
    header = ["method", *(f"{name} {arrows[better]}" for name, better in METRICS.items())]
    if several:
        header.append("mean rank ↓")
        ranks = mean_ranks(summaries)
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for method, values in summaries.items():
        cells = [method.replace("|", "\\|")]
        for name in METRICS:
            levels = sorted({_cost(name, other[name]) for other in summaries.values()})
            own = _cost(name, values[name])
            cell = f"{values[name]:.3f}"
            if several and own == levels[0]:
                cell = f"**{cell}**"
            elif several and own == levels[1]:
                cell = f"<u>{cell}</u>"
            cells.append(cell)
        if several:
            cells.append(f"{ranks[method]:.2f}")
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cost(name: str, value: float) -> float:
    return -value if METRICS[name] == "higher" else value


def write_csv(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Writes rows as CSV, atomically.

    Args:
      path: the file to write.
      rows: dictionaries with equal keys, as from `score_pairs`; floats are written with six
        significant digits.

    Raises:
      UserError: the file cannot be written.
    """
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_atomically(path, text.getvalue().encode())


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def manifest(files: Mapping[str, Mapping[str, tuple[str | os.PathLike, str]]]) -> dict[str, Any]:
    """Provenance of a table, for a JSON file beside it.

    Args:
      files: (path, SHA-256) of each scored file by id, by role (`visible`, `infrared` or the name
        of a method).

    Returns:
      `versions` of this package and its dependencies, the `device`, the `convention` of each metric
      and of the conversion to grey, the `better` direction, and `files` as above.
    """
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
        "files": {
            role: {
                name: {"path": str(path), "sha256": digest}
                for name, (path, digest) in group.items()
            }
            for role, group in files.items()
        },
    }


def write_manifest(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Writes a `manifest` as JSON, atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
