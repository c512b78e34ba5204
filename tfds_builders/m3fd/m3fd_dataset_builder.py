"""M3FD: 4200 registered pairs with boxes, 300 of them also published for fusion."""

import collections
import functools
import re
from collections.abc import Sequence
from typing import ClassVar
from xml.etree import ElementTree

import tensorflow_datasets as tfds

from egmt_jax.errors import UserError
from egmt_jax.io import images, outlines
from egmt_jax.io.pairs import PairFiles
from tfds_builders import pairs_builder

ENTITY_OF_CLASS = {
    "people": "person",
    "car": "car",
    "bus": "bus",
    "motorcycle": "motorcycle",
    "lamp": "street lamp",
    "truck": "truck",
}
PAIRS = {"fusion": 300, "detection": 4200}
BOXES_OF_ANOTHER_FRAME = {"00471"}
BEYOND = 2.0
"""Pixels by which boxes may extend beyond the image."""


class Builder(pairs_builder.PairsBuilder):
    """Builder of M3FD; see the README beside it for layouts and splits."""

    HOMEPAGE = "https://github.com/JinyuanLiu-CV/TarDAL"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    From https://github.com/JinyuanLiu-CV/TarDAL unpack `M3FD_Fusion.zip` (config `fusion`) or
    `M3FD_Detection.zip` (config `detection`) there, each in a folder of its name with `Ir/`,
    `Vis/` and, for detection, `Annotation/`; or put folders `Ir/` and `Vis/`, or `ir/` and `vi/`,
    with equal file names there. All may lie inside a folder `m3fd/`.
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="fusion", description="The 300 pairs published for fusion."),
        tfds.core.BuilderConfig(name="detection", description="All 4200 pairs."),
    ]

    def folder_names(self):
        """As the archives unpack, and as people name the folder around them."""
        archive = f"M3FD_{self.builder_config.name.capitalize()}"
        return [archive, f"m3fd/{archive}", f"M3FD/{archive}", "m3fd", "M3FD"]

    def layouts(self):
        """The published folders, or plain ones; fusion pairs have their boxes in the other set."""
        labels = ("Annotation", "../M3FD_Detection/Annotation")
        return [
            (pairs_builder.Folders("Vis", "Ir", labels),),
            (pairs_builder.Folders("vi", "ir", labels),),
        ]

    @functools.cached_property
    def packaged_splits(self) -> dict[str, str]:
        """Split by id, from the scenes; the same in both configs."""
        return {
            f"{number:05d}": scene["split"]
            for scene in self.packaged_lines("scenes")
            for first, last in scene["ids"]
            for number in range(first, last + 1)
        }

    def split_of(self, pair_id: str) -> str:
        """The split of the scene that the frame number belongs to; `train` without a scene."""
        number = re.search(r"(\d+)\D*$", pair_id)
        return self.packaged_splits.get(f"{int(number[1]):05d}" if number else "", "train")

    def expected_counts(self):
        """The published totals; which ids the fusion config has is not known."""
        total = PAIRS[self.builder_config.name]
        if self.builder_config.name == "fusion":
            return total, {}
        return total, dict(collections.Counter(self.split_of(str(i)) for i in range(total)))

    @functools.cached_property
    def boxes(self) -> dict[str, dict[str, int]]:
        """Number of published boxes by id and entity, most frequent entity first."""
        return {line["id"]: line["boxes"] for line in self.packaged_lines("box_entities")}

    def entities_of(self, pair_id: str) -> list[str]:
        """Annotated or extracted entities; for most pairs those that have boxes."""
        return super().entities_of(pair_id) or list(self.boxes.get(pair_id, ()))

    def read_labels(self, files: PairFiles) -> outlines.Outlines:
        """Boxes of a Pascal VOC file as outlines by entity."""
        if files.id in BOXES_OF_ANOTHER_FRAME:
            return {}
        height, width = images.read_image(files.visible).shape[:2]
        try:
            objects = list(ElementTree.parse(str(files.labels)).getroot().iter("object"))
        except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
            # The last two: an encoding that Python does not know, or cannot read XML in.
            raise UserError(f"{files.labels}: not a readable XML file ({error})") from error
        found: dict[str, list[list[float]]] = {}
        problems = []
        for box in objects:
            name = (box.findtext("name") or "").strip()
            corners = [
                box.findtext(f"bndbox/{key}", "") for key in ("xmin", "ymin", "xmax", "ymax")
            ]
            try:
                left, top, right, bottom = map(float, corners)
            except (TypeError, ValueError):
                left = top = right = bottom = -1.0
            if name.lower() not in ENTITY_OF_CLASS:
                problems.append(f"unknown class {name!r}")
            elif not (
                -BEYOND <= left < right <= width + BEYOND
                and -BEYOND <= top < bottom <= height + BEYOND
            ):
                problems.append(f"{name}: box {corners} is not within {width}x{height} pixels")
            else:
                corner = [max(x, 0.0) * outlines.UNITS / width for x in (left, top, right, bottom)]
                found.setdefault(ENTITY_OF_CLASS[name.lower()], []).append(corner)
        if problems:
            raise UserError(f"{files.labels}: {'; '.join(problems)}")
        return found

    def label_masks(
        self, files: PairFiles, names: Sequence[str], looked: bool
    ) -> pairs_builder.Masks:
        """Box-shaped masks; the smaller of two boxes is in front."""
        boxes = self.read_labels(files)
        wanted = [name for name in boxes if name in names or not looked]
        height, width = images.read_image(files.visible).shape[:2]
        masks = outlines.paint(boxes, wanted, height, width) > 0
        return pairs_builder.Masks(dict(zip(wanted, masks, strict=True)), exact=False)
