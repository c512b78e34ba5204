import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from egmt_jax import entities
from egmt_jax.io import images
from tfds_builders import testing

DUMMY_DATA = pathlib.Path(__file__).parent / "dummy_data" / "roadscene"


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return testing.prepare("roadscene", DUMMY_DATA, tmp_path_factory.mktemp("data"))


def test_each_pair_lands_in_its_split(builder):
    assert {
        split: list(testing.examples_by_id(builder, split)) for split in builder.info.splits
    } == {
        "train": ["FLIR_00018"],
        "validation": ["FLIR_00006"],
        "neighbours": ["FLIR_00122"],
        "test": ["FLIR_00211"],
    }


def test_images_are_those_on_disk(builder):
    example = testing.examples_by_id(builder, "train")["FLIR_00018"]
    visible = images.read_image(DUMMY_DATA / "crop_LR_visible" / "FLIR_00018.jpg")
    infrared = images.read_image(DUMMY_DATA / "cropinfrared" / "FLIR_00018.jpg")
    np.testing.assert_array_equal(example["visible"], visible)
    np.testing.assert_array_equal(example["infrared"], infrared)
    assert example["visible"].shape == (24, 32, 3)
    assert example["infrared"].shape == (24, 32, 1)


def test_captions_and_entities_come_along(builder):
    example = testing.examples_by_id(builder, "train")["FLIR_00018"]
    assert example["caption_visible"].decode().startswith("A white SUV drives on a multi-lane")
    assert example["caption_infrared"].decode().startswith("The white car has hot wheels")
    captions = [example[f"caption_{side}"].decode() for side in ("visible", "infrared")]
    assert [name.decode() for name in example["entities"]] == entities.extract(*captions)
    assert b"car" in list(example["entities"])
    assert list(example["label_entities"]) == []


def test_outlined_pairs_have_a_mask_per_entity_and_others_none(builder):
    example = testing.examples_by_id(builder, "train")["FLIR_00018"]
    assert len(example["masks"]) == len(example["entities"])
    assert example["masks"][0].shape == (24, 32, 1)
    assert sum(mask.any() for mask in example["masks"]) > 1
    assert np.sum([mask > 0 for mask in example["masks"]], axis=0).max() == 1
    assert len(testing.examples_by_id(builder, "test")["FLIR_00211"]["masks"]) == 0


def test_test_pairs_have_entities_too(builder):
    assert 2 <= len(testing.examples_by_id(builder, "test")["FLIR_00211"]["entities"]) <= 8


def test_plain_folders_give_the_same(builder, tmp_path):
    plain = tmp_path / "manual" / "roadscene"
    plain.mkdir(parents=True)
    (plain / "vi").symlink_to(DUMMY_DATA / "crop_LR_visible")
    (plain / "ir").symlink_to(DUMMY_DATA / "cropinfrared")
    other = testing.prepare("roadscene", tmp_path / "manual", tmp_path / "data")
    testing.assert_same_examples(builder, other)


def test_expected_counts():
    assert tfds.builder("roadscene").expected_counts() == (
        221,
        {"train": 128, "validation": 22, "neighbours": 21, "test": 50},
    )
