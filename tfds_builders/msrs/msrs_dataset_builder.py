"""MSRS: 1444 registered street scenes by day and night, with segmentation maps."""

import pathlib
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from egmt_jax.errors import UserError
from egmt_jax.io import images
from tfds_builders import pairs

# Index in a segmentation map: the set's own name, where it differs, in the comment.
ENTITY_OF_INDEX = {
    1: "car",
    2: "person",
    3: "bicycle",  # bike
    4: "curb",  # curve
    5: "bollard",  # car stop
    6: "guardrail",
    7: "traffic cone",  # color cone
    8: "bump",
}
FEWEST_PIXELS = 60
SMALL_WIDTH, SMALL_HEIGHT = 128, 96


class Builder(pairs.PairsBuilder):
    """Builder of MSRS; see the README beside it for layouts and splits."""

    HOMEPAGE = "https://github.com/Linfeng-Tang/MSRS"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put `train/` and `test/` of https://github.com/Linfeng-Tang/MSRS there (each with `ir/`, `vi/`
    and `Segmentation_labels/`), or folders `ir/` and `vi/` with equal file names; or either inside
    a folder `msrs/`. For the config `small`, `msrs_small/` or `msrs128/` is looked into first.
    """
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="full", description="Frames as they are, 640x480."),
        tfds.core.BuilderConfig(name="small", description="Frames resized to 128x96."),
    ]

    def folder_names(self):
        """As people name it, and as its repository unpacks."""
        small = ["msrs_small", "msrs128"] if self.builder_config.name == "small" else []
        return [*small, "msrs", "MSRS", "MSRS-main"]

    def layouts(self):
        """The published folders, or plain ones."""
        return [
            tuple(
                pairs.Folders(f"{part}/vi", f"{part}/ir", f"{part}/Segmentation_labels")
                for part in ("train", "test")
            ),
            (pairs.Folders("vi", "ir", "Segmentation_labels"),),
        ]

    def problems_of(self, found):
        """Pairs that lie in the other half of the official split."""
        return [
            f"{pair.id}: lies in {pair.part}/, which the official split does not have there"
            for pair in found
            if pair.part and (pair.part == "test") != (self.split_of(pair.id) == "test")
        ]

    def read_labels(self, path: pathlib.Path) -> list[str]:
        """Entities that cover 60 pixels or more of a segmentation map, the largest first."""
        labels = images.read_image(path)
        if labels.shape[2] != 1 or labels.max() > max(ENTITY_OF_INDEX):
            raise UserError(
                f"{path}: not a map of indices 0 to 8; take Segmentation_labels, not _visualize"
            )
        pixels = np.bincount(labels.ravel(), minlength=max(ENTITY_OF_INDEX) + 1)
        present = [index for index in ENTITY_OF_INDEX if pixels[index] >= FEWEST_PIXELS]
        return [
            ENTITY_OF_INDEX[index] for index in sorted(present, key=lambda index: -pixels[index])
        ]

    def check(self, pair: pairs.Pair) -> list[str]:
        """What is wrong with images and map; the map must be of the size of the images."""
        problems = super().check(pair)
        if problems or pair.labels is None:
            return problems
        (height, width), labels = (
            images.read_image(path).shape[:2] for path in (pair.visible, pair.labels)
        )
        if labels != (height, width):
            problems.append(
                f"{pair.labels}: {labels[1]}x{labels[0]} pixels, but {pair.visible.name} has "
                f"{width}x{height}"
            )
        return problems

    def encode(self, path: pathlib.Path, channels: int) -> bytes:
        """The file as it is, or 128x96 PNG: frames squeezed to a square regain their aspect."""
        if self.builder_config.name == "full":
            return super().encode(path, channels)
        image = pairs.with_channels(images.read_image(path), channels)
        size = (SMALL_WIDTH, SMALL_HEIGHT)
        return images.encode_png(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
