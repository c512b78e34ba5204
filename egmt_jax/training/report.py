"""`report.md`: one page on a finished run: curves, table, samples."""

import pathlib

import numpy as np
from ml_collections import ConfigDict

from egmt_jax.io.images import write_atomically, write_png
from egmt_jax.metrics import METRICS, to_markdown
from egmt_jax.training.logs import PREFIX, read_history

REPORT, CURVES, SAMPLES = "report.md", "curves.png", "samples.png"
MOST_ROWS = 8


def write_report(folder: pathlib.Path, config: ConfigDict, picture: np.ndarray | None) -> None:
    """Writes `report.md`, with `report/curves.png` and `report/samples.png` beside it.

    Args:
      folder: the workdir; its `history.jsonl` is read.
      config: of the run.
      picture: samples, uint8 RGB; None leaves them out.
    """
    rows = read_history(folder)
    losses = [row for row in rows if "loss/loss" in row]
    scores = [row for row in rows if PREFIX + next(iter(METRICS)) in row]
    sets = [entry.name for entry in config.data.mixture.values() if entry.weight]
    model = ", ".join(f"{name} {value}" for name, value in config.model.items())
    page = [
        f"# {folder.absolute().name}",
        f"{config.optimizer.steps} steps of {config.data.batch_size} pairs of "
        f"{', '.join(sets) or config.data.name}, crops of {config.data.crop} pixels, seed "
        f"{config.seed}. Model: {model}. All else is in `config.json` and `environment.json`.",
        "## Losses",
    ]
    try:
        _plot(folder / "report" / CURVES, losses, scores, config.evaluation.metric)
        page.append(f"![losses and {config.evaluation.metric} by step](report/{CURVES})")
    except ImportError:  # the extra [plot] is not installed
        page.append(_table(losses))
    page.append("## Validation")
    if scores:
        summaries = {
            f"step {row['step']}": {name: row[PREFIX + name] for name in METRICS} for row in scores
        }
        page.append(to_markdown(summaries))
        others = sorted(
            name for name in scores[-1] if name.startswith(PREFIX) and _metric(name) not in METRICS
        )
        page += [f"{_metric(name)} at the end: {scores[-1][name]:.3f}." for name in others]
    else:
        page.append(
            "Not evaluated: `evaluation.every` is 0, or the data set has no validation split."
        )
    if picture is not None:
        write_png(folder / "report" / SAMPLES, picture)
        page += [
            "## Samples",
            f"![visible, infrared, fused, where entities are seen](report/{SAMPLES})",
        ]
    write_atomically(folder / REPORT, ("\n\n".join(page) + "\n").encode())


def _metric(name: str) -> str:
    return name.removeprefix(PREFIX)


def _table(losses: list[dict[str, float]]) -> str:
    """A few rows of the history, spread over it, as Markdown."""
    if not losses:
        return "No step was logged."
    picked = np.unique(np.linspace(0, len(losses) - 1, MOST_ROWS).round().astype(int))
    names = [name for name in losses[-1] if name == "step" or name.startswith("loss/")]
    lines = [[name.removeprefix("loss/") for name in names], ["---:"] * len(names)]
    lines += [[f"{losses[row].get(name, np.nan):.5g}" for name in names] for row in picked]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plot(path: pathlib.Path, losses, scores, metric: str) -> None:
    """Curves of the loss terms, and of a metric where it was measured; needs matplotlib."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in losses[-1] if name.startswith("loss/")] if losses else []
    for name in names:
        known = [row for row in losses if name in row]
        left.plot(
            [row["step"] for row in known],
            [row[name] for row in known],
            label=name.removeprefix("loss/"),
        )
    left.set(xlabel="step", ylabel="loss", yscale="symlog" if not names else "log")
    if names:
        left.legend(fontsize="small")
    right.plot([row["step"] for row in scores], [row[PREFIX + metric] for row in scores], "o-")
    right.set(xlabel="step", ylabel=metric)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_atomically(path, content.getvalue())
