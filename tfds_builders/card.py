"""Writes the data cards beside the builders, CARD.md: python -m tfds_builders.card [NAME ...]

Everything is counted from the packaged annotations; images are not needed.
"""

import collections
import pathlib
import re
import sys
import tempfile

import tensorflow_datasets as tfds

import tfds_builders  # noqa: F401  (registers the data sets)
from egmt_jax.io.images import write_atomically

HERE = pathlib.Path(__file__).parent
CONFIGS = {"tno": "tno", "roadscene": "roadscene", "msrs": "msrs", "m3fd": "m3fd/detection"}
FROM_README = ("Where to get it", "Captions", "Outlines", "Boxes", "Label maps", "Known errors")


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def card(name: str) -> str:
    """The data card of a set in Markdown."""
    with tempfile.TemporaryDirectory() as empty:  # prepared data plays no role
        builder = tfds.builder(CONFIGS[name], data_dir=empty)
    readme = (HERE / name / "README.md").read_text(encoding="utf-8")
    ids = list(builder.annotations)
    if name == "m3fd":
        ids = [f"{number:05d}" for number in range(4200)]
    present = {i: line["present"] for i, line in builder.annotations.items() if "present" in line}
    entities = {i: builder.entities_of(i) for i in ids}
    splits: dict[str, list[str]] = {}
    for i in ids:
        splits.setdefault(builder.split_of(i), []).append(i)
    rows = [
        [
            split,
            len(members),
            sum(bool(entities[i]) for i in members),
            sum(i in present for i in members),
            sum(i in builder.regions for i in members),
        ]
        for split, members in [*sorted(splits.items(), key=lambda s: -len(s[1])), ("all", ids)]
    ]
    counts = {
        kind: collections.Counter(entity for found in lists for entity in found)
        for kind, lists in (("entities", entities.values()), ("present", present.values()))
    }
    per_split = {
        split: collections.Counter(e for i in members for e in present.get(i, entities[i]))
        for split, members in splits.items()
    }
    order = sorted(counts["entities"] | counts["present"], key=lambda e: (-counts["present"][e], e))
    prevalence = [
        [
            entity,
            counts["entities"][entity],
            counts["present"][entity],
            f"{counts['present'][entity] / len(present):.3f}",
            *(per_split[str(row[0])][entity] for row in rows[:-1]),
        ]
        for entity in order
    ]
    paragraphs = {
        match[1]: paragraph
        for paragraph in re.split(r"\n\n(?=\*\*|\Z)", readme)
        if (match := re.match(r"\*\*(.+?)\.\*\*", paragraph))
    }
    return "\n\n".join(
        [
            f"# {builder.info.full_name}",
            "Written by `python -m tfds_builders.card`; counts come from the packaged annotations. "
            f"Homepage: `{builder.info.homepage}`. Fingerprint: `{builder.fingerprint[:12]}`.",
            *(paragraphs[title].strip() for title in FROM_README if title in paragraphs),
            "## Pairs",
            table(["split", "pairs", "`entities`", "`present`", "outlines"], rows),
            "## Entities",
            "Pairs whose `entities` and `present` name an entity; its share of the pairs that have "
            "`present`; and pairs per split, by `present` where there is one, else by `entities`.",
            table(
                ["entity", "`entities`", "`present`", "share", *(str(row[0]) for row in rows[:-1])],
                prevalence,
            ),
        ]
    ) + "\n"  # fmt: skip


if __name__ == "__main__":
    for set_name in sys.argv[1:] or CONFIGS:
        write_atomically(HERE / set_name / "CARD.md", card(set_name).encode())
