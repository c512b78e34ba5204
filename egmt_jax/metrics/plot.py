"""Box plots of scores."""

import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from egmt_jax.errors import UserError
from egmt_jax.io.images import check_writable, write_atomically
from egmt_jax.metrics.table import METRICS

COLUMNS = 4


def check_plot(path: str | os.PathLike) -> None:
    """Raises UserError if not .png or .svg, not writable, or matplotlib is not installed."""
    if pathlib.Path(path).suffix.lower() not in (".png", ".svg"):
        raise UserError(f"{path}: a plot is a .png or .svg file; change the suffix")
    try:
        import matplotlib  # noqa: F401  (an extra)
    except ImportError as error:
        message = "a plot needs matplotlib: in the clone, `pip install -e '.[plot]'`"
        raise UserError(message) from error
    check_writable(path)


def write_plot(
    path: str | os.PathLike, rows_by_method: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Draws a box plot per metric with one box per method; raises UserError as `check_plot`."""
    check_plot(path)
    from matplotlib.figure import Figure  # an extra; pyplot would need a display

    methods, height = list(rows_by_method), -(-len(METRICS) // COLUMNS)
    width = max(1.2 + 0.45 * len(methods), 2.6)
    figure = Figure(figsize=(COLUMNS * width, 2.6 * height), layout="constrained")
    for index, (name, better) in enumerate(METRICS.items(), 1):
        axes = figure.add_subplot(height, COLUMNS, index)
        values = [[row[name] for row in rows] for rows in rows_by_method.values()]
        axes.boxplot(values, flierprops={"markersize": 2})
        ticks = range(1, len(methods) + 1)
        axes.set_xticks(ticks, methods, rotation=45, ha="right", fontsize="small")
        axes.set_title(f"{name}, {better} is better", fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format=pathlib.Path(path).suffix.lower()[1:], dpi=150)
    write_atomically(path, content.getvalue())
