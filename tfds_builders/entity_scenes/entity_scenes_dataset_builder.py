"""entity_scenes: registered visible/infrared pairs rendered from a list of entities."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds

from egmt_jax.io.images import encode_png
from tfds_builders.array_record import ArrayRecordBuilder
from tfds_builders.entity_scenes.scene import MIN_SIDE, render_scene

_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(eq=False)
class EntityScenesConfig(tfds.core.BuilderConfig):
    """Size, counts and seed of one rendering.

    TFDS keeps prepared data by `name`: give another name with other values.

    Attributes:
      width: pixels, 32 at least.
      height: pixels, 32 at least.
      train: scenes in the split of that name.
      validation: scenes in the split of that name.
      test: scenes in the split of that name.
      seed: another seed gives other scenes.
    """

    width: int = 320
    height: int = 256
    train: int = 2000
    validation: int = 200
    test: int = 400
    seed: int = 0

    def __post_init__(self):
        if min(self.width, self.height) < MIN_SIDE:
            raise ValueError(f"width, height: {MIN_SIDE} at least, not {self.width}x{self.height}")
        if min(self.train, self.validation, self.test, self.seed) < 0:
            raise ValueError("train, validation, test, seed: 0 at least")


class EntityScenes(ArrayRecordBuilder):
    """Made-up street, park and field scenes by day, at dusk and at night; nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        EntityScenesConfig(name="default", description="2,600 scenes of 320x256 pixels."),
        EntityScenesConfig(
            name="demo", description="1,080 scenes of 160x128 pixels, for a run of a few minutes.",
            width=160, height=128, train=800, validation=80, test=200,
        ),
        EntityScenesConfig(
            name="vga", description="1,300 scenes of 640x480 pixels.",
            width=640, height=480, train=1000, validation=100, test=200,
        ),
        EntityScenesConfig(
            name="tiny", description="28 scenes of 64x48 pixels, for tests.",
            width=64, height=48, train=16, validation=4, test=8,
        ),
    ]  # fmt: skip

    def _info(self) -> tfds.core.DatasetInfo:
        mask = tfds.features.Image(
            shape=(None, None, 1),
            encoding_format="png",
            doc="255 where the entity is seen, else 0.",
        )
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(doc="Split and number, such as train-00017."),
                    "visible": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="png", doc="Visible image, RGB."
                    ),
                    "infrared": tfds.features.Image(
                        shape=(None, None, 1),
                        encoding_format="png",
                        doc="Thermal image of the same view.",
                    ),
                    "caption_visible": tfds.features.Text(
                        doc="A sentence about the visible image."
                    ),
                    "caption_infrared": tfds.features.Text(
                        doc="A sentence about the infrared image."
                    ),
                    "entities": tfds.features.Sequence(
                        tfds.features.Text(), doc="2 to 8 names, most salient first."
                    ),
                    "masks": tfds.features.Sequence(
                        mask,
                        doc="One mask per entity, in the order of `entities`; they do not overlap.",
                    ),
                }
            ),
            supervised_keys=None,
            homepage="https://arxiv.org/abs/2601.01870",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager  # nothing to download
        return {
            split: self._generate_examples(split)
            for split in _SPLITS
            if getattr(self.builder_config, split)
        }

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for index in range(getattr(self.builder_config, split)):
            example = make_example(self.builder_config, split, index)
            yield example["id"], example


def make_example(config: EntityScenesConfig, split: str, index: int) -> dict[str, Any]:
    """Scene `index` of a split as TFDS features: a function of size, seed, split and index only.

    Args:
      config: size and seed.
      split: "train", "validation" or "test".
      index: 0 or more.

    Returns:
      The features; images as PNG bytes, which TFDS takes without TensorFlow.
    """
    rng = np.random.default_rng([config.seed, _SPLITS.index(split), index])
    scene = render_scene(rng, config.width, config.height)
    return {
        "id": f"{split}-{index:05d}",
        "visible": encode_png(scene.visible),
        "infrared": encode_png(scene.infrared),
        "caption_visible": scene.caption_visible,
        "caption_infrared": scene.caption_infrared,
        "entities": list(scene.entities),
        "masks": [encode_png(mask.astype(np.uint8) * np.uint8(255)) for mask in scene.masks],
    }
