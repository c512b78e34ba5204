"""Writes the packaged annotations of the builders: python -m tfds_builders.package ANNOTATIONS_DIR

Run it again after a change of the annotations or of the entity extractor: captions without a list
of entities (standard test pairs) get what the extractor finds, as `extracted`.
"""

import collections
import gzip
import json
import pathlib
import sys
from typing import Any

from egmt_jax.entities import extract, load_vocabulary
from egmt_jax.io.images import write_atomically

HERE = pathlib.Path(__file__).parent
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
WITHOUT_BOXES = {"00471"}  # its boxes belong to another frame


def lines_of(rows: list[dict]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def packaged(line: dict) -> dict:
    """The line without names that are too rare for the vocabulary, and with extracted entities if
    it has no list."""
    vocabulary = load_vocabulary()
    lists = {key: line[key] for key in ("entities", "present") if key in line}
    line = line | {k: [name for name in names if name in vocabulary] for k, names in lists.items()}
    if "entities" in line:
        return line
    return line | {"extracted": extract(line["caption_visible"], line["caption_infrared"])}


def box_entities(frames: list[dict]) -> list[dict]:
    """M3FD: number of boxes per entity and frame, most frequent first."""
    return [
        {
            "id": frame["id"],
            "boxes": dict(collections.Counter(b[0] for b in frame["boxes"]).most_common()),
        }
        for frame in frames
        if frame["id"] not in WITHOUT_BOXES
    ]


def split_scenes(scenes: list[dict]) -> list[dict]:
    """M3FD: assigns places to splits, so that no place and no frame is in two of them.

    Scenes of one place at any time of day, and scenes that share ids, form a group. Each group goes
    to the split that lacks most frames of its share: first groups with frames at night, then those
    by day, in challenging weather and under overcast skies, the largest group of each first.
    """
    groups: list[dict[str, Any]] = []
    for scene in scenes:
        ids = {i for first, last in scene["ids"] for i in range(first, last + 1)}
        group: dict[str, Any]
        group = {"places": {scene["place"]}, "times": {scene["time"]}, "ids": ids}
        for other in [g for g in groups if g["places"] & group["places"] or g["ids"] & ids]:
            groups.remove(other)
            group = {key: group[key] | other[key] for key in group}
        groups.append(group)
    counts: collections.Counter[str] = collections.Counter()
    total = 0
    for time in ("night", "daytime", "challenge", "overcast"):
        members = [g for g in groups if time in g["times"] and "split" not in g]
        total += sum(len(group["ids"]) for group in members)
        for group in sorted(members, key=lambda g: (-len(g["ids"]), sorted(g["places"]))):
            group["split"] = max(SHARES, key=lambda split: SHARES[split] * total - counts[split])
            counts[group["split"]] += len(group["ids"])
    rows = []
    for group in groups:
        ordered = sorted(group["ids"])
        starts = [i for i in ordered if i - 1 not in group["ids"]]
        ends = [i for i in ordered if i + 1 not in group["ids"]]
        rows.append(
            {"places": sorted(group["places"]), "times": sorted(group["times"])}
            | {"split": group["split"], "ids": list(zip(starts, ends, strict=True))}
        )
    return rows


def main(folder: pathlib.Path) -> None:
    """Reads `<set>.jsonl`, `m3fd_boxes.jsonl.gz` and `m3fd_scenes.json` of the folder."""
    for name in ("tno", "roadscene", "m3fd", "msrs"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        content = lines_of([packaged(row) for row in rows])
        if name == "msrs":
            write_atomically(HERE / name / "annotations.jsonl.gz", gzip.compress(content, mtime=0))
        else:
            write_atomically(HERE / name / "annotations.jsonl", content)
    packed = gzip.decompress((folder / "m3fd_boxes.jsonl.gz").read_bytes())
    frames = [json.loads(line) for line in packed.splitlines()]
    content = gzip.compress(lines_of(box_entities(frames)), mtime=0)
    write_atomically(HERE / "m3fd" / "box_entities.jsonl.gz", content)
    scenes = json.loads((folder / "m3fd_scenes.json").read_text())
    write_atomically(HERE / "m3fd" / "scenes.jsonl", lines_of(split_scenes(scenes)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
