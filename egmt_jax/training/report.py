"""`report.md`: one page about a finished run, with curves, scores and samples."""

import io

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from egmt_jax.io.images import encode_png
from egmt_jax.metrics import METRICS, to_markdown
from egmt_jax.training.logs import PREFIX, read_history, write_file

REPORT, CURVES, SAMPLES = "report.md", "curves.png", "samples.png"


def write_report(folder: epath.Path, config: ConfigDict, picture: np.ndarray | None) -> None:
    """Writes `report.md` of a workdir, and `curves.png` and `samples.png` to `report/`."""
    rows = read_history(folder)
    losses = [row for row in rows if "loss/loss" in row]
    scores = [row for row in rows if PREFIX + next(iter(METRICS)) in row]
    sets = [entry.name for entry in config.data.mixture.values() if entry.weight]
    model = ", ".join(f"{name} {value}" for name, value in config.model.items())
    page = [
        f"# {folder.name}",
        f"{config.optimizer.steps} steps of {config.data.batch_size} pairs of "
        f"{', '.join(sets) or config.data.name}, crops of {config.data.crop} pixels, seed "
        f"{config.seed}. Model: {model}. See `config.json` and `environment.json` for the rest.",
        "## Losses",
    ]
    try:
        curves = _plot(losses, scores, config.evaluation.metric)
        write_file(folder / "report" / CURVES, curves)
        page.append(f"![losses and {config.evaluation.metric} by step](report/{CURVES})")
    except ImportError:  # the extra [plot] is not installed
        page.append("Install matplotlib for curves; `history.jsonl` has the numbers.")
    page.append("## Validation")
    if scores:
        summaries = {
            f"step {row['step']}": {name: row[PREFIX + name] for name in METRICS} for row in scores
        }
        page.append(to_markdown(summaries))
        others = {name.removeprefix(PREFIX): value for name, value in scores[-1].items()}
        others = {name: value for name, value in others.items() if name not in (*METRICS, "step")}
        page += [f"{name} at the end: {value:.3f}." for name, value in sorted(others.items())]
    else:
        page.append("None: `evaluation.every` is 0, or the data set has no validation split.")
    if picture is not None:
        write_file(folder / "report" / SAMPLES, encode_png(picture))
        page += ["## Samples", f"![visible, infrared, fused, attention](report/{SAMPLES})"]
    write_file(folder / REPORT, ("\n\n".join(page) + "\n").encode())


def _plot(losses, scores, metric: str) -> bytes:
    """Curves of the loss terms and of a metric, PNG; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in losses[-1] if name.startswith("loss/")] if losses else []
    for name in names:
        known = [row for row in losses if name in row]
        steps, values = [row["step"] for row in known], [row[name] for row in known]
        left.plot(steps, values, label=name.removeprefix("loss/"))
    left.set(xlabel="step", ylabel="loss", yscale="log" if names else "linear")
    if names:
        left.legend(fontsize="small")
    right.plot([row["step"] for row in scores], [row[PREFIX + metric] for row in scores], "o-")
    right.set(xlabel="step", ylabel=metric)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
