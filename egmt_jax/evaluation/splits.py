"""Whole splits through a trained model: export of pictures, evaluation by the metrics."""

import json
import math
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from egmt_jax import metrics
from egmt_jax.data import datasets, pipeline
from egmt_jax.entities.sentences import SENTENCES, caption_features
from egmt_jax.evaluation import scoring as validation
from egmt_jax.inference.fuser import Fuser
from egmt_jax.inference.sheets import contact_sheet
from egmt_jax.io.images import to_uint8, with_chroma, write_atomically, write_png
from egmt_jax.weights.checkpoint import load_model

MOST_ON_A_SHEET = 12


def export(config: ConfigDict, workdir: str, best: bool = False) -> pathlib.Path:
    """Writes the fused pictures of the test split and a contact sheet.

    Under `export/<set>/<split>/` of the workdir (`<split>-best` of the best model):
    `color/<id>.png` (fused luma, chroma of the visible image), `grey/<id>.png` (what the metrics
    are measured on), `contact_sheet.png`.

    Args:
      config: names the data; see `configs/base.py`.
      workdir: of a training run.
      best: the best model on the validation split, where training kept one, not the newest.

    Returns:
      The path of the contact sheet: visible | infrared | fused, spread over the split.

    Raises:
      UserError: no checkpoint, the data are missing, or their captions cannot be embedded.
    """
    fuser, _, source, order, sentences = _open(config, workdir, best)
    folder = _folder(config, workdir, "export", best)
    shown = set(np.linspace(0, len(source) - 1, MOST_ON_A_SHEET).astype(int).tolist())
    rows = []
    pairs = validation.guided(
        _pairs(source, order, "Exporting"), config.evaluation.given, sentences
    )
    for place, (pair, entities) in enumerate(pairs):
        grey = to_uint8(fuser(pair.luma, pair.infrared, entities).fused)
        color = with_chroma(grey, pair.visible)
        write_png(folder / "grey" / f"{pair.id}.png", grey)
        write_png(folder / "color" / f"{pair.id}.png", color)
        if place in shown:
            rows.append((pair.visible, pair.infrared, color))
    write_png(folder / "contact_sheet.png", contact_sheet(rows))
    return folder / "contact_sheet.png"


def evaluate(config: ConfigDict, workdir: str, best: bool = False) -> str:
    """Scores the fused pictures and the classifier on the test split.

    The plain average of the two sources is scored beside them, as the least a fusion must beat.
    Under `evaluate/<set>/<split>/` of the workdir (`<split>-best` of the best model): `table.md`,
    `per_image.csv` (and `per_image_average.csv`), `results.json` with versions, the config and the
    one that the model was trained by.

    Args:
      config: names the data; see `configs/base.py`.
      workdir: of a training run.
      best: the best model on the validation split, where training kept one, not the newest.

    Returns:
      The table, Markdown.

    Raises:
      UserError: no checkpoint, the data are missing, or their captions cannot be embedded.
    """
    fuser, trained, source, order, sentences = _open(config, workdir, best)
    folder = _folder(config, workdir, "evaluate", best)
    rows, scores = {}, None
    pairs = _pairs(source, order, "Evaluating")
    rows["egmt"], scores = validation.score(fuser, pairs, config.evaluation.given, sentences)
    rows["average"] = metrics.score_pairs(
        (
            (pair.id, _average(pair), pair.luma, pair.infrared[..., 0])
            for pair in _pairs(source, order, "Average")
        ),
        progress=False,
    )
    summaries = {name: metrics.summary(each) for name, each in rows.items()}
    title = f"{config.data.name}, split {config.data.test_split}, {len(source)} pairs"
    title += ", best model" if best else ""
    table = f"## {title}\n\n{metrics.to_markdown(summaries)}"
    if scores:
        table += f"\n\n{_classifier_line(scores)}\n"
    metrics.write_csv(folder / "per_image.csv", rows["egmt"])
    metrics.write_csv(folder / "per_image_average.csv", rows["average"])
    results = metrics.manifest({}) | {
        "metrics": summaries,
        # JSON knows no nan, which stands for a score with nothing to count.
        "classifier": scores and {k: v if math.isfinite(v) else None for k, v in scores.items()},
        "best": best,
        "config": json.loads(config.to_json_best_effort()),
        "trained": json.loads(trained.to_json_best_effort()),
    }
    write_atomically(folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    write_atomically(folder / "table.md", table.encode())
    return table


def _open(
    config: ConfigDict, workdir: str, best: bool
) -> tuple[Fuser, ConfigDict, Sequence, list[int], dict[str, np.ndarray] | None]:
    """The trained model of a workdir, its config, the test split, and its rows in order of id.

    Last the features of the split's captions, where they guide.
    """
    list(validation.guided([], config.evaluation.given))  # refuses an unknown word
    model, names, trained = load_model(workdir, best)
    before, now = trained.evaluation.get("given"), config.evaluation.given
    if before not in (None, now):  # as when the config's variant has been forgotten
        logging.warning("%s: trained for evaluation.given=%s, now it is %s", workdir, before, now)
    if _has_seen(trained.data, config.data):
        logging.warning(
            "%s: was trained on data.train_split=%s: it has seen pairs of the split %s that it is "
            "asked about",
            workdir,
            trained.data.train_split,
            config.data.test_split,
        )
    data_set = datasets.open_set(config.data.name, config.data)
    records = datasets.source(data_set, config.data.test_split, images=False)
    ids, captions = [], []
    for row in range(len(records)):
        record = records[row]
        ids.append(record["id"])
        captions.append(pipeline.caption_of(record))
    order = sorted(range(len(ids)), key=ids.__getitem__)
    sentences = None
    if config.evaluation.given == "sentence":
        file = pathlib.Path(workdir) / SENTENCES
        sentences = caption_features(captions, trained.text_features, file)
    source = datasets.source(data_set, config.data.test_split)
    return Fuser(model, names, trained.text_features), trained, source, order, sentences


def _has_seen(trained: ConfigDict, asked: ConfigDict) -> bool:
    """Whether the split that is asked for was trained on, by the names of sets and splits."""
    mixture = trained.get("mixture") or {}  # older checkpoints have none
    sets = {part["name"] for part in mixture.values() if part["weight"]} or {trained.name}
    splits, test = (set(re.findall(r"[a-z_]+", x)) for x in (trained.train_split, asked.test_split))
    return asked.name in sets and ("all" in splits | test or bool(splits & test))


def _folder(config: ConfigDict, workdir: str, kind: str, best: bool) -> pathlib.Path:
    split = config.data.test_split + ("-best" if best else "")
    return pathlib.Path(workdir) / kind / config.data.name / split


def _pairs(source: Sequence, order: list[int], label: str) -> Iterator[pipeline.Pair]:
    """The pairs of a source in an order, with a progress bar."""
    for row in tqdm(order, label, unit="pair"):
        yield pipeline.to_pair(source[row])


def _average(pair: pipeline.Pair) -> np.ndarray:
    """The plain average of a pair, uint8 [H, W]."""
    return to_uint8((pair.luma.astype(np.float32) + pair.infrared[..., 0]) / 510.0)


def _classifier_line(scores: dict[str, float]) -> str:
    return (
        f"Classifier: mAP {scores['mAP']:.3f}, normalised gain {scores['gain']:.3f}, "
        f"F1 {scores['F1_micro']:.3f} micro, {scores['F1_macro']:.3f} macro over "
        f"{scores['entities']} entities."
    )
