"""M3FD: 4200 registered pairs with boxes, and 300 of them chosen for fusion."""

import collections
import pathlib
import re
from typing import ClassVar
from xml.etree import ElementTree

import tensorflow_datasets as tfds
from absl import logging

from egmt_jax.errors import UserError
from tfds_builders import pairs

ENTITY_OF_CLASS = {
    "people": "person",
    "car": "car",
    "bus": "bus",
    "motorcycle": "motorcycle",
    "lamp": "street lamp",
    "truck": "truck",
}
PAIRS = {"fusion": 300, "detection": 4200}


class Builder(pairs.PairsBuilder):
    """Builder of M3FD; see the README beside it for layouts and splits."""

    HOMEPAGE = "https://github.com/JinyuanLiu-CV/TarDAL"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    From https://github.com/JinyuanLiu-CV/TarDAL unpack `M3FD_Fusion.zip` (config `fusion`) or
    `M3FD_Detection.zip` (config `detection`) there, each in a folder of its name with `Ir/`,
    `Vis/` and, for detection, `Annotation/`; or put folders `Ir/` and `Vis/`, or `ir/` and `vi/`,
    with equal file names there. All may lie inside a folder `m3fd/`.
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="fusion", description="The 300 pairs chosen for fusion."),
        tfds.core.BuilderConfig(name="detection", description="All 4200 pairs, with boxes."),
    ]

    def folder_names(self):
        """As the archives unpack, and as people name the folder around them."""
        archive = f"M3FD_{self.builder_config.name.capitalize()}"
        return [archive, f"m3fd/{archive}", f"M3FD/{archive}", "m3fd", "M3FD"]

    def layouts(self):
        """Names of the published folders, or plain ones."""
        labels = "Annotation" if self.builder_config.name == "detection" else None
        return [(pairs.Folders("Vis", "Ir", labels),), (pairs.Folders("vi", "ir", labels),)]

    def split_of(self, pair_id: str) -> str:
        """By frame number in blocks of a hundred, the same in both configs.

        Frames of one scene have near numbers, so held-out blocks are kept apart from training by
        frames that go to `neighbours`.
        """
        number = re.search(r"(\d+)\D*$", pair_id)
        position = int(number[1]) % 100 if number else 0
        if position < 70:
            return "train"
        if position < 75 or position >= 95:
            return "neighbours"
        return "validation" if position < 85 else "test"

    def expected_counts(self):
        """The published totals; counts per split depend on the numbers of the frames."""
        return PAIRS[self.builder_config.name], {}

    def read_labels(self, path: pathlib.Path) -> list[str]:
        """Entities that have a box in a Pascal VOC file, most boxes first."""
        try:
            objects = ElementTree.parse(path).getroot().iter("object")
        except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
            # The last two: an encoding that Python does not know, or cannot read XML in.
            raise UserError(f"{path}: not a readable XML file ({error})") from error
        boxes: collections.Counter[str] = collections.Counter()
        for box in objects:
            name = (box.findtext("name") or "").strip()
            if name.lower() in ENTITY_OF_CLASS:
                boxes[ENTITY_OF_CLASS[name.lower()]] += 1
            else:
                logging.warning("%s: a box of unknown class %r is left out", path, name)
        return [entity for entity, _ in boxes.most_common()]
