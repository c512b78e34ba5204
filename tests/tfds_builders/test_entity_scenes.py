"""The builder: registered, repeatable, read back without TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets.public_api as tfds

from egmt_jax.io.images import decode_image
from tfds_builders.entity_scenes import EntityScenes, EntityScenesConfig
from tfds_builders.entity_scenes.entity_scenes_dataset_builder import make_example

SMALL = {"width": 64, "height": 48, "train": 5, "validation": 2, "test": 3}


def prepared(folder, **changes):
    config = EntityScenesConfig(name="small", description="", **{**SMALL, **changes})
    builder = EntityScenes(data_dir=folder, config=config)
    builder.download_and_prepare(file_format="array_record")
    return builder


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("tfds"))


def test_splits_have_the_counts_asked_for(builder):
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert counts == {"train": 5, "validation": 2, "test": 3}


def test_examples_come_back_as_they_were_rendered(builder):
    source = builder.as_data_source("train")
    assert sorted(e["id"].decode() for e in source) == [f"train-{k:05d}" for k in range(5)]
    for example in source:
        index = int(example["id"].decode().split("-")[1])
        wanted = make_example(builder.builder_config, "train", index)
        for name in ("visible", "infrared"):
            np.testing.assert_array_equal(example[name], decode_image(wanted[name], name))
        assert [e.decode() for e in example["entities"]] == wanted["entities"]
        assert example["caption_visible"].decode() == wanted["caption_visible"]
        assert example["caption_infrared"].decode() == wanted["caption_infrared"]
        for mask, encoded in zip(example["masks"], wanted["masks"], strict=True):
            assert mask.shape == (48, 64, 1)
            assert set(np.unique(mask)) == {0, 255}
            np.testing.assert_array_equal(mask, decode_image(encoded, "mask"))


def test_splits_and_seeds_differ():
    config, other = (EntityScenesConfig(name="n", description="", seed=s, **SMALL) for s in (0, 1))
    images = [
        make_example(config, "train", 0)["visible"],
        make_example(config, "validation", 0)["visible"],
        make_example(config, "test", 0)["visible"],
        make_example(config, "train", 1)["visible"],
        make_example(other, "train", 0)["visible"],
    ]
    assert len(set(images)) == len(images)
    assert make_example(config, "train", 0)["visible"] == images[0]


def test_a_split_of_no_scenes_is_left_out(tmp_path):
    assert set(prepared(tmp_path, validation=0, test=0, train=1).info.splits) == {"train"}


def test_named_configs_are_registered(tmp_path):
    for name, size in (("demo", (160, 128)), ("default", (320, 256)), ("vga", (640, 480))):
        config = tfds.builder(f"entity_scenes/{name}", data_dir=tmp_path).builder_config
        assert (config.width, config.height) == size


def test_the_catalogue_page_is_filled(builder):
    assert "infrared" in builder.info.description
    assert "@misc" in builder.info.citation


@pytest.mark.parametrize("wrong", [{"width": 8}, {"height": 31}, {"train": -1}, {"seed": -1}])
def test_impossible_configs_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EntityScenesConfig(name="n", description="", **{**SMALL, **wrong})


def test_nothing_imports_tensorflow():
    code = (
        "import sys, numpy; from tfds_builders.entity_scenes import render_scene;"
        "render_scene(numpy.random.default_rng(0), 64, 48);"
        "sys.exit('tensorflow' in sys.modules or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
