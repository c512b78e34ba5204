"""MSRS: 1444 registered street scenes by day and night, with segmentation maps."""

import functools
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from egmt_jax.errors import UserError
from egmt_jax.io import images, outlines
from egmt_jax.io.pairs import PairFiles
from tfds_builders import pairs_builder

CLASSES = {
    1: ("car", "van", "truck", "bus"),  # car
    2: ("person", "cyclist"),
    3: ("bicycle", "motorcycle", "cyclist"),  # bike
    4: ("curb",),  # curve
    5: ("bollard", "fence", "guardrail"),  # car stop
    6: ("guardrail", "fence"),
    7: ("traffic cone",),  # color cone
    8: ("bump",),
}
"""Entities that a class of the segmentation maps may be, by its index; the usual one first."""

PERSON, BIKE = 2, 3
AMBIGUOUS = (1, 5)
"""Classes that mix several entities where several are present."""

REACH = 5
"""Pixels, side of the square that connects a rider with the bicycle."""


class Builder(pairs_builder.PairsBuilder):
    """Builder of MSRS; see the README beside it for layouts, splits and classes of the maps."""

    HOMEPAGE = "https://github.com/Linfeng-Tang/MSRS"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put `train/` and `test/` of https://github.com/Linfeng-Tang/MSRS there (each with `ir/`, `vi/`
    and `Segmentation_labels/`), or folders `ir/`, `vi/` and optionally `Segmentation_labels/` with
    equal file names; or either inside a folder `msrs/`.
    """

    def folder_names(self):
        """As people name it, and as its repository unpacks."""
        return ["msrs", "MSRS", "MSRS-main"]

    def layouts(self):
        """The published folders, or plain ones."""
        published = tuple(
            pairs_builder.Folders(f"{part}/vi", f"{part}/ir", (f"{part}/Segmentation_labels",))
            for part in ("train", "test")
        )
        return [published, (pairs_builder.Folders("vi", "ir", ("Segmentation_labels",)),)]

    def misplaced(self, root: pathlib.Path, found: Sequence[PairFiles]) -> list[str]:
        """Pairs that lie in the wrong half of the official split."""
        parts = {files.id: files.visible.relative_to(root).parts[0] for files in found}
        return [
            f"{pair_id}: lies in {part}/, but the official split has it in the other part"
            for pair_id, part in parts.items()
            if part in ("train", "test") and (part == "test") != (self.split_of(pair_id) == "test")
        ]

    @functools.cached_property
    def errata(self) -> dict[str, set[int]]:
        """Classes of the official maps that are wrong, by id."""
        wrong: dict[str, set[int]] = {}
        for line in self.packaged_lines("label_errata"):
            wrong.setdefault(line["id"], set()).add(line["index"])
        return wrong

    def read_labels(self, files: PairFiles) -> np.ndarray:
        """The segmentation map, uint8 [H, W] of class indices 0 to 8."""
        labels = images.read_image(str(files.labels))
        if labels.shape[2] != 1 or labels.max() > max(CLASSES):
            raise UserError(
                f"{files.labels}: not a map of indices 0 to 8; take Segmentation_labels, not "
                "_visualize"
            )
        height, width = images.read_image(files.visible).shape[:2]
        if labels.shape[:2] != (height, width):
            raise UserError(
                f"{files.labels}: {labels.shape[1]}x{labels.shape[0]} pixels, but "
                f"{files.visible.name} has {width}x{height}"
            )
        return labels[..., 0]

    def label_masks(
        self, files: PairFiles, names: Sequence[str], looked: bool
    ) -> pairs_builder.Masks:
        """Masks of the entities that the classes of the map stand for in this pair."""
        labels = self.read_labels(files)
        drawn = self.regions.get(files.id, {})
        masks: dict[str, np.ndarray] = {}
        exact = True
        for index, possible in CLASSES.items():
            area = labels == index
            candidates = [name for name in possible if name in names]
            if not candidates and not looked:
                candidates = [possible[0]]
            if not area.any() or not candidates or index in self.errata.get(files.id, ()):
                continue
            if index == PERSON and len(candidates) > 1:
                riding = _connected(area, labels == BIKE)
                parts = {"person": area & ~riding, "cyclist": riding}
            elif index in AMBIGUOUS and len(candidates) > 1:
                outlined = [n for n in candidates if drawn.get(n) or n == candidates[0]]
                parts = _divide(area, outlined, outlines.paint(drawn, outlined, *labels.shape))
                exact = False
            else:
                parts = {candidates[0]: area}
            for name, part in parts.items():
                if part.any():
                    masks[name] = masks.get(name, np.zeros_like(area)) | part
        return pairs_builder.Masks(masks, exact)


def _connected(area: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The connected components of `area` that come near `other`; bool [H, W]."""
    _, components = cv2.connectedComponents(area.astype(np.uint8))
    near = cv2.dilate(other.astype(np.uint8), np.ones((REACH, REACH), np.uint8)) > 0
    return np.isin(components, np.unique(components[near & area])) & area


def _divide(area: np.ndarray, names: Sequence[str], guides: np.ndarray) -> dict[str, np.ndarray]:
    """Divides the connected components of `area` by overlap with `guides` [N, H, W], else first."""
    count, components = cv2.connectedComponents(area.astype(np.uint8))
    overlap = [np.bincount(components[guide > 0], minlength=count) for guide in guides]
    chosen = np.argmax(overlap, axis=0)[components]
    return {name: area & (chosen == k) for k, name in enumerate(names)}
