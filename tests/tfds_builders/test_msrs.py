import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from egmt_jax.errors import UserError
from egmt_jax.io import images
from tfds_builders import testing

DUMMY_DATA = pathlib.Path(__file__).parent / "dummy_data" / "msrs"


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return testing.prepare("msrs", DUMMY_DATA, tmp_path_factory.mktemp("data"))


def labels(builder, split, pair_id):
    example = testing.examples_by_id(builder, split)[pair_id]
    return [entity.decode() for entity in example["label_entities"]]


def test_each_pair_lands_in_its_split(builder):
    assert {
        split: list(testing.examples_by_id(builder, split)) for split in builder.info.splits
    } == {
        "train": ["00056D"],
        "validation": ["00001D"],
        "classification_validation": ["00108D"],
        "neighbours": ["00002D"],
        "test": ["00004N"],
    }


def test_full_is_the_default(builder):
    assert builder.builder_config.name == "full"
    example = testing.examples_by_id(builder, "test")["00004N"]
    stored = images.read_image(DUMMY_DATA / "test" / "vi" / "00004N.png")
    np.testing.assert_array_equal(example["visible"], stored)


def test_maps_become_entities_from_sixty_pixels_on(builder):
    # The first map of each part has 140 pixels of bump, 80 of car and 30 of person.
    assert labels(builder, "validation", "00001D") == ["bump", "car"]
    assert labels(builder, "neighbours", "00002D") == ["bicycle", "person"]


def test_sixty_pixels_count_and_fifty_nine_do_not(builder, tmp_path):
    label_map = np.zeros((24, 32), np.uint8)
    label_map.flat[:60], label_map.flat[60:119] = 7, 5
    images.write_png(tmp_path / "map.png", label_map)
    assert builder.read_labels(tmp_path / "map.png") == ["traffic cone"]


def test_all_classes_have_a_name(builder, tmp_path):
    label_map = np.repeat(np.arange(9, dtype=np.uint8), 64)[None]
    images.write_png(tmp_path / "map.png", label_map)
    assert sorted(builder.read_labels(tmp_path / "map.png")) == sorted(
        ["car", "person", "bicycle", "curb", "bollard", "guardrail", "traffic cone", "bump"]
    )


@pytest.mark.parametrize("shape", [(24, 32, 3), (24, 32)])
def test_pictures_of_maps_are_refused(builder, tmp_path, shape):
    images.write_png(tmp_path / "map.png", np.full(shape, 64, np.uint8))
    with pytest.raises(UserError, match="take Segmentation_labels"):
        builder.read_labels(tmp_path / "map.png")


def test_maps_of_another_size_than_their_images_are_listed(tmp_path):
    testing.write_pairs(tmp_path / "vi", tmp_path / "ir", ["00001D", "00002D"])
    for pair_id, width in (("00001D", 32), ("00002D", 31)):
        label_map = np.zeros((24, width), np.uint8)
        images.write_png(tmp_path / "Segmentation_labels" / f"{pair_id}.png", label_map)
    with pytest.raises(UserError) as error:
        testing.prepare("msrs", tmp_path, tmp_path / "data")
    assert "00002D.png: 31x24 pixels, but 00002D.png has 32x24" in str(error.value)
    assert "00001D" not in str(error.value)


def test_plain_folders_give_the_same(builder, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(DUMMY_DATA / part, tmp_path / "MSRS", dirs_exist_ok=True)
    testing.assert_same_examples(builder, testing.prepare("msrs", tmp_path, tmp_path / "data"))


def test_pairs_in_the_wrong_part_are_listed(tmp_path):
    testing.write_pairs(tmp_path / "train/vi", tmp_path / "train/ir", ["00001D", "00004N"])
    testing.write_pairs(tmp_path / "test/vi", tmp_path / "test/ir", ["00002D"])
    with pytest.raises(UserError) as error:
        testing.prepare("msrs", tmp_path, tmp_path / "data")
    assert "00004N: lies in train/" in str(error.value)
    assert "00002D: lies in test/" in str(error.value)
    assert "00001D" not in str(error.value)


def test_one_part_is_enough(tmp_path):
    testing.write_pairs(tmp_path / "train/vi", tmp_path / "train/ir", ["00001D"])
    builder = testing.prepare("msrs", tmp_path, tmp_path / "data")
    assert list(builder.info.splits) == ["validation"]


def test_small_frames_regain_their_aspect(tmp_path):
    manual = tmp_path / "manual"
    visible, infrared = testing.draw_pair(0, 480, 640)
    for folder, image in (("vi", visible), ("ir", infrared)):
        squeezed = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA)
        images.write_png(manual / "msrs128" / folder / "00056D.png", squeezed)
    builder = testing.prepare("msrs/small", manual, tmp_path / "data")
    example = testing.examples_by_id(builder, "train")["00056D"]
    assert example["visible"].shape == (96, 128, 3)
    assert example["infrared"].shape == (96, 128, 1)
    direct = cv2.resize(visible, (128, 96), interpolation=cv2.INTER_AREA)
    difference = np.abs(example["visible"].astype(int) - direct.astype(int))
    assert difference.mean() < 2.0


def test_full_frames_serve_for_small(tmp_path):
    builder = testing.prepare("msrs/small", DUMMY_DATA, tmp_path)
    example = testing.examples_by_id(builder, "validation")["00001D"]
    assert example["visible"].shape == (96, 128, 3)
    assert labels(builder, "validation", "00001D") == ["bump", "car"]


def test_expected_counts():
    counts = {
        "train": 855,
        "validation": 12,
        "classification_validation": 120,
        "neighbours": 96,
        "test": 361,
    }
    assert tfds.builder("msrs").expected_counts() == (1444, counts)
