"""Shared by the scripts that measure quality: held-out pairs, intervals, tables, JSON."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from scipy import stats
from tqdm import tqdm

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `configs` and `tfds_builders` run from the clone

import tfds_builders  # noqa: E402, F401  (registers the data sets with TFDS)
from egmt_jax.data import datasets, pipeline  # noqa: E402
from egmt_jax.errors import UserError  # noqa: E402
from egmt_jax.io.images import write_atomically  # noqa: E402
from egmt_jax.io.pairs import Pair  # noqa: E402

SETS = ("roadscene", "tno", "msrs")
"""Sets of real pairs with a split `validation`."""

CLASSIFIED = ("msrs", "classification_validation")
SCENES = ("entity_scenes/default", "test")
STEERED_SCENES = 200

RANKED = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
"""The nine metrics of the paper; higher is better for all of them."""

RESAMPLES = 2000


def add_data_flags(parser) -> None:
    """Adds --data_dir and --manual_dir, as `held_out` takes them."""
    parser.add_argument("--data_dir", default="", help="prepared sets; default: TFDS's folder")
    parser.add_argument("--manual_dir", default="", help="real sets, see configs/all.py")


def held_out(
    name: str, split: str, data_dir: str = "", manual_dir: str = "", most: int | None = None
) -> list[Pair]:
    """The first `most` pairs of a split of a prepared data set, in order of id.

    Raises:
      UserError: the set or its split does not exist.
    """
    data_set = datasets.prepare(name, data_dir, manual_dir)
    records = datasets.records(data_set, split, images=False)
    order = sorted(range(len(records)), key=lambda row: records[row]["id"])[:most]
    records = datasets.records(data_set, split)
    rows = tqdm(order, f"Reading {name} {split}", unit="pair", leave=False)
    return [pipeline.to_pair(records[row]) for row in rows]


def mean_interval(
    values: Sequence[float], groups: Sequence[str] | None = None
) -> tuple[float, float, float]:
    """Mean of values and its 95 % bootstrap interval (percentile method, 2,000 resamples).

    Args:
      values: one per case.
      groups: one per case; cases of one group, such as the entities of one pair, are resampled
        together. Default: every case is independent.
    """
    values = np.asarray(values, np.float64)
    _, index = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index).astype(float)
    mean = float(values.mean())
    if len(sums) == 1:
        return mean, mean, mean
    interval = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        paired=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return mean, float(interval.low), float(interval.high)


def steering_effect(rows: Sequence[Mapping]) -> dict[str, float]:
    """Mean change of contrast in grey levels and relative to the contrast, and the share of cases
    in which it rises (no change counts as half), with 95 % intervals over pairs."""
    if not rows:
        return {}
    changes = np.array([255.0 * (row["named"] - row["not_named"]) for row in rows])
    pairs = [row["id"] for row in rows]
    change, *change_interval = mean_interval(changes, pairs)
    rises, *rises_interval = mean_interval((np.sign(changes) + 1.0) / 2.0, pairs)
    return {
        "pairs": len(set(pairs)),
        "count": len(rows),
        "change": change,
        "change_interval": change_interval,
        "relative": change / float(np.mean([255.0 * row["not_named"] for row in rows])),
        "rises": rises,
        "rises_interval": rises_interval,
    }


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is left-aligned and the others right-aligned."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def read_json(path: pathlib.Path) -> Any:
    """Raises UserError where the file is missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); delete it and run again") from (
            error
        )


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes JSON atomically; raises ValueError for nan, which JSON does not define."""
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def environment() -> dict[str, str | int | None]:
    """Commit (None outside a git tree), JAX version, device and cores of a measurement."""
    command = ["git", "describe", "--always", "--dirty"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return {
        "commit": git.stdout.strip() or None,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
    }
