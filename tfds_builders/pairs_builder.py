"""What the builders of real pairs share: layouts, splits, annotations, masks and records."""

import collections
import functools
import gzip
import hashlib
import importlib.resources
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from egmt_jax.errors import UserError
from egmt_jax.io import images, outlines
from egmt_jax.io.pairs import PairFiles, check_all, check_images, find_pairs, raise_problems
from tfds_builders import array_record

IDS_SUFFIX = "_ids.txt"
PACKAGED = (".jsonl", ".jsonl.gz", IDS_SUFFIX)
"""Suffixes of files beside a builder that determine its records."""


class Folders(NamedTuple):
    """Folders of one part of a set, relative to its root; the first existing `labels` is read."""

    visible: str
    infrared: str
    labels: tuple[str, ...] = ()


class Masks(NamedTuple):
    """Masks from the label file of a pair: bool [H, W] by entity, and whether they are exact."""

    by_entity: Mapping[str, np.ndarray]
    exact: bool


class PairsBuilder(array_record.ArrayRecordBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder of registered visible/infrared pairs from a manual folder.

    Beside the module of a subclass lie `annotations.jsonl` (or `.jsonl.gz`), `regions.jsonl` if
    outlines of entities were drawn, and `<split>_ids.txt` for each split except `train`.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "First release.",
        "1.1.0": "Masks of entities.",
        "2.0.0": "Lists of everything visible (`present`); masks from label maps and boxes.",
    }
    HOMEPAGE = ""

    def folder_names(self) -> list[str]:
        """Folders within the manual folder that may hold the set; searched before the latter."""
        return [self.name]

    def layouts(self) -> list[tuple[Folders, ...]]:
        """Accepted layouts of one or more parts each, the preferred one first."""
        return [(Folders("vi", "ir"),)]

    def split_of(self, pair_id: str) -> str:
        """The split of a pair."""
        return self.packaged_splits.get(pair_id, "train")

    def expected_counts(self) -> tuple[int, dict[str, int]]:
        """Pairs of the complete set, and per split where that is known."""
        counts = collections.Counter(map(self.split_of, self.annotations))
        return counts.total(), dict(counts)

    def misplaced(self, root: pathlib.Path, pairs: Sequence[PairFiles]) -> list[str]:
        """A line for each pair that lies in a wrong folder."""
        del root, pairs
        return []

    def entities_of(self, pair_id: str) -> list[str]:
        """Entities that guide: annotated, else extracted from the captions at packaging time."""
        line = self.annotations.get(pair_id, {})
        return line.get("entities") or line.get("extracted", [])

    def read_labels(self, files: PairFiles) -> Any:
        """Content of `files.labels`; raises UserError listing everything that is wrong with it."""
        return None

    def label_masks(self, files: PairFiles, names: Sequence[str], looked: bool) -> Masks:
        """Masks of entities from `files.labels`.

        Args:
          files: of the pair.
          names: everything that is present in the pair if `looked`, else its `entities`.
          looked: whether somebody listed everything that is present.
        """
        return Masks({}, True)

    @functools.cached_property
    def annotations(self) -> dict[str, dict]:
        """Packaged captions, `entities` and `present` by id."""
        return {line["id"]: line for line in self.packaged_lines("annotations")}

    @functools.cached_property
    def regions(self) -> dict[str, outlines.Outlines]:
        """Packaged outlines of entities by id; most pairs have none."""
        return {line["id"]: line["regions"] for line in self.packaged_lines("regions")}

    @functools.cached_property
    def packaged_splits(self) -> dict[str, str]:
        """Split by id, except for ids in `train`."""
        return {
            pair_id: file.name.removesuffix(IDS_SUFFIX)
            for file in self._packaged_files()
            if file.name.endswith(IDS_SUFFIX)
            for pair_id in file.read_text(encoding="utf-8").split()
        }

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the packaged files: annotations, outlines, splits, corrections."""
        digest = hashlib.sha256()
        for file in self._packaged_files():
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def packaged_lines(self, stem: str) -> list[dict]:
        """Content of `<stem>.jsonl` or `<stem>.jsonl.gz` beside the builder; empty without."""
        for file in self._packaged_files():
            if file.name == f"{stem}.jsonl":
                return [json.loads(line) for line in file.read_bytes().splitlines()]
            if file.name == f"{stem}.jsonl.gz":
                return [
                    json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()
                ]
        return []

    @classmethod
    def _packaged_files(cls) -> list:
        folder = importlib.resources.files(cls.__module__.rpartition(".")[0])
        files = [file for file in folder.iterdir() if file.name.endswith(PACKAGED)]
        return sorted(files, key=lambda file: file.name)

    def _info(self) -> tfds.core.DatasetInfo:
        text, image = tfds.features.Text, tfds.features.Image
        sequence = tfds.features.Sequence
        return self.dataset_info_from_configs(
            homepage=self.HOMEPAGE,
            supervised_keys=None,
            features=tfds.features.FeaturesDict(
                {
                    "id": text(doc="File name without suffix."),
                    "visible": image(shape=(None, None, 3), doc="RGB; grey is repeated."),
                    "infrared": image(shape=(None, None, 1), doc="Thermal, same size as visible."),
                    "caption_visible": text(doc="What the visible image shows; may be empty."),
                    "caption_infrared": text(doc="What the infrared image shows; may be empty."),
                    "entities": sequence(text(), doc="0 to 8 entities, most salient first."),
                    "present": sequence(
                        text(), doc="All entities that are visible in the pair, however small."
                    ),
                    "has_present": tfds.features.Scalar(
                        np.bool_, doc="Whether somebody looked; otherwise `present` is empty."
                    ),
                    "masks": sequence(
                        image(shape=(None, None, 1), encoding_format="png"),
                        doc="255 where the entity is, not overlapping; black if it was searched "
                        "for and not found.",
                    ),
                    "mask_entities": sequence(text(), doc="Entities of `masks`, in their order."),
                    "mask_kind": text(
                        doc="exact: contours of label maps; coarse: some are outlines or boxes, or "
                        "may hold another entity too; none: no masks."
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
        pairs: dict[str, PairFiles] = {}
        problems: list[str] = []
        for part in layout:
            labels = [root / folder for folder in part.labels if (root / folder).is_dir()]
            found, wrong = find_pairs(root / part.visible, root / part.infrared, *labels[:1])
            problems += wrong
            problems += [
                f"{files.id}: in {files.visible.parent} and in {pairs[files.id].visible.parent}"
                for files in found
                if files.id in pairs
            ]
            pairs |= {files.id: files for files in found}
        problems += self.misplaced(root, list(pairs.values()))
        problems += check_all(list(pairs.values()), self.check)
        raise_problems(
            f"{self.name}: correct or remove these files in {root}, then prepare again:", problems
        )
        splits: dict[str, list[PairFiles]] = {}
        for files in pairs.values():
            splits.setdefault(self.split_of(files.id), []).append(files)
        self._warn_of_counts({split: len(members) for split, members in splits.items()})
        return {split: self._generate_examples(members) for split, members in splits.items()}

    def check(self, files: PairFiles) -> list[str]:
        """A line for each problem with the files of one pair."""
        problems = check_images(files)
        if files.labels is not None and not problems:
            try:
                self.read_labels(files)
            except UserError as error:
                problems.append(str(error))
        return problems

    def _generate_examples(self, pairs: Sequence[PairFiles]) -> Iterator[tuple[str, dict]]:
        for files in pairs:
            yield files.id, self.make_record(files)

    def make_record(self, files: PairFiles) -> dict[str, Any]:
        """The features of one pair, images encoded."""
        line, entities = self.annotations.get(files.id, {}), self.entities_of(files.id)
        visible = encoded_image(files.visible, 3)
        present, looked = line.get("present", []), "present" in line
        masks, kind = self._masks(files, visible, present if looked else entities, looked)
        order = [name for name in dict.fromkeys([*entities, *present, *masks]) if name in masks]
        return {
            "id": files.id,
            "visible": visible,
            "infrared": encoded_image(files.infrared, 1),
            "caption_visible": line.get("caption_visible", ""),
            "caption_infrared": line.get("caption_infrared", ""),
            "entities": entities,
            "present": present,
            "has_present": looked,
            "masks": [
                images.encode_png(masks[name].astype(np.uint8) * np.uint8(255)) for name in order
            ],
            "mask_entities": order,
            "mask_kind": kind,
        }

    def _masks(
        self, files: PairFiles, visible: bytes, names: Sequence[str], looked: bool
    ) -> tuple[dict[str, np.ndarray], str]:
        """Masks by entity, from labels where they have the entity, else from packaged outlines."""
        labels = Masks({}, True)
        if files.labels is not None:
            labels = self.label_masks(files, names, looked)
        masks = dict(labels.by_entity)
        drawn = {k: v for k, v in self.regions.get(files.id, {}).items() if k not in masks}
        rest = [name for name in drawn if name in names or not looked]
        if rest:
            height, width = images.decode_image(visible, str(files.visible)).shape[:2]
            free = ~np.any([np.zeros((height, width), bool), *masks.values()], axis=0)
            painted = outlines.paint(drawn, rest, height, width)
            masks |= {name: (mask > 0) & free for name, mask in zip(rest, painted, strict=True)}
        kind = "none" if not masks else "exact" if labels.exact and not rest else "coarse"
        return masks, kind

    def _warn_of_counts(self, found: dict[str, int]) -> None:
        total, expected = self.expected_counts()
        if sum(found.values()) != total or (expected and found != expected):
            counts = ", ".join(
                f"{split} {found.get(split, 0)}"
                + (f" of {expected.get(split, 0)}" if expected else "")
                for split in sorted(expected | found)
            )
            logging.warning(
                "%s: found %d of %d pairs (%s); empty splits are omitted",
                self.info.full_name,
                sum(found.values()),
                total,
                counts,
            )


def find_layout(
    manual_dir: pathlib.Path,
    names: Sequence[str],
    layouts: Sequence[tuple[Folders, ...]],
    title: str,
) -> tuple[pathlib.Path, tuple[Folders, ...]]:
    """Finds the root of a set within the manual folder, and its layout.

    Args:
      manual_dir: TFDS's manual folder.
      names: folders within it that are searched first.
      layouts: accepted layouts, the preferred one first.
      title: name of the set, for errors.

    Returns:
      The root, and the parts of the layout that exist there.

    Raises:
      UserError: no layout was found.
    """
    roots = [manual_dir / name for name in names] + [manual_dir]
    for enough in (all, any):  # a complete layout anywhere is preferred to half of one
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


def encoded_image(path: pathlib.Path, channels: int) -> bytes:
    """Bytes of an 8-bit PNG or JPEG file that every decoder of TFDS reads like `read_image`.

    Args:
      path: an image file.
      channels: 3 for RGB (grey is repeated), 1 for grey (colour becomes luma).

    Returns:
      The file itself where it is such a file, else a PNG.

    Raises:
      UserError: the file cannot be read.
    """
    encoded = path.read_bytes()
    image = images.decode_image(encoded, str(path))
    if image.shape[2] == channels and _is_plain(encoded):
        return encoded
    return images.encode_png(images.to_rgb(image) if channels == 3 else images.to_grey(image))


def _is_plain(encoded: bytes) -> bool:
    """Whether decoders agree on a file: no palette, alpha, CMYK or rotation by EXIF.

    A PNG then gives the same pixels with every decoder; a JPEG may differ by a level or two.
    """
    if encoded.startswith(b"\xff\xd8\xff"):
        header = encoded[: 1 << 16]
        rotated = b"Exif" in header and images.has_exif_rotation(encoded)
        return not rotated and b"Adobe" not in header  # whose JPEG may be CMYK
    # PNG's first chunk, IHDR, has bit depth and colour type (0 grey, 2 RGB) at bytes 24 and 25.
    return (
        encoded.startswith(b"\x89PNG")
        and (encoded[24] == 8 and encoded[25] in (0, 2))
        and not any(chunk in encoded for chunk in (b"tRNS", b"eXIf"))
    )
