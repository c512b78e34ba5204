"""What the builders of real pairs share: finding, checking and encoding files; splits; captions."""

import collections
import concurrent.futures
import dataclasses
import functools
import gzip
import importlib.resources
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from egmt_jax import entities
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.io import outlines as regions
from tfds_builders import array_record

IDS_SUFFIX = "_ids.txt"
PROBLEMS_SHOWN = 50
SMALLEST_SIDE = 17
"""Pixels; the model takes 16, the metric VIF 17."""


@dataclasses.dataclass(frozen=True)
class Folders:
    """Folders of one part of a set, relative to the set's root; `labels` may be absent on disk."""

    visible: str
    infrared: str
    labels: str | None = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """The files of one pair; `part` is the folder that visible and infrared lie in, or ''."""

    id: str
    visible: pathlib.Path
    infrared: pathlib.Path
    labels: pathlib.Path | None
    part: str


class PairsBuilder(array_record.ArrayRecordBuilder, skip_registration=True):
    """Builder of registered visible/infrared pairs from a manual folder.

    A subclass names its folders; beside its module lie `annotations.jsonl` (or `.jsonl.gz`),
    `regions.jsonl` where outlines of entities were drawn, and one `<split>_ids.txt` for each split
    but `train`, which takes everything else.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release.", "1.1.0": "Masks of entities."}
    HOMEPAGE = ""

    def folder_names(self) -> list[str]:
        """Folders that may hold the set within the manual folder, tried before that itself."""
        return [self.name]

    def layouts(self) -> list[tuple[Folders, ...]]:
        """Accepted layouts, of one or more parts each; the first that is found is taken."""
        return [(Folders("vi", "ir"),)]

    def split_of(self, pair_id: str) -> str:
        """The split a pair belongs to."""
        return self.packaged_splits.get(pair_id, "train")

    def expected_counts(self) -> tuple[int, dict[str, int]]:
        """Pairs of the whole set, and per split where that is known, when nothing is missing."""
        counts = collections.Counter(map(self.split_of, self.annotations))
        return counts.total(), dict(counts)

    def problems_of(self, pairs: Sequence[Pair]) -> list[str]:
        """What is wrong with a list of pairs beyond unreadable and missing files."""
        del pairs
        return []

    def read_labels(self, path: pathlib.Path) -> list[str]:
        """Entities in a label file of the set's authors; raises UserError if it is broken.

        None here: sets whose `layouts` have a folder of labels read theirs.
        """
        del path
        return []

    def encode(self, path: pathlib.Path, channels: int) -> bytes:
        """The bytes that are stored for one image; `channels` is 3 (visible) or 1 (infrared)."""
        return encoded_image(path, channels)

    @functools.cached_property
    def annotations(self) -> dict[str, dict]:
        """Packaged captions by id; `entities` are lists to measure extractors by."""
        folder = _package_folder(type(self))
        plain, compressed = folder / "annotations.jsonl", folder / "annotations.jsonl.gz"
        lines = plain.read_bytes() if plain.is_file() else gzip.decompress(compressed.read_bytes())
        return {line["id"]: line for line in map(json.loads, lines.splitlines())}

    @functools.cached_property
    def outlines(self) -> dict[str, regions.Outlines]:
        """Packaged outlines of entities by id; none for most pairs."""
        file = _package_folder(type(self)) / "regions.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        return {line["id"]: line["regions"] for line in map(json.loads, lines)}

    @functools.cached_property
    def packaged_splits(self) -> dict[str, str]:
        """Split by id, for ids outside `train`."""
        return {
            pair_id: file.name.removesuffix(IDS_SUFFIX)
            for file in _package_folder(type(self)).iterdir()
            if file.name.endswith(IDS_SUFFIX)
            for pair_id in file.read_text(encoding="utf-8").split()
        }

    def _info(self) -> tfds.core.DatasetInfo:
        text, image = tfds.features.Text, tfds.features.Image
        return self.dataset_info_from_configs(
            homepage=self.HOMEPAGE,
            supervised_keys=None,
            features=tfds.features.FeaturesDict(
                {
                    "id": text(doc="File name without its suffix."),
                    "visible": image(shape=(None, None, 3), doc="RGB; grey ones are repeated."),
                    "infrared": image(shape=(None, None, 1), doc="Thermal, same size as visible."),
                    "caption_visible": text(doc="What the visible image shows; may be empty."),
                    "caption_infrared": text(doc="What the infrared image shows; may be empty."),
                    "entities": tfds.features.Sequence(
                        text(), doc="0 to 8 things that the captions name, most salient first."
                    ),
                    "masks": tfds.features.Sequence(
                        image(shape=(None, None, 1), encoding_format="png"),
                        doc="255 where the entity is, in the order of `entities`, not overlapping; "
                        "black where it could not be found; empty where nobody has looked.",
                    ),
                    "label_entities": tfds.features.Sequence(
                        text(), doc="Things that the labels of the set's authors hold."
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        try:
            manual_dir = pathlib.Path(dl_manager.manual_dir)
        except AssertionError as error:  # TFDS: the folder is missing or empty
            raise UserError(f"{self.name}: {' '.join(str(error).split())}") from error
        root, layout = find_layout(manual_dir, self.folder_names(), self.layouts(), self.name)
        pairs, problems = find_pairs(root, layout)
        problems += self.problems_of(pairs)
        with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            progress = tqdm(pool.map(self.check, pairs), "Checking pairs", len(pairs), leave=False)
            for found in progress:
                problems += found
        if problems:
            raise UserError(describe_problems(self.name, root, problems))
        splits: dict[str, list[Pair]] = {}
        for pair in pairs:
            splits.setdefault(self.split_of(pair.id), []).append(pair)
        self._warn_of_counts({split: len(members) for split, members in splits.items()})
        return {split: self._generate_examples(members) for split, members in splits.items()}

    def _generate_examples(self, pairs: Sequence[Pair]) -> Iterator[tuple[str, dict]]:
        for pair in pairs:
            annotation = self.annotations.get(pair.id, {})
            captions = [annotation.get(f"caption_{side}", "") for side in ("visible", "infrared")]
            visible, names = self.encode(pair.visible, 3), entities.extract(*captions)
            masks, outlines = (), self.outlines.get(pair.id)
            # An updated extractor may know of things that nobody has outlined.
            if outlines is not None and set(names) <= outlines.keys():
                height, width = images.decode_image(visible, str(pair.visible)).shape[:2]
                masks = regions.paint(outlines, names, height, width)
            yield (
                pair.id,
                {
                    "id": pair.id,
                    "visible": visible,
                    "infrared": self.encode(pair.infrared, 1),
                    "caption_visible": captions[0],
                    "caption_infrared": captions[1],
                    "entities": names,
                    "masks": [images.encode_png(mask) for mask in masks],
                    "label_entities": [] if pair.labels is None else self.read_labels(pair.labels),
                },
            )

    def check(self, pair: Pair) -> list[str]:
        """A line for each thing that is wrong with the files of one pair."""
        problems = check_images(pair)
        if pair.labels is not None:
            try:
                self.read_labels(pair.labels)
            except UserError as error:
                problems.append(str(error))
        return problems

    def _warn_of_counts(self, found: dict[str, int]) -> None:
        total, expected = self.expected_counts()
        if sum(found.values()) != total or (expected and found != expected):
            counts = ", ".join(
                f"{split} {found.get(split, 0)}"
                + (f" of {expected.get(split, 0)}" if expected else "")
                for split in sorted(expected | found)
            )
            logging.warning(
                "%s: found %d of %d pairs (%s); empty splits are left out",
                self.info.full_name,
                sum(found.values()),
                total,
                counts,
            )


def _package_folder(builder: type):
    return importlib.resources.files(builder.__module__.rpartition(".")[0])


def find_layout(
    manual_dir: pathlib.Path,
    names: Sequence[str],
    layouts: Sequence[tuple[Folders, ...]],
    title: str,
) -> tuple[pathlib.Path, tuple[Folders, ...]]:
    """Finds where in the manual folder a set lies, and how it is laid out.

    Args:
      manual_dir: TFDS's manual folder.
      names: folders within it that are looked into first.
      layouts: accepted layouts, the preferred one first.
      title: name of the set, for errors.

    Returns:
      The root of the set and the parts of the layout that exist there.

    Raises:
      UserError: no layout is there.
    """
    roots = [manual_dir / name for name in names] + [manual_dir]
    for enough in (all, any):  # a complete layout anywhere goes before half of one
        for root in roots:
            for layout in layouts:
                found = [
                    [(root / folder).is_dir() for folder in (part.visible, part.infrared)]
                    for part in layout
                ]
                if any(map(enough, found)):
                    return root, tuple(
                        p for p, there in zip(layout, found, strict=True) if any(there)
                    )
    accepted = " or ".join(
        ", ".join(f"{part.infrared}/ and {part.visible}/" for part in layout) for layout in layouts
    )
    raise UserError(
        f"{title}: no pairs in {manual_dir}; put {accepted} there"
        + (f", or into {names[0]}/ within it" if names else "")
    )


def find_pairs(root: pathlib.Path, parts: Sequence[Folders]) -> tuple[list[Pair], list[str]]:
    """Lists the pairs of a set.

    Args:
      root: folder that the parts are relative to.
      parts: folders of visible and infrared images and of labels.

    Returns:
      The complete pairs in order of id, and one line for each thing that is missing or doubled.
    """
    pairs: dict[str, Pair] = {}
    problems: list[str] = []
    for part in parts:
        files = {}
        for folder in (part.visible, part.infrared):
            try:
                files[folder] = images.list_images(root / folder)
            except UserError as error:
                problems.append(str(error))
        if len(files) < 2:
            continue
        visible, infrared = files[part.visible], files[part.infrared]
        labels: dict[str, pathlib.Path] | None = None
        if part.labels is not None and (root / part.labels).is_dir():
            labels = {path.stem: path for path in sorted((root / part.labels).iterdir())}
        for folder, missing in (
            (part.visible, infrared.keys() - visible.keys()),
            (part.infrared, visible.keys() - infrared.keys()),
            (
                part.labels,
                set() if labels is None else visible.keys() & infrared.keys() - labels.keys(),
            ),
        ):
            if missing:
                problems.append(f"{folder}/ lacks {', '.join(sorted(missing))}")
        for stem in visible.keys() & infrared.keys():
            if stem in pairs:
                problems.append(f"{stem}: in {pairs[stem].part} and in {_parent(part)}")
            pairs[stem] = Pair(
                id=stem,
                visible=visible[stem],
                infrared=infrared[stem],
                labels=None if labels is None else labels.get(stem),
                part=_parent(part),
            )
    return sorted(pairs.values(), key=lambda pair: pair.id), problems


def _parent(part: Folders) -> str:
    return part.visible.rpartition("/")[0]


def check_images(pair: Pair) -> list[str]:
    """Decodes both images; returns a line for each that is unreadable, and for sizes that are
    unequal or below `SMALLEST_SIDE`."""
    problems, sizes = [], []
    for path in (pair.visible, pair.infrared):
        try:
            sizes.append(images.read_image(path).shape[:2])
        except UserError as error:
            problems.append(str(error))
    if not problems and sizes[0] != sizes[1]:
        (height, width), (infrared_height, infrared_width) = sizes
        problems.append(
            f"{pair.id}: visible is {width}x{height}, infrared {infrared_width}x{infrared_height}"
        )
    elif not problems and min(sizes[0]) < SMALLEST_SIDE:
        height, width = sizes[0]
        problems.append(
            f"{pair.id}: {width}x{height} pixels; at least {SMALLEST_SIDE}x{SMALLEST_SIDE} are "
            "needed"
        )
    return problems


def describe_problems(title: str, root: pathlib.Path, problems: Sequence[str]) -> str:
    """One message for everything that is wrong, with the cure first."""
    lines = [f"{title}: restore, mend or remove these files in {root}, then prepare again:"]
    lines += [f"  {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"  and {len(problems) - PROBLEMS_SHOWN} more")
    return "\n".join(lines)


def encoded_image(path: pathlib.Path, channels: int) -> bytes:
    """Bytes of an 8-bit PNG or JPEG file with the given number of channels.

    Args:
      path: an image file.
      channels: 3 for RGB (grey is repeated), 1 for grey (colour becomes luma).

    Returns:
      The file as it is where it already holds that, else a PNG.

    Raises:
      UserError: the file cannot be read.
    """
    encoded = path.read_bytes()
    image = images.decode_image(encoded, str(path))
    if image.shape[2] == channels and _is_plain(encoded):
        return encoded
    return images.encode_png(with_channels(image, channels))


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [H, W, 1 or 3] -> [H, W, channels]: grey is repeated, colour becomes luma."""
    return images.to_rgb(image) if channels == 3 else images.to_grey(image)[..., None]


def _is_plain(encoded: bytes) -> bool:
    """Whether it is a file of TFDS's 8-bit channels: JPEG, or PNG without palette or alpha.

    A PNG gives the same pixels with every decoder, a JPEG may differ by a level or two.
    """
    if encoded.startswith(b"\xff\xd8\xff"):
        return True
    # PNG's first chunk, IHDR, has bit depth and colour type (0 grey, 2 RGB) at bytes 24 and 25.
    return encoded.startswith(b"\x89PNG") and encoded[24] == 8 and encoded[25] in (0, 2)
