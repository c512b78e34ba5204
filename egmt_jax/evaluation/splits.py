"""Exports and evaluates entire splits with a trained model."""

import json
import math
import os
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
from egmt_jax.evaluation.guidance import guided
from egmt_jax.evaluation.scoring import average, score, scored_images
from egmt_jax.inference.drawing import contact_sheet
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8, with_chroma, write_atomically, write_png
from egmt_jax.io.pairs import Pair
from egmt_jax.weights.checkpoint import load_model

MOST_ON_A_SHEET = 12
CLASSIFIER = """\n
Classifier: mAP {mAP:.3f}, normalised gain {gain:.3f}, F1 {F1_micro:.3f} micro, {F1_macro:.3f} macro
over {entities} entities.
"""


def export(config: ConfigDict, workdir: str | os.PathLike, best: bool = False) -> pathlib.Path:
    """Writes the fused images of the test split and a contact sheet; returns the sheet's path.

    Under `export/<set>/<split>/` of the workdir of a training run: `color/<id>.png` (fused luma,
    chroma of the visible image), `grey/<id>.png` (the metrics' input), `contact_sheet.png` (visible
    | infrared | fused). `best` selects the best model on the validation split, not the newest, and
    the folder `<split>-best`. `config` names the data; see `configs/base.py`.
    """
    run = _open("export", config, workdir, best)
    shown = set(np.linspace(0, len(run.order) - 1, MOST_ON_A_SHEET).astype(int).tolist())
    rows = []
    pairs = guided(_pairs(run, "Exporting"), config.evaluation.guidance)
    for index, (pair, guidance) in enumerate(pairs):
        grey = to_uint8(run.fuser(pair.visible, pair.infrared, guidance).luma)
        color = with_chroma(grey, pair.visible)
        write_png(run.folder / "grey" / f"{pair.id}.png", grey)
        write_png(run.folder / "color" / f"{pair.id}.png", color)
        if index in shown:
            rows.append((pair.visible, pair.infrared, color))
    write_png(run.folder / "contact_sheet.png", contact_sheet(rows))
    return run.folder / "contact_sheet.png"


def evaluate(config: ConfigDict, workdir: str | os.PathLike, best: bool = False) -> str:
    """Scores the fused images and the classifier on the test split; returns a Markdown table.

    Also scores the average of the two sources, as a baseline. Writes, under
    `evaluate/<set>/<split>/` (see `export`, also for the arguments): `table.md`, `per_image.csv`,
    `per_image_average.csv`, and `results.json` with versions and both configs.
    """
    run = _open("evaluate", config, workdir, best)
    own, scores = score(run.fuser, _pairs(run, "Evaluating"), config.evaluation.guidance)
    averages = (scored_images(pair, average(pair)) for pair in _pairs(run, "Average"))
    plain = metrics.score_pairs(averages, progress=False)
    summaries = {"egmt": metrics.summary(own), "average": metrics.summary(plain)}
    title = f"{config.data.name}, split {config.data.test_split}, {len(run.order)} pairs"
    table = f"## {title}{', best model' * best}\n\n{metrics.to_markdown(summaries)}"
    table += CLASSIFIER.format(**scores) if scores else ""
    metrics.write_csv(run.folder / "per_image.csv", own)
    metrics.write_csv(run.folder / "per_image_average.csv", plain)
    results = metrics.manifest() | {
        "metrics": summaries,
        # JSON has no nan, which is the mean over no entity.
        "classifier": {k: v if math.isfinite(v) else None for k, v in (scores or {}).items()},
        "best": best,
        "config": json.loads(config.to_json_best_effort()),
        "trained": json.loads(run.trained.to_json_best_effort()),
    }
    write_atomically(run.folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    write_atomically(run.folder / "table.md", table.encode())
    return table


class _Run(NamedTuple):
    fuser: Fuser
    trained: ConfigDict  # config of the training
    records: pipeline.Records  # of the test split
    order: list[int]  # of the records by id
    folder: pathlib.Path  # for outputs


def _open(kind: str, config: ConfigDict, workdir: str | os.PathLike, best: bool) -> _Run:
    model, names, trained = load_model(workdir, best)
    before, now = trained.evaluation.get("guidance"), config.evaluation.guidance
    if before not in (None, now):  # such as a forgotten variant of the config
        logging.warning("%s: trained with evaluation.guidance=%s, now %s", workdir, before, now)
    name, split = config.data.name, config.data.test_split
    if _was_trained_on(trained.data, config.data):
        text = "%s: was trained on data.train_split=%s, which overlaps the split %s"
        logging.warning(text, workdir, trained.data.train_split, split)
    data_set = datasets.open_set(name, config.data)
    light = datasets.records(data_set, split, images=False)
    order = sorted(range(len(light)), key=lambda row: light[row]["id"])
    folder = pathlib.Path(workdir, kind, name, f"{split}-best" if best else split)
    fuser = Fuser(model, names, trained.text_features)
    return _Run(fuser, trained, datasets.records(data_set, split), order, folder)


def _was_trained_on(trained: ConfigDict, asked: ConfigDict) -> bool:
    # By the names of sets and splits.
    mixture = trained.get("mixture") or {}  # older checkpoints have none
    sets = {part["name"] for part in mixture.values() if part["weight"]} or {trained.name}
    splits, test = (set(re.findall(r"[a-z_]+", x)) for x in (trained.train_split, asked.test_split))
    return asked.name in sets and ("all" in splits | test or bool(splits & test))


def _pairs(run: _Run, label: str) -> Iterator[Pair]:
    """The pairs in order of id, with a progress bar."""
    for row in tqdm(run.order, label, unit="pair"):
        yield pipeline.to_pair(run.records[row])
