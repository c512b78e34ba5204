"""The builder of rendered scenes: registered, repeatable, read back without TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets.public_api as tfds

from egmt_jax.io.images import decode_image
from tfds_builders.entity_scenes import EntityScenes, EntityScenesConfig
from tfds_builders.entity_scenes.entity_scenes_dataset_builder import make_example

SMALL = {"width": 64, "height": 48, "train": 2, "validation": 1, "test": 1}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    builder = tfds.builder("entity_scenes/tiny", data_dir=tmp_path_factory.mktemp("tfds"))
    builder.download_and_prepare()
    return builder


def test_prepared_examples_equal_the_rendered_ones(tiny):
    counts = {name: split.num_examples for name, split in tiny.info.splits.items()}
    assert counts == {"train": 16, "validation": 4, "test": 8}
    for example in tiny.as_data_source("test"):
        index = int(example["id"].decode().split("-")[1])
        expected = make_example(tiny.builder_config, "test", index)
        assert example.keys() == expected.keys()
        for name in ("visible", "infrared"):
            np.testing.assert_array_equal(example[name], decode_image(expected[name], name))
        for name in ("caption_visible", "caption_infrared", "mask_kind"):
            assert example[name].decode() == expected[name]
        for name in ("entities", "present", "mask_entities"):
            assert [entity.decode() for entity in example[name]] == expected[name]
        assert example["has_present"]
        assert list(example["present"]) == list(example["mask_entities"])
        assert list(example["entities"]) == list(example["mask_entities"])[:8]
        for mask, encoded in zip(example["masks"], expected["masks"], strict=True):
            assert mask.shape == (48, 64, 1)
            assert set(np.unique(mask)) == {0, 255}
            np.testing.assert_array_equal(mask, decode_image(encoded, "mask"))
        assert len(example["masks"]) == len(example["mask_entities"])


def test_splits_indices_and_seeds_differ():
    config, other = (EntityScenesConfig(name="n", description="", seed=s, **SMALL) for s in (0, 1))
    scenes = [(config, split, 0) for split in ("train", "validation", "test")]
    scenes += [(config, "train", 1), (other, "train", 0)]
    images = [make_example(*scene)["visible"] for scene in scenes]
    assert len(set(images)) == len(images)
    assert make_example(config, "train", 0)["visible"] == images[0]


def test_a_split_without_scenes_is_left_out(tmp_path):
    config = EntityScenesConfig(name="n", description="", **{**SMALL, "validation": 0, "test": 0})
    builder = EntityScenes(data_dir=tmp_path, config=config)
    builder.download_and_prepare(file_format="array_record")
    assert set(builder.info.splits) == {"train"}


def test_named_configs_are_registered(tmp_path):
    for name, size in (("demo", (160, 128)), ("default", (320, 256))):
        config = tfds.builder(f"entity_scenes/{name}", data_dir=tmp_path).builder_config
        assert (config.width, config.height) == size


def test_catalogue_page_is_filled(tiny):
    assert "infrared" in tiny.info.description
    assert "@misc" in tiny.info.citation


@pytest.mark.parametrize("wrong", [{"width": 8}, {"height": 31}, {"train": -1}, {"seed": -1}])
def test_impossible_configs_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EntityScenesConfig(name="n", description="", **{**SMALL, **wrong})


def test_rendering_imports_neither_tensorflow_nor_jax():
    code = (
        "import sys, numpy; from tfds_builders.entity_scenes import render_scene;"
        "render_scene(numpy.random.default_rng(0), 64, 48);"
        "sys.exit('tensorflow' in sys.modules or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
