"""A picture of the rows: for each metric, one box per method."""

import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.metrics.table import METRICS

COLUMNS = 4


def check_plot(path: str | os.PathLike) -> None:
    """Fails early where a plot cannot be made.

    Raises:
      UserError: the suffix is not .png or .svg, or matplotlib is not installed.
    """
    if pathlib.Path(path).suffix.lower() not in (".png", ".svg"):
        raise UserError(f"{path}: a plot is a .png or .svg file; change the suffix")
    try:
        import matplotlib  # noqa: F401  (an extra)
    except ImportError as error:
        raise UserError(
            "a plot needs matplotlib: in the clone, `pip install -e '.[plot]'`"
        ) from error


def write_plot(
    path: str | os.PathLike, rows_by_method: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Draws a box plot per metric, one box per method: median, quartiles, 1.5 times their distance.

    Args:
      path: a .png or .svg file, written atomically.
      rows_by_method: method to the rows that `score_pairs` gave.

    Raises:
      UserError: as `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure  # not pyplot, which would look for a display

    lines = -(-len(METRICS) // COLUMNS)
    methods = list(rows_by_method)
    width = 1.2 + 0.45 * len(methods)
    figure = Figure(figsize=(COLUMNS * max(width, 2.6), 2.6 * lines), layout="constrained")
    for place, (name, better) in enumerate(METRICS.items()):
        axes = figure.add_subplot(lines, COLUMNS, place + 1)
        axes.boxplot(
            [[row[name] for row in rows_by_method[method]] for method in methods],
            flierprops={"markersize": 2},
        )
        axes.set_xticks(
            range(1, len(methods) + 1), methods, rotation=45, ha="right", fontsize="small"
        )
        axes.set_title(f"{name}, {better} is better", fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    drawn = io.BytesIO()
    kind = pathlib.Path(path).suffix.lower()[1:]
    figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getvalue())
