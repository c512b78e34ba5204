import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from egmt_jax.io import images
from tfds_builders import testing

DUMMY_DATA = pathlib.Path(__file__).parent / "dummy_data" / "tno"


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return testing.prepare("tno", DUMMY_DATA, tmp_path_factory.mktemp("data"))


def test_each_pair_lands_in_its_split(builder):
    assert {
        split: list(testing.examples_by_id(builder, split)) for split in builder.info.splits
    } == {
        "train": ["COCO_TNO_002"],
        "validation": ["COCO_00"],
        "neighbours": ["EVAL_18"],
        "test": ["01"],
    }


def test_grey_visible_images_are_repeated(builder):
    example = testing.examples_by_id(builder, "train")["COCO_TNO_002"]
    stored = images.read_image(DUMMY_DATA / "vi" / "COCO_TNO_002.png")
    assert stored.shape == (24, 32, 1)
    np.testing.assert_array_equal(example["visible"], np.repeat(stored, 3, axis=2))


def test_expected_counts():
    assert tfds.builder("tno").expected_counts() == (
        56,
        {"train": 19, "validation": 5, "neighbours": 7, "test": 25},
    )
