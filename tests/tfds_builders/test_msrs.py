import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_sets import (
    DUMMY_DATA,
    assert_same_records,
    masks_of,
    prepare,
    records_by_id,
    records_by_split,
)

from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.io.pairs import PairFiles
from egmt_jax.testing import made_up_pair, write_pairs

PUBLISHED = DUMMY_DATA / "msrs"


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return prepare("msrs", PUBLISHED, tmp_path_factory.mktemp("data"))


@pytest.fixture
def masks(builder, tmp_path):
    """Masks of a pair with a label map, as pixels by entity, and whether they are exact."""

    def find(label_map, names, looked=True, pair_id="unknown"):
        images.write_png(tmp_path / "map.png", label_map)
        images.write_png(tmp_path / "visible.png", np.zeros_like(label_map))
        files = PairFiles(pair_id, tmp_path / "visible.png", tmp_path, tmp_path / "map.png")
        found = builder.label_masks(files, names, looked)
        return {
            name: mask.nonzero()[1].tolist() for name, mask in found.by_entity.items()
        }, found.exact

    return find


def row(*indices):
    """A map of one row whose columns have these classes."""
    return np.array([indices], np.uint8)


def test_each_pair_lands_in_its_split(builder):
    assert {split: list(records) for split, records in records_by_split(builder).items()} == {
        "train": ["00056D"],
        "validation": ["00001D"],
        "classification_validation": ["00108D"],
        "near_duplicates": ["00002D"],
        "test": ["00004N"],
    }
    counts = {
        "train": 855,
        "validation": 12,
        "classification_validation": 120,
        "near_duplicates": 96,
        "test": 361,
    }
    assert builder.expected_counts() == (1444, counts)
    assert builder.builder_config is None


def test_records_have_masks_of_maps_and_of_outlines(builder):
    records = records_by_id(builder)
    masks = masks_of(records["00001D"])
    label_map = images.read_image(PUBLISHED / "train/Segmentation_labels/00001D.png")[..., 0]
    np.testing.assert_array_equal(masks["car"], label_map == 1)
    np.testing.assert_array_equal(masks["person"], label_map == 2)
    assert "bump" not in masks  # in the map, but nobody saw one
    assert {"road", "building"} <= set(masks)  # outlined
    assert np.sum(list(masks.values()), axis=0).max() == 1
    assert records["00001D"]["mask_kind"] == "coarse"
    assert records["00108D"]["mask_kind"] == "exact"
    assert records["00108D"]["mask_entities"] == ["person", "curb"]
    assert set(records["00004N"]["mask_entities"]) == {"car", "person", "bump"}
    assert not records["00004N"]["has_present"]


def test_classes_stand_for_what_is_present(masks):
    assert masks(row(1, 1, 0), ["truck"]) == ({"truck": [0, 1]}, True)
    assert masks(row(1, 0, 3), ["motorcycle"]) == ({"motorcycle": [2]}, True)
    assert masks(row(4, 6, 7, 8), ["curb", "guardrail", "bump", "traffic cone"]) == (
        {"curb": [0], "guardrail": [1], "traffic cone": [2], "bump": [3]},
        True,
    )
    assert masks(row(5, 0, 6), ["guardrail"]) == ({"guardrail": [0, 2]}, True)
    # Nobody saw it there.
    assert masks(row(1, 2, 3), ["tree"]) == ({}, True)
    # Nobody looked: the usual entity.
    assert masks(row(1, 2, 3), ["tree"], looked=False)[0] == {
        "car": [0],
        "person": [1],
        "bicycle": [2],
    }


def test_riders_are_told_from_pedestrians_by_their_bicycle(masks):
    label_map = row(2, 2, 3, 0, 0, 0, 0, 0, 2)
    assert masks(label_map, ["person", "cyclist", "bicycle"]) == (
        {"person": [8], "cyclist": [0, 1], "bicycle": [2]},
        True,
    )
    assert masks(label_map, ["cyclist"])[0] == {"cyclist": [0, 1, 2, 8]}


def test_mixed_vehicles_are_coarse_and_divided_by_outlines(builder, masks, monkeypatch):
    label_map = row(1, 1, 0, 0, 0, 0, 0, 1, 1, 0)
    names = ["van", "car"]
    assert masks(label_map, names) == ({"car": [0, 1, 7, 8]}, False)
    regions = {"car": [[0, 0, 200, 100]], "van": [[700, 0, 1000, 100]]}
    monkeypatch.setitem(builder.regions, "outlined", regions)
    assert masks(label_map, names, pair_id="outlined") == ({"car": [0, 1], "van": [7, 8]}, False)


def test_wrong_classes_of_known_frames_are_left_out(builder, masks):
    assert builder.errata["00224D"] == {7}
    assert masks(row(7, 1), ["traffic cone", "car"], pair_id="00224D")[0] == {"car": [1]}
    ids = set(builder.annotations)
    assert len(builder.errata) > 100
    assert builder.errata.keys() <= ids
    assert all(builder.split_of(pair_id) != "test" for pair_id in builder.errata)


def test_broken_maps_are_listed_at_once(tmp_path):
    maps = {
        "00001D": np.zeros((24, 32), np.uint8),
        "00002D": np.zeros((24, 31), np.uint8),
        "00056D": np.full((24, 32), 64, np.uint8),
        "00108D": made_up_pair(24, 32)[0],
    }
    write_pairs(tmp_path / "vi", tmp_path / "ir", [*maps, "00003N"])
    for pair_id, label_map in maps.items():
        images.write_png(tmp_path / "Segmentation_labels" / f"{pair_id}.png", label_map)
    with pytest.raises(UserError) as error:
        prepare("msrs", tmp_path, tmp_path / "data")
    message = str(error.value)
    assert "00002D.png: 31x24 pixels, but 00002D.png has 32x24" in message
    assert "00056D.png: not a map of indices 0 to 8; take Segmentation_labels" in message
    assert "00108D.png: not a map" in message
    assert "Segmentation_labels lacks 00003N" in message
    assert "00001D" not in message


def test_plain_folders_give_the_same(builder, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(PUBLISHED / part, tmp_path / "MSRS", dirs_exist_ok=True)
    assert_same_records(builder, prepare("msrs", tmp_path, tmp_path / "data"))


def test_parts_of_the_official_layout(tmp_path):
    write_pairs(tmp_path / "train/vi", tmp_path / "train/ir", ["00001D"])
    assert list(prepare("msrs", tmp_path, tmp_path / "data").info.splits) == ["validation"]
    (tmp_path / "test" / "vi").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        prepare("msrs", tmp_path, tmp_path / "other")
    assert "test/vi: no images in it" in str(error.value)
    assert "test/ir: no such folder" in str(error.value)
    write_pairs(tmp_path / "train/vi", tmp_path / "train/ir", ["00004N"])
    write_pairs(tmp_path / "test/vi", tmp_path / "test/ir", ["00001D", "00002D"])
    with pytest.raises(UserError) as error:
        prepare("msrs", tmp_path, tmp_path / "other")
    assert "00004N: lies in train/" in str(error.value)
    assert "00002D: lies in test/" in str(error.value)
    assert "00001D: in " in str(error.value)


def test_small_frames_are_gone():
    with pytest.raises((ValueError, tfds.core.DatasetNotFoundError)):
        tfds.builder("msrs/small")
