"""entity_scenes: registered visible/infrared pairs, rendered with a mask for every thing."""

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
    """Size, counts and seed of one rendering; TFDS keeps prepared data by `name`.

    Attributes:
      width: pixels, at least 32.
      height: pixels, at least 32.
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
            raise ValueError(f"width, height: at least {MIN_SIDE}, not {self.width}x{self.height}")
        if min(self.train, self.validation, self.test, self.seed) < 0:
            raise ValueError("train, validation, test, seed: at least 0")


class EntityScenes(ArrayRecordBuilder):
    """Rendered street, country and park scenes by day, at dusk and at night."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {  # noqa: RUF012
        "1.0.0": "First release.",
        "2.0.0": "`present`, `mask_entities`: every thing in view, with its mask; new scenes.",
    }
    BUILDER_CONFIGS = [  # noqa: RUF012
        EntityScenesConfig(name="default", description="2,600 scenes of 320x256 pixels."),
        EntityScenesConfig(
            name="demo", description="1,080 scenes of 160x128 pixels, for a run of a few minutes.",
            width=160, height=128, train=800, validation=80, test=200,
        ),
        EntityScenesConfig(
            name="tiny", description="28 scenes of 64x48 pixels, for tests.",
            width=64, height=48, train=16, validation=4, test=8,
        ),
    ]  # fmt: skip

    def _info(self) -> tfds.core.DatasetInfo:
        def image(channels: int, doc: str):
            shape = (None, None, channels)
            return tfds.features.Image(shape=shape, encoding_format="png", doc=doc)

        text, sequence = tfds.features.Text, tfds.features.Sequence
        features = {
            "id": text(doc="Split and number, such as train-00017."),
            "visible": image(3, "Visible image, RGB."),
            "infrared": image(1, "Thermal image of the same view."),
            "caption_visible": text(doc="A sentence about the visible image."),
            "caption_infrared": text(doc="A sentence about the infrared image."),
            "entities": sequence(text(), doc="2 to 8 names that the captions name, salient first."),
            "present": sequence(text(), doc="All things in view, `entities` first."),
            "has_present": tfds.features.Scalar(np.bool_, doc="Whether `present` is known: True."),
            "masks": sequence(image(1, "255 where seen, else 0."), doc="They do not overlap."),
            "mask_entities": sequence(text(), doc="Names that the masks belong to: `present`."),
            "mask_kind": text(doc="How masks were made: exact."),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
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
    """Features of scene `index` of a split: a function of size, seed, split and index only.

    Images are PNG bytes, which TFDS takes without TensorFlow.
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
        "present": list(scene.present),
        "has_present": True,
        "masks": [encode_png(mask.astype(np.uint8) * np.uint8(255)) for mask in scene.masks],
        "mask_entities": list(scene.present),
        "mask_kind": "exact",
    }
