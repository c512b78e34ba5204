"""Does attention point at the thing that is named? On made-up scenes; prints JSON, writes a page.

    python benchmarks/pointing.py [--workdir=RUN] --data_dir=DIR

Every entity of every test scene of entity_scenes is named alone. It counts as found if the largest
value of its attention map lies in its mask. Chance is the mask's share of the picture: what a
random place would find. As a second baseline the place is taken from the middle of the picture,
since things do not lie anywhere. Without --workdir the shipped weights are looked at.
"""

import argparse
import json
import logging
import pathlib
import sys

import numpy as np
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


def table_of(summaries: dict[str, dict]) -> str:
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
    return markdown_table(["entity", "count", "found", "chance", "middle"], rows)


def page_of(summaries: dict[str, dict], scenes: int) -> str:
    text = f"""# Where attention points

Each entity of {scenes} test scenes of `entity_scenes` is named alone; *found* is the share of cases
in which the largest value of its attention map lies in its mask, with a 95 % interval over scenes.
*Chance* is the mean share of the picture that the mask covers, *middle* what the middle of the
picture would find. Entities that cover more than {100 * LARGE:.0f} % of a picture are left out of
the second line. The scenes' masks also teach the model in training; these scenes it has not seen.
`benchmarks/pointing.py` made the page.
"""
    return f"{text}\n{table_of(summaries)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", help="of a run; the shipped weights if not given")
    parser.add_argument("--data_dir", help="prepared data sets; TFDS's default if not given")
    parser.add_argument("--most", type=int, help="scenes at most")
    parser.add_argument("--out", type=pathlib.Path, help="JSON with every case")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "pointing.md")
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel("WARNING")
    try:
        fuser = load_fuser(arguments.workdir)
        pairs = held_out("entity_scenes/default", "test", arguments.data_dir, None, arguments.most)
        rows = point(fuser, pairs)
        if not rows:
            raise UserError("this model has no attention to entities that could point")
        names = sorted(
            {row["entity"] for row in rows},
            key=lambda name: -sum(row["entity"] == name for row in rows),
        )
        groups = {"all": rows, "all but the large": [row for row in rows if row["area"] <= LARGE]}
        groups |= {name: [row for row in rows if row["entity"] == name] for name in names}
        summaries = {name: summarise(group) for name, group in groups.items() if group}
        if arguments.out:
            content = {"summary": summaries, "cases": rows, "made_with": environment()}
            write_json(arguments.out, content)
        write_atomically(arguments.page, page_of(summaries, len(pairs)).encode())
    except UserError as error:
        sys.exit(f"pointing.py: {error}")
    print(json.dumps(summaries, indent=2))


if __name__ == "__main__":
    main()
