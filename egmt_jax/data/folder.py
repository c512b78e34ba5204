"""Anybody's own pairs: folders `ir/` and `vi/`, read on demand, with no builder and no labels."""

import concurrent.futures
import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from egmt_jax import entities
from egmt_jax.data.pipeline import MOST_ENTITIES
from egmt_jax.entities.annotations import read_lines
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.io import outlines as regions
from tfds_builders import pairs

ANNOTATIONS = "annotations.jsonl"
CAPTIONS = ("caption_visible", "caption_infrared")
HELD_OUT = 10
"""One pair in so many validates and as many test."""

PROBLEMS_SHOWN = 50


@dataclasses.dataclass(frozen=True)
class Source:
    """Records of pairs, with random access; a file is read when its record is asked for.

    Attributes:
      pairs: the files.
      annotations: `caption_visible`, `caption_infrared`, `entities` and, where they are known,
        `regions` by id of the pair.
      images: whether records have `visible`, `infrared` and `masks`.
    """

    pairs: tuple[pairs.Pair, ...]
    annotations: Mapping[str, Mapping[str, Any]]
    images: bool = True

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """One record in the form of a TFDS data source, text as bytes."""
        pair = self.pairs[row]
        annotation = self.annotations.get(pair.id, {})
        record: dict[str, Any] = {
            "id": pair.id.encode(),
            "entities": [name.encode() for name in annotation.get("entities", ())],
        }
        record |= {caption: annotation.get(caption, "").encode() for caption in CAPTIONS}
        if self.images:
            visible, infrared = images.read_image(pair.visible), images.read_image(pair.infrared)
            record["visible"] = pairs.with_channels(visible, 3)
            record["infrared"] = pairs.with_channels(infrared, 1)
            if "regions" in annotation:
                masks = regions.paint(
                    annotation["regions"], annotation["entities"], *visible.shape[:2]
                )
                record["masks"] = masks[..., None]
        return record


@dataclasses.dataclass(frozen=True)
class Folder:
    """The pairs of a folder, split by a fixed rule.

    In order of id, the last tenth is `test`, the tenth before it `validation`, the rest `train`
    (both tenths rounded down, so that fewer than ten pairs all train): frames of one video, which
    are alike, stay together. `all` is everything.

    Attributes:
      root: the folder.
      pairs: its pairs in order of id.
      annotations: see `Source`.
    """

    root: pathlib.Path
    pairs: tuple[pairs.Pair, ...]
    annotations: Mapping[str, Mapping[str, Any]]

    @functools.cached_property
    def splits(self) -> dict[str, tuple[pairs.Pair, ...]]:
        """The pairs of each split that has any."""
        tenth = len(self.pairs) // HELD_OUT
        train = len(self.pairs) - 2 * tenth
        found = {
            "train": self.pairs[:train],
            "validation": self.pairs[train : train + tenth],
            "test": self.pairs[train + tenth :],
        }
        return {name: members for name, members in found.items() if members}

    def source(self, split: str, images: bool = True) -> Source:
        """The records of a split or a sum, "train+validation"; none if a part is unknown."""
        known = self.splits | {"all": self.pairs}
        names = split.split("+")
        members: tuple[pairs.Pair, ...] = ()
        if set(names) <= set(known):
            members = sum((known[name] for name in names), ())
        return Source(members, self.annotations, images)


def open_folder(root: str | os.PathLike) -> Folder:
    """Finds, decodes and checks all pairs and annotations of a folder.

    Args:
      root: folder with `vi/` and `ir/`, a file each per pair, of equal stem and size; and, if
        there is one, `annotations.jsonl`: lines with `id` and `entities` (up to 8 names of the
        vocabulary or synonyms), or `id`, `caption_visible` and `caption_infrared`, from which
        entities are extracted. Pairs without a line are unlabelled. A line may have `regions`: the
        outlines of all its entities by name, see `egmt_jax.io.outlines`; one that has none there
        counts as looked for in vain.

    Raises:
      UserError: there are no pairs, or files or lines are wrong; the message lists all of them.
    """
    root = pathlib.Path(root)
    parts = (pairs.Folders("vi", "ir"),)
    if not all((root / folder).is_dir() for folder in ("vi", "ir")):
        raise UserError(
            f"{root}: needs folders vi/ (visible) and ir/ (infrared) with equal file names"
        )
    found, problems = pairs.find_pairs(root, parts)
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        checked = pool.map(pairs.check_images, found)
        for wrong in tqdm(checked, "Checking pairs", len(found), unit="pair", leave=False):
            problems += wrong
    annotations: dict[str, dict] = {}
    if os.path.lexists(root / ANNOTATIONS):
        stems = {path.stem for folder in ("vi", "ir") for path in (root / folder).iterdir()}
        annotations, wrong = _read_annotations(root / ANNOTATIONS, stems)
        problems += wrong
    if problems:
        lines = [f"  {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            lines.append(f"  and {len(problems) - PROBLEMS_SHOWN} more")
        raise UserError(
            f"{root}: restore, mend or remove these, then run again (the two images of a pair must "
            "be registered and of one size):\n" + "\n".join(lines)
        )
    return Folder(root, tuple(found), annotations)


def _read_annotations(path: pathlib.Path, stems: set[str]) -> tuple[dict[str, dict], list[str]]:
    """Annotations by id, and one line for each thing that is wrong, with its line number."""
    annotations: dict[str, dict] = {}
    try:
        numbered, wrong = read_lines(path, ("id",))
    except UserError as error:
        return {}, [str(error)]
    problems = [f"{path.name} {problem}" for problem in wrong]
    for number, line in numbered.items():
        name = line["id"]
        try:
            if name not in stems:
                raise UserError(f"no pair {name!r}; remove the line or add {name} to vi/ and ir/")
            annotations[name] = _with_entities(line)
        except UserError as error:
            problems.append(f"{path.name} line {number}: {error}")
    return annotations, problems


def _with_entities(line: dict[str, Any]) -> dict[str, Any]:
    """Id, captions, canonical entities and regions of a line; raises UserError if one is wrong."""
    captions = [line.get(caption, "") for caption in CAPTIONS]
    names = line.get("entities")
    if names is None:
        if not any(captions):
            raise UserError(f"needs entities, or {' and '.join(CAPTIONS)}")
        names = entities.extract(*captions)
    vocabulary = entities.load_vocabulary()
    unknown = [
        f"{n!r} (nearest: {', '.join(vocabulary.nearest(n))})" for n in names if n not in vocabulary
    ]
    if unknown:
        raise UserError(f"entities outside the vocabulary: {', '.join(unknown)}")
    names = list(dict.fromkeys(vocabulary.canonical(name) for name in names))
    if len(names) > MOST_ENTITIES:
        raise UserError(f"{len(names)} entities, at most {MOST_ENTITIES}; keep the most salient")
    known = {"id": line["id"], "entities": names} | dict(zip(CAPTIONS, captions, strict=True))
    if "regions" in line:
        outlines: dict[str, list] = {name: [] for name in names}
        for name, shapes in regions.check(line["regions"]).items():
            canonical = vocabulary.canonical(name) if name in vocabulary else None
            if canonical not in outlines:
                raise UserError(f"regions of {name}: not among the entities of the line")
            outlines[canonical] += shapes
        known["regions"] = outlines
    return known
