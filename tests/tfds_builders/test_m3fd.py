import collections
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
from egmt_jax.testing import write_pairs
from tfds_builders.package import split_scenes

PUBLISHED = DUMMY_DATA / "m3fd" / "M3FD_Detection"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", params=["fusion", "detection"])
def builder(request, data_folder):
    return prepare(f"m3fd/{request.param}", DUMMY_DATA / "m3fd", data_folder)


def test_each_pair_lands_in_its_split(builder):
    assert {split: sorted(records) for split, records in records_by_split(builder).items()} == {
        "train": ["00001", "00072"],
        "validation": ["01760"],
        "test": ["00088"],
    }
    assert len(builder.as_data_source("all")) == 4
    assert tfds.builder("m3fd").builder_config.name == "fusion"


def test_records_have_annotated_entities_else_those_with_boxes(builder):
    records = records_by_id(builder)
    assert records["00001"]["entities"] == builder.annotations["00001"]["entities"]
    assert records["00001"]["has_present"]
    assert "crosswalk" in records["00001"]["present"]
    for pair_id in ("00072", "00088", "01760"):
        boxes = builder.boxes[pair_id]
        assert records[pair_id]["entities"] == sorted(boxes, key=lambda name: -boxes[name])
        assert not records[pair_id]["has_present"]
    stored = images.read_image(PUBLISHED / "Ir" / "00001.png")
    assert stored.shape == (24, 32, 3)  # grey, stored as three channels
    np.testing.assert_array_equal(records["00001"]["infrared"], stored[..., :1])


def test_boxes_become_coarse_masks(builder):
    records = records_by_id(builder)
    assert {i: set(record["mask_entities"]) for i, record in records.items()} == {
        "00001": {"car", "person"},
        "00072": set(),
        "01760": {"street lamp", "truck", "bus"},
        "00088": {"motorcycle"},
    }
    assert records["00072"]["mask_kind"] == "none"
    assert records["00001"]["mask_kind"] == "coarse"
    rows, columns = np.nonzero(masks_of(records["00001"])["car"])
    assert set(rows) == set(range(4, 12))
    assert set(columns) == {*range(3, 7), *range(13, 17)}


@pytest.mark.parametrize(("visible", "infrared"), [("Vis", "Ir"), ("vi", "ir")])
def test_plain_folders_give_the_same(builder, tmp_path, visible, infrared):
    plain = tmp_path / "manual"
    plain.mkdir()
    (plain / visible).symlink_to(PUBLISHED / "Vis")
    (plain / infrared).symlink_to(PUBLISHED / "Ir")
    (plain / "Annotation").symlink_to(PUBLISHED / "Annotation")
    name = f"m3fd/{builder.builder_config.name}"
    assert_same_records(builder, prepare(name, plain, tmp_path / "data"))


def test_annotated_things_without_boxes_have_no_masks_and_boxes_may_be_missing(tmp_path):
    write_pairs(tmp_path / "vi", tmp_path / "ir", ["00001", "00471"])
    (tmp_path / "Annotation").mkdir()
    for pair_id, name in (("00001", "Truck"), ("00471", "Car")):
        text = (PUBLISHED / "Annotation" / "00088.xml").read_text().replace("Motorcycle", name)
        (tmp_path / "Annotation" / f"{pair_id}.xml").write_text(text)
    records = records_by_id(prepare("m3fd", tmp_path, tmp_path / "data"))
    assert records["00001"]["mask_entities"] == []  # nobody saw a truck there
    assert records["00471"]["mask_entities"] == []  # boxes of another frame
    shutil.rmtree(tmp_path / "Annotation")
    records = records_by_id(prepare("m3fd", tmp_path, tmp_path / "again"))
    assert records["00001"]["mask_kind"] == "none"


def test_missing_and_broken_box_files_are_listed(tmp_path):
    shutil.copytree(PUBLISHED, tmp_path / "m3fd" / "M3FD_Detection")
    annotation = tmp_path / "m3fd" / "M3FD_Detection" / "Annotation"
    (annotation / "00072.xml").unlink()
    (annotation / "00088.xml").write_text("<annotation><object>")
    unknown = '<?xml version="1.0" encoding="klingon"?><annotation/>'
    (annotation / "00001.xml").write_text(unknown)
    broken = (annotation / "01760.xml").read_text()
    broken = broken.replace("Lamp", "Unicorn").replace("<xmax>12<", "<xmax>120<")
    (annotation / "01760.xml").write_text(broken.replace("<ymin>4</ymin><xmax>17", "<xmax>17"))
    with pytest.raises(UserError) as error:
        prepare("m3fd/detection", tmp_path, tmp_path / "data")
    for problem in (
        "Annotation lacks 00072",
        "00001.xml: not a readable XML file (unknown encoding",
        "00088.xml: not a readable XML file",
        "01760.xml: unknown class 'Unicorn'; Truck: box ['8', '4', '120', '12'] is not within "
        "32x24 pixels; Bus: box ['13', '', '17', '12'] is not within",
    ):
        assert problem in str(error.value)


def test_every_published_pair_has_entities_and_one_split_in_both_configs():
    fusion, detection = tfds.builder("m3fd/fusion"), tfds.builder("m3fd/detection")
    ids = [f"{number:05d}" for number in range(4200)]
    assert all(detection.entities_of(i) for i in ids)
    assert all(len(detection.entities_of(i)) <= 8 for i in ids)
    assert [fusion.split_of(i) for i in ids] == [detection.split_of(i) for i in ids]
    counts = {"train": 3011, "validation": 381, "test": 808}
    assert detection.expected_counts() == (4200, counts)
    assert fusion.expected_counts() == (300, {})
    assert detection.split_of("street") == "train"
    assert "00471" not in detection.boxes


def test_splits_hold_day_and_night_and_no_place_twice():
    scenes = tfds.builder("m3fd").packaged_lines("scenes")
    places = [place for scene in scenes for place in scene["places"]]
    assert len(places) == len(set(places))
    frames = [i for scene in scenes for a, b in scene["ids"] for i in range(a, b + 1)]
    assert len(frames) == len(set(frames)) == 4089
    times = collections.defaultdict(set)
    for scene in scenes:
        times[scene["split"]].update(scene["times"])
    assert all({"night", "daytime"} <= found for found in times.values())
    assert set(times) == {"train", "validation", "test"}


def test_scenes_that_share_a_place_or_frames_share_a_split():
    scenes = [
        {"time": "night", "place": "alley", "ids": [[0, 9]]},
        {"time": "daytime", "place": "shops", "ids": [[20, 30]]},
        {"time": "daytime", "place": "bridge", "ids": [[30, 39]]},
        {"time": "daytime", "place": "alley", "ids": [[10, 14]]},
    ]
    rows = split_scenes(scenes)
    assert [row["places"] for row in rows] == [["bridge", "shops"], ["alley"]]
    assert [list(map(list, row["ids"])) for row in rows] == [[[20, 39]], [[0, 14]]]
