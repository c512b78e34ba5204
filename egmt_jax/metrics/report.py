"""What is made of the rows: means, ranks, Markdown, CSV, manifest and plot."""

import csv
import io
import json
import math
import os
import pathlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.metrics.table import CONVENTIONS, GREY, METRICS

Row = Mapping[str, Any]
Summary = dict[str, float]


def summary(rows: Iterable[Row]) -> Summary:
    """Mean of each metric over the rows of one method.

    Args:
      rows: as `score_pairs` gives them.

    Returns:
      Metric name to mean, in the order of `METRICS`.

    Raises:
      UserError: there are no rows.
    """
    rows = list(rows)
    if not rows:
        raise UserError("no images were scored; give at least one fused image with its sources")
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in METRICS}


def mean_ranks(
    summaries: Mapping[str, Summary], names: Iterable[str] = tuple(METRICS)
) -> dict[str, float]:
    """Mean over all metrics of the place each method takes: 1 is best, ties share their mean place.

    Args:
      summaries: method to its `summary`.
      names: metrics that count.

    Returns:
      Method to mean rank, between 1 and the number of methods.
    """
    places: dict[str, list[float]] = {method: [] for method in summaries}
    for name in names:
        badness = {method: _badness(name, values[name]) for method, values in summaries.items()}
        for method, own in badness.items():
            better = sum(other < own for other in badness.values())
            equal = sum(other == own for other in badness.values())
            places[method].append(better + (equal + 1) / 2)
    return {method: math.fsum(ranks) / len(ranks) for method, ranks in places.items()}


def to_markdown(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table: one line per method, one column per metric.

    With several methods the best value of a column is bold, the second best underlined, and the
    last column is the mean rank (`mean_ranks`).

    Args:
      summaries: method to its `summary`; also one method alone.

    Returns:
      The table, ending with a newline.
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
            levels = sorted({_badness(name, other[name]) for other in summaries.values()})
            own = _badness(name, values[name])
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


def _badness(name: str, value: float) -> float:
    return -value if METRICS[name] == "higher" else value


def write_csv(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Writes rows as CSV, atomically; the columns are the keys of the first row.

    Args:
      path: the file to write.
      rows: dictionaries with the same keys, as `score_pairs` gives them; floats are written with
        six significant digits.

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
    """What a table was made from and with, for a JSON file beside it.

    Args:
      files: role (`visible`, `infrared`, or a method's name) to id to file and its SHA-256 as of
        when it was scored.

    Returns:
      `versions` of this package and of those that computed, the `device`, the `convention` of each
      metric and of grey conversion, and `files`: role to id to `path` and `sha256`.
    """
    # imported here as they are needed for their version only
    import cv2
    import jax
    import jaxlib
    import numpy

    from egmt_jax import __version__

    return {
        "versions": {
            "egmt-jax": __version__,
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "numpy": numpy.__version__,
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


def read_bytes(path: str | os.PathLike) -> bytes:
    """A file's bytes.

    Raises:
      UserError: it cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def write_manifest(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Writes a `manifest` as JSON, atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
