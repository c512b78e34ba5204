"""Measures what entities do in a model: classifier, attention, steering; writes docs/entities.md.

    python benchmarks/entities.py [--workdir=RUN] --data_dir=DIR --manual_dir=DIR [--most=200]

- Classifier: average precision per entity on held-out frames of MSRS, against everything visible.
- Attention: each entity of every test scene of entity_scenes, and of the validation pairs of the
  real sets, is named alone. It counts as found if the maximum of its attention map lies in its
  mask. Baselines: a random pixel, and the centre of the image.
- Steering: an entity is named, then one that is absent; the difference in the contrast of the
  former, on 200 of the scenes and on the real pairs.
- Segmentation: the attention to the whole vocabulary as a segmentation of the frames of MSRS.

Masks of real pairs may be rough outlines, see the READMEs of the sets. Without --workdir the
released weights are measured. Prints JSON; --out adds every case.
"""

import argparse
import json
import logging
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from evidence import (
    CLASSIFIED,
    ROOT,
    SCENES,
    SETS,
    STEERED_SCENES,
    UserError,
    add_data_flags,
    environment,
    held_out,
    markdown_table,
    mean_interval,
    steering_effect,
    write_json,
)
from tqdm import tqdm

from egmt_jax.entities import MOST_ENTITIES
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser, load_fuser
from egmt_jax.inference.tiles import enlarge
from egmt_jax.io.images import write_atomically
from egmt_jax.io.pairs import Pair
from egmt_jax.metrics.classification import average_precision, normalised_gain
from egmt_jax.models import UNGUIDED, Guidance
from egmt_jax.weights import RELEASED

FEWEST_POSITIVES = 5
FEWEST = 5  # cases below which the page shows no row for an entity
LARGE = 0.3  # share of the image above which most pixels find an entity
SMALL = 0.1  # share of the image of things that the page also shows apart

SEGMENTED = {
    "car": ("car", "van", "truck", "bus"),
    "person": ("person", "cyclist"),
    "bicycle": ("bicycle", "motorcycle"),
    "curb": ("curb",),
    "guardrail": ("guardrail", "fence", "bollard"),
    "traffic cone": ("traffic cone",),
    "bump": ("bump",),
}
"""The classes of MSRS and their entities; car stops and guardrails are one class here."""


def score_classifier(fuser: Fuser, pairs: Iterable[Pair]) -> dict:
    """Per entity with 5 positives or more, but not in every pair: `positives`, `prevalence`, `AP`,
    `gain`; `pairs`: the number of pairs with a list of everything present."""
    pairs = [pair for pair in pairs if pair.present is not None]
    if not pairs:
        raise UserError(f"{CLASSIFIED}: no pair lists what is present; prepare the set again")
    probabilities = [
        list(fuser(pair.visible, pair.infrared, UNGUIDED).probabilities.values())
        for pair in tqdm(pairs, "Classifying", unit="pair")
    ]
    labels = np.array([[name in pair.present for name in fuser.names] for pair in pairs])
    rows = {}
    for name, scores, known in zip(fuser.names, np.transpose(probabilities), labels.T, strict=True):
        p = float(known.mean())
        if known.sum() >= FEWEST_POSITIVES and p < 1.0:
            precision = float(average_precision(scores, known))
            rows[name] = {"positives": int(known.sum()), "prevalence": p, "AP": precision}
            rows[name]["gain"] = float(normalised_gain(precision, p))
    return {"pairs": len(pairs), "entities": rows}


def segment(fuser: Fuser, pairs: Iterable[Pair]) -> dict[str, float]:
    """Intersection over union of each of `SEGMENTED` over the pairs with masks, and `mean`.

    The classes, and everything else, have the attention to their entities summed per pixel; the
    largest sum wins. A class in no mask and in no result is left out.
    """
    classes = list(SEGMENTED)
    counts = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)  # the first: everything else
    every = Guidance(weight=np.ones((1, len(fuser.names)), np.float32))
    index = [[fuser.names.index(name) for name in SEGMENTED[label]] for label in classes]
    for pair in tqdm(pairs, "Segmenting", unit="pair"):
        fusion = fuser(pair.visible, pair.infrared, every)
        size = fusion.luma.shape
        shares = [enlarge(fusion.grid[..., k].sum(-1), fusion.cell_size, size) for k in index]
        predicted = np.argmax([1.0 - np.sum(shares, axis=0), *shares], axis=0)
        truth = np.zeros(size, np.int64)
        for k, label in enumerate(classes, 1):
            for name in set(SEGMENTED[label]) & set(pair.masks or {}):
                truth[pair.masks[name] > 127] = k
        pixels = np.bincount((truth * len(counts) + predicted).ravel(), minlength=counts.size)
        counts += pixels.reshape(counts.shape)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    known = [k for k in range(1, len(counts)) if union[k]]
    scores = {classes[k - 1]: float(counts[k, k] / union[k]) for k in known}
    return scores | {"mean": float(np.mean(list(scores.values())))}


def point(fuser: Fuser, pairs: Iterable[Pair]) -> list[dict]:
    """Per entity of each pair: `id`, `entity`, `found`, `area` of the mask, `centre`.

    `found`: whether the maximum of the attention lies in the mask; `centre`: whether the centre of
    the image does. A model without attention to entities gives no rows.
    """
    rows = []
    for pair in tqdm(pairs, "Pointing", unit="pair"):
        for entity, mask in (pair.masks or {}).items():
            mask = mask > 127
            if not mask.any():
                continue
            fusion = fuser(pair.visible, pair.infrared, Guidance(names=(entity,)))
            attention = fusion.attention(entity)
            if attention.max() > attention.min():
                index = np.unravel_index(np.argmax(attention), attention.shape)
                area, centre = float(mask.mean()), bool(mask[tuple(n // 2 for n in mask.shape)])
                row = {"id": pair.id, "entity": entity, "found": bool(mask[index])}
                rows.append(row | {"area": area, "centre": centre})
    return rows


def pointing_summary(rows: Sequence[Mapping]) -> dict[str, dict]:
    """Count, `found` with its interval, `chance` and `centre`: of all rows, of all but the large
    entities, and of each entity, the most frequent first."""
    names = [row["entity"] for row in rows]
    groups = {"all": rows, "all but the large": [row for row in rows if row["area"] <= LARGE]}
    for name in sorted(set(names), key=lambda name: (-names.count(name), name)):
        groups[name] = [row for row in rows if row["entity"] == name]
    return {
        name: {
            "count": len(part),
            "found": mean_interval([x["found"] for x in part], [x["id"] for x in part]),
            "chance": float(np.mean([row["area"] for row in part])),
            "centre": float(np.mean([row["centre"] for row in part])),
        }
        for name, part in groups.items()
        if part
    }


def to_markdown(
    classifier: Mapping, pointing: Mapping, steered: Mapping, segmented: Mapping, source: str
) -> str:
    """The page."""
    entities = sorted(classifier["entities"].items(), key=lambda item: -item[1]["prevalence"])
    scores = [(k, str(x["positives"]), (x["prevalence"], x["AP"], x["gain"])) for k, x in entities]
    if scores:
        scores.append(("mean", "", np.mean([values for *_, values in scores], axis=0)))
    rows = [[*cells, *(f"{x:.3f}" for x in values)] for *cells, values in scores]
    lines = [
        f"# What entities do\n\n{source}, on data that training did not use. Brackets: 95 %",
        "intervals over pairs. Written by `python benchmarks/entities.py`.\n",
        f"## Classifier\n\n{classifier['pairs']} frames of MSRS, split `{CLASSIFIED[1]}`; entities",
        f"with at least {FEWEST_POSITIVES} positives. AP: average precision, by chance the",
        "prevalence p; gain: (AP - p) / (1 - p).\n",
        markdown_table(["entity", "positives", "p", "AP", "gain"], rows),
        "## Where attention points\n\nEach entity of a pair is named alone. *Found*: share of",
        "cases in which the maximum of its attention map lies in its mask. *Chance*: mean share of",
        "the image that the mask covers. *Centre*: share of masks that contain the image's centre.",
        f"Large entities, left out of the second row, cover more than {100 * LARGE:.0f} %.\n",
    ]
    for images, summary in pointing.items():
        rows = [
            [name, str(x["count"]), "{:.3f} [{:.3f}, {:.3f}]".format(*x["found"])]
            + [f"{x[k]:.3f}" for k in ("chance", "centre")]
            for name, x in summary.items()
            if x["count"] >= FEWEST
        ]
        table = markdown_table(["entity", "count", "found", "chance", "centre"], rows)
        lines.append(f"### {images.capitalize()}\n\n{table}")
    rows = []
    for images, x in steered.items():
        change = "{:.1f} [{:.1f}, {:.1f}]".format(x["change"], *x["change_interval"])
        rises = [100.0 * value for value in (x["rises"], *x["rises_interval"])]
        rows.append([images, str(x["pairs"]), str(x["count"]), change])
        rows[-1] += [f"{100 * x['relative']:.1f} %", "{:.1f} [{:.1f}, {:.1f}] %".format(*rises)]
    header = ["images", "pairs", "cases", "change, grey levels", "relative", "rises in"]
    lines += [
        "## Steering\n\nContrast of an entity (magnitude of the mean inside its mask minus that of",
        "its surroundings) when it is named, minus that when an absent entity is named; 0 and 50 %",
        "by chance. Rendered scenes: the most salient entity below 30 % of the image; real pairs:",
        "all such entities.\n",
        markdown_table(header, rows),
        "## Segmentation\n\nThe attention to all entities of the vocabulary, summed per class, as",
        "a segmentation of the same frames of MSRS: intersection over union with masks made from",
        "the official label maps. Nothing is trained for it but the attention.\n",
        markdown_table(list(segmented), [[f"{value:.3f}" for value in segmented.values()]]),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", help="of a run; default: the released weights")
    parser.add_argument("--model", choices=RELEASED, default="base", help="which of them")
    add_data_flags(parser)
    parser.add_argument("--most", type=int, help="maximum number of pairs per set")
    parser.add_argument("--out", type=pathlib.Path, help="JSON with every case")
    parser.add_argument("--page", type=pathlib.Path, help="default: entities.md in docs or workdir")
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel("WARNING")
    folders = arguments.data_dir, arguments.manual_dir, arguments.most
    fuser = load_fuser(arguments.workdir, arguments.model)
    scenes = held_out(*SCENES, *folders)
    real = [pair for name in SETS for pair in held_out(name, "validation", *folders) if pair.masks]
    if not real:
        raise UserError("no validation pair has masks; prepare the real sets again")
    pointed = {"rendered scenes": point(fuser, scenes), "real pairs": point(fuser, real)}
    steered = {
        "rendered scenes": steering(fuser, scenes[:STEERED_SCENES]),
        "real pairs": steering(fuser, real, most=MOST_ENTITIES),
    }
    small = [row for row in steered["real pairs"] if row["area"] < SMALL]
    steered["real pairs, below a tenth of the image"] = small
    frames = held_out(*CLASSIFIED, *folders)
    classifier, segmented = score_classifier(fuser, frames), segment(fuser, frames)
    pointing = {name: pointing_summary(rows) for name, rows in pointed.items()}
    effects = {name: steering_effect(rows) for name, rows in steered.items()}
    summary = {"classifier": classifier, "pointing": pointing, "steering": effects}
    summary["segmentation"] = segmented
    if arguments.out:
        cases = {"pointing": pointed, "steering": steered, "made_with": environment()}
        write_json(arguments.out, summary | {"cases": cases})
    path = arguments.page or pathlib.Path(arguments.workdir or ROOT / "docs", "entities.md")
    source = "A training run" if arguments.workdir else f"The weights `{arguments.model}`"
    write_atomically(path, to_markdown(classifier, pointing, effects, segmented, source).encode())
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"entities.py: {error}")
