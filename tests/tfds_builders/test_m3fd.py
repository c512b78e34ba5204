import collections
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from egmt_jax.errors import UserError
from egmt_jax.io import images
from tfds_builders import testing

DUMMY_DATA = pathlib.Path(__file__).parent / "dummy_data" / "m3fd"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def fusion(data_folder):
    return testing.prepare("m3fd/fusion", DUMMY_DATA, data_folder)


@pytest.fixture(scope="module")
def detection(data_folder):
    return testing.prepare("m3fd/detection", DUMMY_DATA, data_folder)


def labels(builder):
    return {
        pair_id: [entity.decode() for entity in example["label_entities"]]
        for split in builder.info.splits
        for pair_id, example in testing.examples_by_id(builder, split).items()
    }


@pytest.mark.parametrize("config", ["fusion", "detection"])
def test_each_pair_lands_in_its_split(config, request):
    builder = request.getfixturevalue(config)
    assert {
        split: list(testing.examples_by_id(builder, split)) for split in builder.info.splits
    } == {
        "train": ["00001"],
        "neighbours": ["00072"],
        "validation": ["00077"],
        "test": ["00088"],
    }


def test_all_splits_can_be_read_as_one(fusion):
    assert len(fusion.as_data_source("all")) == 4


def test_fusion_is_the_default():
    assert tfds.builder("m3fd").builder_config.name == "fusion"


def test_infrared_stored_as_three_channels_becomes_one(fusion):
    example = testing.examples_by_id(fusion, "train")["00001"]
    stored = images.read_image(DUMMY_DATA / "M3FD_Fusion" / "Ir" / "00001.png")
    assert stored.shape == (24, 32, 3)
    np.testing.assert_array_equal(example["infrared"], stored[..., :1])


def test_boxes_become_entities_with_the_most_frequent_first(fusion, detection):
    assert labels(fusion) == {"00001": [], "00072": [], "00077": [], "00088": []}
    assert labels(detection) == {
        "00001": ["car", "person"],
        "00072": [],
        "00077": ["street lamp", "truck", "bus"],
        "00088": ["motorcycle"],
    }


@pytest.mark.parametrize(("visible", "infrared"), [("Vis", "Ir"), ("vi", "ir")])
def test_plain_folders_give_the_same(detection, tmp_path, visible, infrared):
    published = DUMMY_DATA / "M3FD_Detection"
    plain = tmp_path / "manual"
    plain.mkdir()
    (plain / visible).symlink_to(published / "Vis")
    (plain / infrared).symlink_to(published / "Ir")
    (plain / "Annotation").symlink_to(published / "Annotation")
    testing.assert_same_examples(
        detection, testing.prepare("m3fd/detection", plain, tmp_path / "data")
    )


def test_pairs_without_boxes_can_be_used(tmp_path):
    testing.write_pairs(tmp_path / "vi", tmp_path / "ir", ["00001"])
    assert labels(testing.prepare("m3fd/detection", tmp_path, tmp_path / "data")) == {"00001": []}


def test_missing_and_broken_box_files_are_listed(tmp_path):
    shutil.copytree(DUMMY_DATA / "M3FD_Detection", tmp_path / "m3fd" / "M3FD_Detection")
    annotation = tmp_path / "m3fd" / "M3FD_Detection" / "Annotation"
    (annotation / "00072.xml").unlink()
    (annotation / "00088.xml").write_text("<annotation><object>")
    unknown = '<?xml version="1.0" encoding="klingon"?><annotation/>'
    (annotation / "00077.xml").write_text(unknown)
    with pytest.raises(UserError) as error:
        testing.prepare("m3fd/detection", tmp_path, tmp_path / "data")
    assert "Annotation/ lacks 00072" in str(error.value)
    assert "00077.xml: not a readable XML file (unknown encoding" in str(error.value)
    assert "00088.xml: not a readable XML file" in str(error.value)


def test_splits_are_the_same_in_both_configs_and_apart():
    builder = tfds.builder("m3fd/detection")
    splits = [builder.split_of(f"{number:05d}") for number in range(4200)]
    assert collections.Counter(splits) == {
        "train": 2940,
        "validation": 420,
        "test": 420,
        "neighbours": 420,
    }
    # Between a training frame and a held-out one lie five others at least.
    training = [number for number, split in enumerate(splits) if split == "train"]
    held_out = [number for number, split in enumerate(splits) if split in ("validation", "test")]
    assert np.abs(np.subtract.outer(training, held_out)).min() == 6
    assert splits == [tfds.builder("m3fd/fusion").split_of(f"{n:05d}") for n in range(4200)]
