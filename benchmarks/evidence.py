"""What the scripts of evidence share: held-out pairs, intervals, tables, pages of docs."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for `configs` and `tfds_builders`

from egmt_jax.data import datasets, pipeline  # noqa: E402
from egmt_jax.errors import UserError  # noqa: E402
from egmt_jax.io.images import write_atomically  # noqa: E402

RESAMPLES = 2000
BEGIN, END = "<!-- by hand: begin -->", "<!-- by hand: end -->"


def held_out(
    name: str,
    split: str,
    data_dir: str | None,
    manual_dir: str | None,
    most: int | None = None,
) -> list[pipeline.Pair]:
    """Pairs of a split of a prepared data set in order of id, the first `most` of them.

    Raises:
      UserError: the set or its split is not there.
    """
    data_set = datasets.prepare(name, data_dir, manual_dir)
    records = datasets.source(data_set, split, images=False)
    order = sorted(range(len(records)), key=lambda row: records[row]["id"])[:most]
    source = datasets.source(data_set, split)
    rows = tqdm(order, f"Reading {name} {split}", unit="pair", leave=False)
    return [pipeline.to_pair(source[row]) for row in rows]


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], float] | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic over resampled rows.

    Args:
      values: float [N] or [N, ...], one row per image; the rows are resampled together.
      statistic: of resampled rows; their mean by default.
      seed: of the resampling.
    """
    values = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(values), size=(RESAMPLES, len(values)))
    if statistic is None:
        found = values[picks].mean(axis=1)
    else:
        found = np.asarray([statistic(values[pick]) for pick in picks])
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def read_json(path: pathlib.Path) -> dict:
    """Raises UserError where the file is missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); delete it and run again") from (
            error
        )


def write_json(path: pathlib.Path, content: dict) -> None:
    """Atomically; nan, which JSON does not know, is refused."""
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def write_page(path: pathlib.Path, text: str) -> None:
    """Writes a page of docs; what stands between its two marks by hand is kept.

    Args:
      path: of the page.
      text: with BEGIN and END in it where the part by hand belongs.
    """
    kept = "\n"
    if path.exists():
        before = path.read_text()
        if before.count(BEGIN) == before.count(END) == 1:
            kept = before.split(BEGIN)[1].split(END)[0]
        else:
            raise UserError(f"{path}: lacks the line {BEGIN} or {END}; put them back or delete it")
    start, rest = text.split(BEGIN)
    end = rest.split(END)[1]
    write_atomically(path, f"{start}{BEGIN}{kept}{END}{end}".encode())


def environment() -> dict[str, str | int | None]:
    """What a result was made with; `commit` is None outside a git tree."""
    import jax

    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return {
        "commit": git.stdout.strip() or None,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
    }
