"""Own pairs in folders `vi/` and `ir/`, read on demand, without a builder; labels are optional."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from egmt_jax import entities
from egmt_jax.data.pipeline import DataSet
from egmt_jax.entities.annotations import read_lines
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.io import images, outlines, pairs

CAPTIONS = ("caption_visible", "caption_infrared")


@dataclasses.dataclass(frozen=True)
class FolderRecords:
    """Records with random access, in the form of a TFDS data source; files are read on access.

    Attributes:
      annotations: by id: captions, `entities`, `present` and, where known, `regions`.
      images: whether records have `visible`, `infrared` and `masks`.
    """

    files: tuple[pairs.PairFiles, ...]
    annotations: Mapping[str, Mapping[str, Any]]
    images: bool = True

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One record; text is bytes."""
        files = self.files[index]
        annotation = self.annotations.get(files.id, {})
        regions = annotation.get("regions", {})
        record: dict[str, Any] = {"id": files.id.encode()}
        record |= {caption: annotation.get(caption, "").encode() for caption in CAPTIONS}
        for field in ("entities", "present"):
            record[field] = [name.encode() for name in annotation.get(field) or ()]
        record["has_present"] = annotation.get("present") is not None
        record["mask_entities"] = [name.encode() for name in regions]
        record["mask_kind"] = b"coarse" if regions else b"none"
        if self.images:
            visible, infrared = images.read_image(files.visible), images.read_image(files.infrared)
            masks = outlines.paint(regions, tuple(regions), *visible.shape[:2])
            record["visible"] = images.to_rgb(visible)
            record["infrared"] = images.to_grey(infrared)[..., None]
            record["masks"] = masks[..., None]
        return record


def open_folder(root: str | os.PathLike) -> DataSet:
    """Finds, decodes and checks all pairs and annotations of a folder.

    In natural order of id, the last tenth is the split `test`, the tenth before it `validation`,
    and the rest `train` (both tenths rounded down). So frames of one video, which resemble each
    other, stay together. `all` is everything.

    A line of `annotations.jsonl` has `id` and either `entities` (up to 8 names of the vocabulary or
    synonyms) or `caption_visible` and `caption_infrared`, from which entities are extracted; and
    optionally `present` (everything that is visible in the pair) and `regions` (outlines by name,
    see `egmt_jax.io.outlines`). A named region without outlines was searched for and not found.

    Args:
      root: folder with `vi/` and `ir/`, one file per pair in each, of equal stem and size; and
        optionally `annotations.jsonl`.

    Raises:
      UserError: there are no pairs, or files or lines are wrong; the message lists all of them.
    """
    root = pathlib.Path(root)
    if not all((root / folder).is_dir() for folder in ("vi", "ir")):
        raise UserError(
            f"{root}: needs folders vi/ (visible) and ir/ (infrared) with equal file names"
        )
    found, problems = pairs.find_pairs(root / "vi", root / "ir")
    problems += pairs.check_all(found)
    annotations: dict[str, dict] = {}
    path = root / "annotations.jsonl"
    if os.path.lexists(path):
        stems = {file.stem for folder in ("vi", "ir") for file in (root / folder).iterdir()}
        annotations, wrong = _read_annotations(path, stems)
        problems += wrong
    pairs.raise_problems(
        f"{root}: correct or remove these and run again (the two images of a pair must be "
        "registered and have one size):",
        problems,
    )
    digest = hashlib.sha256(path.read_bytes() if annotations else b"")
    for files in found:
        for file in (files.visible, files.infrared):
            digest.update(file.name.encode(errors="surrogateescape"))
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    tenth = len(found) // 10
    train, test = len(found) - 2 * tenth, len(found) - tenth
    splits = {"train": found[:train], "validation": found[train:test], "test": found[test:]}
    known = splits | {"all": found}

    def records(split: str, images: bool = True) -> FolderRecords:
        parts = split.split("+") if known.keys() >= set(split.split("+")) else []
        files = tuple(pair for part in parts for pair in known[part])
        return FolderRecords(files, annotations, images)

    counts = {name: len(files) for name, files in splits.items() if files}
    name = f"folder {root.absolute().name} {digest.hexdigest()[:12]}"
    return DataSet(name, root, counts, records)


def _read_annotations(path: pathlib.Path, ids: set[str]) -> tuple[dict[str, dict], list[str]]:
    """Annotations by id, and a line of text per problem."""
    annotations: dict[str, dict] = {}
    numbered, wrong = read_lines(path, ("id",))
    problems = [f"{path.name} {problem}" for problem in wrong]
    for number, line in numbered.items():
        name = line["id"]
        try:
            if name not in ids:
                raise UserError(f"no pair {name!r}; remove the line or add {name} to vi/ and ir/")
            annotations[name] = _annotation(line)
        except UserError as error:
            problems.append(f"{path.name} line {number}: {error}")
    return annotations, problems


def _annotation(line: dict[str, Any]) -> dict[str, Any]:
    """A line with canonical names; raises UserError if it is wrong."""
    captions = [line.get(caption, "") for caption in CAPTIONS]
    names = line.get("entities")
    if names is None:
        if not any(captions):
            raise UserError(f"needs entities, or {' and '.join(CAPTIONS)}")
        names = entities.extract(*captions)
    names = _canonical(names)
    if len(names) > MOST_ENTITIES:
        raise UserError(f"{len(names)} entities, at most {MOST_ENTITIES}; keep the most salient")
    known = dict(zip(CAPTIONS, captions, strict=True)) | {"entities": names, "present": None}
    if line.get("present") is not None:
        known["present"] = list(dict.fromkeys([*names, *_canonical(line["present"])]))
    if "regions" in line:
        regions: dict[str, list] = {}
        for name, shapes in outlines.check(line["regions"]).items():
            (canonical,) = _canonical([name])
            if canonical not in (known["present"] or names):
                raise UserError(f"regions of {name}: not among the entities of the line")
            regions.setdefault(canonical, []).extend(shapes)
        known["regions"] = regions
    return known


def _canonical(names: list[str]) -> list[str]:
    """Canonical names without duplicates; raises UserError if some are unknown."""
    vocabulary = entities.load_vocabulary()
    unknown = [vocabulary.unknown(name) for name in names if name not in vocabulary]
    if unknown:
        raise UserError("; ".join(unknown))
    return list(dict.fromkeys(vocabulary.canonical(name) for name in names))
