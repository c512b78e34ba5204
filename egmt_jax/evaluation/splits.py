"""Exports and evaluates entire splits with a trained model."""

import json
import math
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from egmt_jax import metrics
from egmt_jax.data import datasets, pipeline
from egmt_jax.evaluation import scoring
from egmt_jax.evaluation.guidance import check_policy, guided
from egmt_jax.inference.drawing import contact_sheet
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8, with_chroma, write_atomically, write_png
from egmt_jax.io.pairs import Pair
from egmt_jax.weights.checkpoint import load_model

MOST_ON_A_SHEET = 12


def export(config: ConfigDict, workdir: str, best: bool = False) -> pathlib.Path:
    """Writes the fused images of the test split and a contact sheet.

    Under `export/<set>/<split>/` of the workdir (`<split>-best` of the best model):
    `color/<id>.png` (fused luma, chroma of the visible image), `grey/<id>.png` (what the metrics
    are measured on), `contact_sheet.png`.

    Args:
      config: names the data; see `configs/base.py`.
      workdir: of a training run.
      best: use the best model on the validation split instead of the newest.

    Returns:
      The path of the contact sheet: visible | infrared | fused, spread over the split.
    """
    run = _open(config, workdir, best)
    folder = _folder(config, workdir, "export", best)
    shown = set(np.linspace(0, len(run.order) - 1, MOST_ON_A_SHEET).astype(int).tolist())
    rows = []
    pairs = guided(_pairs(run, "Exporting"), config.evaluation.guidance)
    for index, (pair, guidance) in enumerate(pairs):
        grey = to_uint8(run.fuser(pair.luma, pair.infrared, guidance).luma)
        color = with_chroma(grey, pair.visible)
        write_png(folder / "grey" / f"{pair.id}.png", grey)
        write_png(folder / "color" / f"{pair.id}.png", color)
        if index in shown:
            rows.append((pair.visible, pair.infrared, color))
    write_png(folder / "contact_sheet.png", contact_sheet(rows))
    return folder / "contact_sheet.png"


def evaluate(config: ConfigDict, workdir: str, best: bool = False) -> str:
    """Scores the fused images and the classifier on the test split.

    The average of the two sources is scored too, as a baseline. Under `evaluate/<set>/<split>/` of
    the workdir (`<split>-best` of the best model): `table.md`, `per_image.csv` (and
    `per_image_average.csv`), `results.json` with versions and the configs of the evaluation and of
    the training.

    Takes the arguments of `export`; returns the table, Markdown.
    """
    run = _open(config, workdir, best)
    folder = _folder(config, workdir, "evaluate", best)
    rows = {}
    policy = config.evaluation.guidance
    rows["egmt"], scores = scoring.score(run.fuser, _pairs(run, "Evaluating"), policy)
    averages = (scoring.scored_images(pair, _average(pair)) for pair in _pairs(run, "Average"))
    rows["average"] = metrics.score_pairs(averages, progress=False)
    summaries = {name: metrics.summary(each) for name, each in rows.items()}
    title = f"{config.data.name}, split {config.data.test_split}, {len(run.order)} pairs"
    title += ", best model" if best else ""
    table = f"## {title}\n\n{metrics.to_markdown(summaries)}"
    if scores:
        table += (
            f"\n\nClassifier: mAP {scores['mAP']:.3f}, normalised gain {scores['gain']:.3f}, "
            f"F1 {scores['F1_micro']:.3f} micro, {scores['F1_macro']:.3f} macro over "
            f"{scores['entities']} entities.\n"
        )
    metrics.write_csv(folder / "per_image.csv", rows["egmt"])
    metrics.write_csv(folder / "per_image_average.csv", rows["average"])
    results = metrics.manifest() | {
        "metrics": summaries,
        # JSON has no nan, which is the mean over no entity.
        "classifier": {k: v if math.isfinite(v) else None for k, v in (scores or {}).items()},
        "best": best,
        "config": json.loads(config.to_json_best_effort()),
        "trained": json.loads(run.trained.to_json_best_effort()),
    }
    write_atomically(folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    write_atomically(folder / "table.md", table.encode())
    return table


class _Run(NamedTuple):
    """A trained model, its config, and the records of the test split with their order by id."""

    fuser: Fuser
    trained: ConfigDict
    records: pipeline.Records
    order: list[int]


def _open(config: ConfigDict, workdir: str, best: bool) -> _Run:
    check_policy(config.evaluation.guidance)
    model, names, trained = load_model(workdir, best)
    before, now = trained.evaluation.get("guidance"), config.evaluation.guidance
    if before not in (None, now):  # such as a forgotten variant of the config
        logging.warning(
            "%s: trained with evaluation.guidance=%s, now it is %s", workdir, before, now
        )
    if _was_trained_on(trained.data, config.data):
        logging.warning(
            "%s: was trained on data.train_split=%s, which overlaps the split %s",
            workdir,
            trained.data.train_split,
            config.data.test_split,
        )
    data_set = datasets.open_set(config.data.name, config.data)
    light = datasets.records(data_set, config.data.test_split, images=False)
    ids = [light[row]["id"] for row in range(len(light))]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    records = datasets.records(data_set, config.data.test_split)
    return _Run(Fuser(model, names, trained.text_features), trained, records, order)


def _was_trained_on(trained: ConfigDict, asked: ConfigDict) -> bool:
    """Whether the split was trained on, by the names of sets and splits."""
    mixture = trained.get("mixture") or {}  # older checkpoints have none
    sets = {part["name"] for part in mixture.values() if part["weight"]} or {trained.name}
    splits, test = (set(re.findall(r"[a-z_]+", x)) for x in (trained.train_split, asked.test_split))
    return asked.name in sets and ("all" in splits | test or bool(splits & test))


def _folder(config: ConfigDict, workdir: str, kind: str, best: bool) -> pathlib.Path:
    split = config.data.test_split + ("-best" if best else "")
    return pathlib.Path(workdir) / kind / config.data.name / split


def _pairs(run: _Run, label: str) -> Iterator[Pair]:
    """The pairs in order of id, with a progress bar."""
    for row in tqdm(run.order, label, unit="pair"):
        yield pipeline.to_pair(run.records[row])


def _average(pair: Pair) -> np.ndarray:
    """The average of both images, uint8 [H, W]."""
    return to_uint8((pair.luma.astype(np.float32) + pair.infrared[..., 0]) / np.float32(510.0))
