"""What the model makes of entities: classifier, attention, steering; prints JSON, writes a page.

    python benchmarks/entities.py [--workdir=RUN] --data_dir=DIR --manual_dir=DIR

- Classifier: average precision per entity on msrs/small, split classification_validation.
- Attention: every entity of every test scene of entity_scenes, and of the validation pairs of the
  real sets, is named alone. It counts as found if the largest value of its attention map lies in
  its mask. Chance is the mask's share of the picture: what a random place would find. As a second
  baseline the place is taken from the middle of the picture, since things do not lie anywhere.
- Steering: an entity is named against one that is not there, on 200 of the scenes and the pairs.

Masks of the real pairs are outlines that a vision-language model drew, see the READMEs of the sets.

Without --workdir the shipped weights are looked at.
"""

import argparse
import json
import logging
import pathlib
import sys
from collections.abc import Callable

import numpy as np
from ablation_scores import CLASSIFIED, SCENES, SETS, score_classifier
from evidence import ROOT, UserError, bootstrap, environment, held_out, markdown_table, write_json
from tqdm import tqdm

from egmt_jax.data.pipeline import MOST_ENTITIES, Pair
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser, load_fuser
from egmt_jax.io.images import write_atomically

FEWEST = 5
"""Cases below which an entity has no line of its own in the page."""

LARGE = 0.3
"""Share of the picture above which an entity is so large that most places find it."""


def point(fuser: Fuser, pairs: list[Pair]) -> list[dict]:
    """A row per entity of each pair: `id`, `entity`, `found`, `area` of the mask, `middle`.

    `found` tells whether the largest attention lies in the mask, `middle` whether the middle of the
    picture does. A model without attention to entities gives no rows.
    """
    rows = []
    for pair in tqdm(pairs, "Pointing", unit="pair"):
        for entity, mask in zip(pair.entities, pair.masks, strict=True):
            mask = mask > 127
            attention = fuser(pair.luma, pair.infrared, [entity]).attention(entity)
            if not mask.any() or attention.max() == attention.min():
                continue
            place = np.unravel_index(np.argmax(attention), attention.shape)
            rows.append(
                {
                    "id": pair.id,
                    "entity": entity,
                    "found": bool(mask[place]),
                    "area": float(mask.mean()),
                    "middle": bool(mask[mask.shape[0] // 2, mask.shape[1] // 2]),
                }
            )
    return rows


def over_pairs(rows: list[dict], value: Callable[[dict], float]) -> tuple[float, float, float]:
    """Mean of a value over rows, and its 95 % interval over the pairs that they are of."""
    by_pair: dict[str, list[float]] = {}
    for row in rows:
        by_pair.setdefault(row["id"], []).append(value(row))
    totals = np.asarray([[sum(values), len(values)] for values in by_pair.values()])
    low, high = bootstrap(totals, lambda picked: picked[:, 0].sum() / picked[:, 1].sum())
    return float(np.mean([value(row) for row in rows])), low, high


def summarise(rows: list[dict]) -> dict[str, float | int]:
    """Count, share found with a 95 % interval over pairs, chance and the middle's share."""
    found, low, high = over_pairs(rows, lambda row: row["found"])
    return {
        "count": len(rows),
        "found": found,
        "low": low,
        "high": high,
        "chance": float(np.mean([row["area"] for row in rows])),
        "middle": float(np.mean([row["middle"] for row in rows])),
    }


def group(rows: list[dict]) -> dict[str, dict]:
    """The summary of all rows, of all but the large things, and of each entity, most common
    first."""
    names = sorted(
        {row["entity"] for row in rows},
        key=lambda name: -sum(row["entity"] == name for row in rows),
    )
    groups = {"all": rows, "all but the large": [row for row in rows if row["area"] <= LARGE]}
    groups |= {name: [row for row in rows if row["entity"] == name] for name in names}
    return {name: summarise(rows) for name, rows in groups.items() if rows}


def effect(rows: list[dict]) -> dict[str, float | int | list[float]]:
    """Count, mean change of contrast in grey levels and in shares of the contrast, and the share of
    cases in which it rises, with 95 % intervals over pairs."""

    def change(row):
        return 255.0 * (row["named"] - row["not_named"])

    mean, *interval = over_pairs(rows, change)
    rises, *rises_interval = over_pairs(rows, lambda row: (np.sign(change(row)) + 1.0) / 2.0)
    return {
        "pairs": len({row["id"] for row in rows}),
        "count": len(rows),
        "change": mean,
        "change_interval": interval,
        "relative": mean / float(np.mean([255.0 * row["not_named"] for row in rows])),
        "rises": rises,
        "rises_interval": rises_interval,
    }


def classifier_section(classifier: dict) -> str:
    entities = sorted(classifier["entities"].items(), key=lambda item: -item[1]["prevalence"])
    rows = [
        [name, str(x["positives"]), f"{x['prevalence']:.3f}", f"{x['AP']:.3f}", f"{gain(x):.3f}"]
        for name, x in entities
    ]
    averages = [
        f"{np.mean([function(x) for _, x in entities]):.3f}"
        for function in (lambda x: x["prevalence"], lambda x: x["AP"], gain)
    ]
    rows.append(["mean", "", *averages])
    return "\n".join(
        [
            "## Classifier\n",
            f"{classifier['pairs']} frames of MSRS at 128 x 96, `classification_validation`;",
            "none of them trained the weights; entities of 5 positives or more and a prevalence p",
            "below one half. AP is average precision, whose chance level is p; gain is",
            "(AP - p) / (1 - p).\n",
            markdown_table(["entity", "positives", "p", "AP", "gain"], rows) + "\n",
        ]
    )


def gain(entity: dict) -> float:
    """Average precision above chance, 1 for a perfect ranking."""
    return (entity["AP"] - entity["prevalence"]) / (1.0 - entity["prevalence"])


def pointing_section(summaries: dict[str, dict[str, dict]]) -> str:
    lines = [
        "## Where attention points\n",
        "Each entity of a picture is named alone; *found* is the share of cases in which the",
        "largest value of its attention map lies in its mask. *Chance* is the mean share of the",
        "picture that the mask covers, *middle* what the middle of the picture would find.",
        f"Entities that cover more than {100 * LARGE:.0f} % of a picture are left out of the",
        "second line of each table. The outlines of real pairs, drawn by a vision-language model,",
        "are coarse.\n",
    ]
    for pictures, summary in summaries.items():
        rows = [
            [
                name,
                str(row["count"]),
                f"{row['found']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
                f"{row['chance']:.3f}",
                f"{row['middle']:.3f}",
            ]
            for name, row in summary.items()
            if row["count"] >= FEWEST
        ]
        table = markdown_table(["entity", "count", "found", "chance", "middle"], rows)
        lines += [f"### {pictures.capitalize()}\n", table + "\n"]
    return "\n".join(lines)


def steering_section(results: dict[str, dict]) -> str:
    def between(bounds, factor=1.0):
        return "[" + ", ".join(f"{factor * bound:.1f}" for bound in bounds) + "]"

    rows = [
        [
            name,
            str(x["pairs"]),
            str(x["count"]),
            f"{x['change']:.1f} {between(x['change_interval'])}",
            f"{100 * x['relative']:.1f} %",
            f"{100 * x['rises']:.1f} {between(x['rises_interval'], 100.0)} %",
        ]
        for name, x in results.items()
    ]
    header = ["pictures", "pairs", "things", "change, grey levels", "of the contrast", "rises in"]
    return "\n".join(
        [
            "## Steering\n",
            "Change of the contrast of a thing (mean inside against mean of its surround) when it",
            "is named, against when something that is not there is named; chance is 0 and 50 %.",
            "Of a made-up scene the most salient thing that covers less than 30 % of it counts,",
            "of a real pair every such thing.\n",
            markdown_table(header, rows) + "\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", help="of a run; the shipped weights if not given")
    parser.add_argument("--data_dir", help="prepared data sets; TFDS's default if not given")
    parser.add_argument("--manual_dir", help="files of the real sets, see configs/all.py")
    parser.add_argument("--most", type=int, help="pairs of each set at most")
    parser.add_argument("--out", type=pathlib.Path, help="JSON with every case")
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        help="default: docs/entities.md, or WORKDIR/entities.md of a run",
    )
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel("WARNING")

    def pairs_of(name, split):
        folders = arguments.data_dir, arguments.manual_dir
        return held_out(name, split, *folders, arguments.most)

    try:
        fuser = load_fuser(arguments.workdir)
        scenes = pairs_of("entity_scenes/default", "test")
        real = [
            pair for name in SETS for pair in pairs_of(name, "validation") if pair.masks is not None
        ]
        if not real:
            raise UserError("no validation pair has outlines; prepare the real sets again")
        pictures = {"made-up scenes": scenes, "real pairs": real}
        pointed = {name: point(fuser, pairs) for name, pairs in pictures.items()}
        if not all(pointed.values()):
            raise UserError("this model has no attention to entities that could point")
        steered = {
            "made-up scenes": steering(fuser, scenes[:SCENES]),
            "real pairs": steering(fuser, real, most=MOST_ENTITIES),
        }
        classifier = score_classifier(fuser, pairs_of(*CLASSIFIED))
        pointing = {name: group(rows) for name, rows in pointed.items()}
        results = {name: effect(rows) for name, rows in steered.items()}
        most = f" --most={arguments.most}" if arguments.most else ""
        page = [
            "# What entities do\n",
            f"{'A run' if arguments.workdir else 'The released weights'} on data that training did",
            "not see. In brackets 95 % intervals over pictures. Made by",
            f"`python benchmarks/entities.py{most}`.\n",
            classifier_section(classifier),
            pointing_section(pointing),
            steering_section(results),
        ]
        summary = {"classifier": classifier, "pointing": pointing, "steering": results}
        if arguments.out:
            cases = {"pointing": pointed, "steering": steered}
            content = {"summary": summary, "cases": cases, "made_with": environment()}
            write_json(arguments.out, content)
        path = arguments.page or pathlib.Path(arguments.workdir or ROOT / "docs", "entities.md")
        write_atomically(path, "\n".join(page).encode())
    except UserError as error:
        sys.exit(f"entities.py: {error}")
    print(json.dumps({"pointing": pointing, "steering": results}, indent=2))


if __name__ == "__main__":
    main()
