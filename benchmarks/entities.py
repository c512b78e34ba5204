"""What the model makes of entities: classifier, attention, steering; prints JSON, writes a page.

    python benchmarks/entities.py [--workdir=RUN] --data_dir=DIR --manual_dir=DIR

- Classifier: average precision per entity on msrs/small, split classification_validation.
- Attention: every entity of every test scene of entity_scenes is named alone. It counts as found if
  the largest value of its attention map lies in its mask. Chance is the mask's share of the
  picture: what a random place would find. As a second baseline the place is taken from the middle
  of the picture, since things do not lie anywhere.
- Steering: an entity is named against one that is not there, on made-up scenes and on real pairs.

Without --workdir the shipped weights are looked at.
"""

import argparse
import json
import logging
import pathlib
import sys

import numpy as np
from ablation_scores import CLASSIFIED, SCENES, SETS, score_classifier, steer_real
from evidence import (
    ROOT,
    UserError,
    bootstrap,
    environment,
    held_out,
    markdown_table,
    write_json,
)
from tqdm import tqdm

from egmt_jax.data.images import write_atomically
from egmt_jax.data.pipeline import Pair
from egmt_jax.inference.fuser import Fuser, load_fuser
from egmt_jax.inference.steering import steering

LARGE = 0.3
"""Share of the picture above which an entity is so large that most places find it."""


def point(fuser: Fuser, pairs: list[Pair]) -> list[dict]:
    """A row per entity of each pair: `id`, `entity`, `found`, `area` of the mask, `middle`.

    `found` tells whether the largest attention lies in the mask, `middle` whether the middle of the
    picture does. A model without attention to entities gives no rows.
    """
    rows = []
    for pair in tqdm(pairs, "Pointing", unit="scene"):
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


def summarise(rows: list[dict]) -> dict[str, float | int]:
    """Count, share found with a 95 % interval over scenes, chance and the middle's share."""
    by_scene: dict[str, list[dict]] = {}
    for row in rows:
        by_scene.setdefault(row["id"], []).append(row)
    counts = np.asarray(
        [[sum(row["found"] for row in scene), len(scene)] for scene in by_scene.values()]
    )
    low, high = bootstrap(counts, lambda picked: picked[:, 0].sum() / picked[:, 1].sum())
    return {
        "count": len(rows),
        "found": float(np.mean([row["found"] for row in rows])),
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


def steered(rows: list[dict]) -> dict[str, float | int | list[float]]:
    """Count, mean change of contrast in grey levels and in shares of the contrast, and the share of
    pairs in which it rises, with 95 % intervals over pairs."""
    named, other = (np.asarray([row[key] for row in rows]) for key in ("named", "not_named"))
    change, rises = 255.0 * (named - other), (np.sign(named - other) + 1.0) / 2.0
    return {
        "count": len(rows),
        "change": float(change.mean()),
        "change_interval": bootstrap(change),
        "relative": float((named - other).mean() / other.mean()),
        "rises": float(rises.mean()),
        "rises_interval": bootstrap(rises),
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


def pointing_section(summaries: dict[str, dict], scenes: int) -> str:
    rows = [
        [
            name,
            str(row["count"]),
            f"{row['found']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            f"{row['chance']:.3f}",
            f"{row['middle']:.3f}",
        ]
        for name, row in summaries.items()
    ]
    return "\n".join(
        [
            "## Where attention points\n",
            f"Each entity of {scenes} test scenes of `entity_scenes` is named alone; *found* is",
            "the share of cases in which the largest value of its attention map lies in its mask.",
            "*Chance* is the mean share of the picture that the mask covers, *middle* what the",
            "middle of the picture would find. Entities that cover more than",
            f"{100 * LARGE:.0f} % of a picture are left out of the second line. Masks of other",
            "scenes taught the model where things are.\n",
            markdown_table(["entity", "count", "found", "chance", "middle"], rows) + "\n",
        ]
    )


def steering_section(results: dict[str, dict]) -> str:
    def between(bounds, factor=1.0):
        return "[" + ", ".join(f"{factor * bound:.1f}" for bound in bounds) + "]"

    rows = [
        [
            name,
            str(x["count"]),
            f"{x['change']:.1f} {between(x['change_interval'])}",
            f"{100 * x['relative']:.1f} %",
            f"{100 * x['rises']:.1f} {between(x['rises_interval'], 100.0)} %",
        ]
        for name, x in results.items()
    ]
    header = ["pictures", "count", "change, grey levels", "of the contrast", "rises in"]
    return "\n".join(
        [
            "## Steering\n",
            "Change of the contrast of a thing (mean inside against mean of its surround) when it",
            "is named, against when something that is not there is named; chance is 0 and 50 %.",
            "Masks are known on the scenes; on real pairs the place is where the model's",
            "own attention exceeds half its maximum, right or wrong: weaker evidence.\n",
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
        pointed = point(fuser, scenes)
        if not pointed:
            raise UserError("this model has no attention to entities that could point")
        real = [pair for name in SETS for pair in pairs_of(name, "validation")]
        cases = {
            "pointing": pointed,
            "made-up scenes": steering(fuser, scenes[:SCENES]),
            "real pairs": steer_real(fuser, real),
        }
        classifier = score_classifier(fuser, pairs_of(*CLASSIFIED))
        pointing = group(pointed)
        results = {name: steered(cases[name]) for name in ("made-up scenes", "real pairs")}
        most = f" --most={arguments.most}" if arguments.most else ""
        page = [
            "# What entities do\n",
            f"{'A run' if arguments.workdir else 'The released weights'} on data that training did",
            "not see. In brackets 95 % intervals over pictures. Made by",
            f"`python benchmarks/entities.py{most}`.\n",
            classifier_section(classifier),
            pointing_section(pointing, len(scenes)),
            steering_section(results),
        ]
        summary = {"classifier": classifier, "pointing": pointing, "steering": results}
        if arguments.out:
            content = {"summary": summary, "cases": cases, "made_with": environment()}
            write_json(arguments.out, content)
        path = arguments.page or pathlib.Path(arguments.workdir or ROOT / "docs", "entities.md")
        write_atomically(path, "\n".join(page).encode())
    except UserError as error:
        sys.exit(f"entities.py: {error}")
    print(json.dumps({"pointing": pointing, "steering": results}, indent=2))


if __name__ == "__main__":
    main()
