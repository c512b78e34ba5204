"""Box plots of scores."""

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
    """Checks that a plot can be drawn.

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
    """Draws a box plot per metric, with one box per method (whiskers: 1.5 interquartile ranges).

    Args:
      path: a .png or .svg file, written atomically.
      rows_by_method: rows of `score_pairs` by method.

    Raises:
      UserError: as `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure  # an extra; pyplot would need a display

    lines = -(-len(METRICS) // COLUMNS)
    methods = list(rows_by_method)
    width = 1.2 + 0.45 * len(methods)
    figure = Figure(figsize=(COLUMNS * max(width, 2.6), 2.6 * lines), layout="constrained")
    for index, (name, better) in enumerate(METRICS.items()):
        axes = figure.add_subplot(lines, COLUMNS, index + 1)
        axes.boxplot(
            [[row[name] for row in rows_by_method[method]] for method in methods],
            flierprops={"markersize": 2},
        )
        axes.set_xticks(
            range(1, len(methods) + 1), methods, rotation=45, ha="right", fontsize="small"
        )
        axes.set_title(f"{name}, {better} is better", fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format=pathlib.Path(path).suffix.lower()[1:], dpi=150)
    write_atomically(path, content.getvalue())
