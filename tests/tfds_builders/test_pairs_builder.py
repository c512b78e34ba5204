"""What all builders of real pairs share; TNO and RoadScene, which add nothing to it."""

import json
import logging
import pathlib
import struct
import zlib

import cv2
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
    write_rotated_jpeg,
)

import tfds_builders
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io import images, outlines
from egmt_jax.testing import made_up_pair, write_image, write_pairs
from tfds_builders.card import card
from tfds_builders.pairs_builder import encoded_image

NAMES = ["m3fd", "msrs", "roadscene", "tno"]
PACKAGE = pathlib.Path(tfds_builders.__file__).parent


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path / "manual/vi", tmp_path / "manual/ir", ["a", "b", "c"])
    return tmp_path / "manual"


@pytest.fixture(scope="module")
def roadscene(tmp_path_factory):
    return prepare("roadscene", DUMMY_DATA / "roadscene", tmp_path_factory.mktemp("data"))


def prepared(folder):
    return prepare("tno", folder, folder.parent / "data")


def problems_in(folder):
    with pytest.raises(UserError) as error:
        prepared(folder)
    return str(error.value)


def test_importing_the_package_registers_every_builder():
    names = {name.removesuffix("_dataset_builder") for name in tfds_builders.__all__}
    assert names == {*NAMES, "entity_scenes"}
    assert names <= set(tfds.list_builders(with_community_datasets=False))


@pytest.mark.parametrize("name", NAMES)
def test_packaged_files_are_complete(name):
    builder = tfds.builder(name)
    tags = (PACKAGE / name / "TAGS.txt").read_text().splitlines()
    assert builder.info.citation.startswith("@")
    for fact in ("**Layout", "**Splits.**", "CC BY 4.0", "**Where to get it.**", "CARD.md"):
        assert fact in builder.info.description
    assert {tag.split(" #")[0] for tag in tags} <= set(tfds.core.dataset_metadata.valid_tags())
    assert builder.info.homepage.split("//")[1] in builder.info.description
    # After a change of annotations or of a README: python -m tfds_builders.card
    assert (PACKAGE / name / "CARD.md").read_text() == card(name)
    assert len(builder.annotations) == {"m3fd": 52, "msrs": 1444, "roadscene": 221, "tno": 56}[name]
    for pair_id, line in builder.annotations.items():
        assert line["caption_visible"]
        assert line["caption_infrared"]
        names = builder.entities_of(pair_id)
        assert 1 <= len(names) <= 8 or pair_id == "EVAL_37"  # a helicopter alone
        assert all(name in load_vocabulary() for name in (*names, *line.get("present", ())))
        assert set(line.get("entities", ())) <= set(line.get("present", ()))
        assert ("entities" in line) == ("present" in line) != ("extracted" in line)
        if name != "m3fd":
            assert "present" not in line or builder.split_of(pair_id) != "test"
            assert builder.packaged_splits.keys() <= builder.annotations.keys()


@pytest.mark.parametrize("name", ["msrs", "roadscene", "tno"])
def test_packaged_outlines_lie_in_the_picture_and_belong_to_annotated_pairs(name):
    builder = tfds.builder(name)
    for pair_id, regions in builder.regions.items():
        assert set(regions) & set(builder.annotations[pair_id]["present"])
        assert builder.split_of(pair_id) in ("train", "validation")
        outlines.check(regions)
        masks = outlines.paint(regions, list(regions), 256, 128)  # of the smallest picture
        assert masks.any(axis=(1, 2)).all(), pair_id


def test_expected_counts():
    kept = {"train": 128, "validation": 22, "near_duplicates": 21, "test": 50}
    assert tfds.builder("roadscene").expected_counts() == (221, kept)
    kept = {"train": 19, "validation": 5, "near_duplicates": 7, "test": 25}
    assert tfds.builder("tno").expected_counts() == (56, kept)


def test_roadscene_and_tno_land_in_their_splits(roadscene, tmp_path):
    tno = prepare("tno", DUMMY_DATA / "tno", tmp_path)
    found = {s: list(records) for s, records in records_by_split(roadscene).items()}
    assert found == {
        "train": ["FLIR_00018"],
        "validation": ["FLIR_00006"],
        "near_duplicates": ["FLIR_00122"],
        "test": ["FLIR_00211"],
    }
    assert {s: list(records) for s, records in records_by_split(tno).items()} == {
        "train": ["COCO_TNO_002"],
        "validation": ["COCO_00"],
        "near_duplicates": ["EVAL_18"],
        "test": ["01"],
    }
    stored = images.read_image(DUMMY_DATA / "tno" / "vi" / "COCO_TNO_002.png")
    assert stored.shape == (24, 32, 1)
    visible = records_by_id(tno)["COCO_TNO_002"]["visible"]
    np.testing.assert_array_equal(visible, np.repeat(stored, 3, axis=2))


def test_records_hold_images_annotations_and_masks(roadscene):
    records = records_by_id(roadscene)
    record, line = records["FLIR_00018"], roadscene.annotations["FLIR_00018"]
    for feature, name in (("visible", "crop_LR_visible"), ("infrared", "cropinfrared")):
        stored = images.read_image(DUMMY_DATA / "roadscene" / name / "FLIR_00018.jpg")
        np.testing.assert_array_equal(record[feature], stored)
    for name in ("caption_visible", "caption_infrared", "entities", "present"):
        assert record[name] == line[name]
    assert record["has_present"]
    assert record["mask_kind"] == "coarse"
    masks = masks_of(record)
    assert list(masks)[:2] == line["entities"][:2]
    assert set(masks) == set(roadscene.regions["FLIR_00018"]) & set(line["present"])
    assert np.sum(list(masks.values()), axis=0).max() == 1
    assert sum(mask.any() for mask in masks.values()) > 1

    test = records["FLIR_00211"]
    assert test["entities"] == roadscene.annotations["FLIR_00211"]["extracted"]
    assert test["present"] == test["mask_entities"] == []
    assert not test["has_present"]
    assert len(test["masks"]) == 0
    assert test["mask_kind"] == "none"


def test_plain_folders_give_the_same(roadscene, tmp_path):
    plain = tmp_path / "manual" / "roadscene"
    plain.mkdir(parents=True)
    (plain / "vi").symlink_to(DUMMY_DATA / "roadscene" / "crop_LR_visible")
    (plain / "ir").symlink_to(DUMMY_DATA / "roadscene" / "cropinfrared")
    other = prepare("roadscene", tmp_path / "manual", tmp_path / "data")
    assert_same_records(roadscene, other)


def test_files_are_array_record_unless_another_format_is_requested(folder):
    assert prepared(folder).info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    again = tfds.builder("tno", data_dir=folder.parent / "data")
    assert again.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    assert len(again.as_data_source("train")) == 3
    other = tfds.builder("tno", data_dir=folder.parent / "other", file_format="riegeli")
    assert other.info.file_format == tfds.core.FileFormat.RIEGELI


def test_data_prepared_from_other_annotations_is_refused(folder):
    builder = prepared(folder)
    assert len(builder.fingerprint) == 64
    metadata = pathlib.Path(builder.data_path) / "metadata.json"
    assert json.loads(metadata.read_text())["fingerprint"] == builder.fingerprint
    metadata.write_text(json.dumps({"fingerprint": "0" * 64}))
    with pytest.raises(UserError, match=r"tno/2\.0\.0.*delete that folder"):
        prepared(folder)
    with pytest.raises(UserError, match="delete that folder"):
        tfds.builder("tno", data_dir=folder.parent / "data").as_data_source("train")


def test_unknown_pairs_train_without_annotations(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        builder = prepared(folder)
    (records,) = records_by_split(builder).values()
    assert list(builder.info.splits) == ["train"]
    assert set(records) == {"a", "b", "c"}
    for record in records.values():
        assert record["caption_visible"] == record["caption_infrared"] == ""
        assert record["entities"] == record["present"] == record["mask_entities"] == []
        assert not record["has_present"]
    (message,) = [r.getMessage() for r in caplog.records if "found" in r.getMessage()]
    assert "tno/2.0.0: found 3 of 56 pairs" in message
    assert "test 0 of 25" in message
    assert "train 3 of 19" in message


def test_every_problem_is_listed_at_once(folder):
    (folder / "vi" / "a.png").unlink()
    (folder / "vi" / "b.png").write_bytes(b"not an image")
    images.write_png(folder / "ir" / "c.png", np.zeros((10, 12), np.uint8))
    write_pairs(folder / "vi", folder / "vi", ["d"])
    cv2.imwrite(str(folder / "ir" / "deep.png"), np.zeros((24, 32), np.uint16))
    write_image(folder / "vi" / "deep.png", made_up_pair(24, 32)[0])
    write_pairs(folder / "vi", folder / "ir", ["tiny"], height=16)
    write_pairs(folder / "vi", folder / "ir", ["enough"], height=17, width=17)
    message = problems_in(folder)
    assert "tno: correct or remove these files" in message
    for problem in (
        "vi lacks a",
        "ir lacks d",
        "b.png: not a readable image",
        "c: visible is 32x24, infrared 12x10",
        "deep.png: uint16 pixels; convert it to 8 bits",
        "tiny: 32x16 pixels; at least 17x17 needed",
    ):
        assert problem in message
    assert len(message.splitlines()) == 7
    assert not (folder.parent / "data" / "tno" / "2.0.0").exists()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_file_is_found(tmp_path, suffix):
    write_pairs(tmp_path / "manual/vi", tmp_path / "manual/ir", ["a"], suffix, 96, 128)
    path = tmp_path / "manual" / "vi" / f"a{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"a{suffix}: not a readable image" in problems_in(tmp_path / "manual")


def test_folders_that_hold_no_set_are_refused(folder, tmp_path):
    (tmp_path / "other" / "photos").mkdir(parents=True)
    with pytest.raises(UserError, match="put cropinfrared/ and crop_LR_visible/ or ir/ and vi/"):
        prepare("roadscene", tmp_path / "other", tmp_path / "data")
    with pytest.raises(UserError, match=r"does not exist or is empty.*`ir/` and `vi/`"):
        prepare("tno", tmp_path / "nowhere", tmp_path / "data")
    (folder / "ir").rename(folder / "infrared")
    assert "ir: no such folder" in problems_in(folder)


def test_the_named_folder_is_preferred_and_a_complete_layout_to_half_of_one(folder):
    (folder / "tno" / "ir").mkdir(parents=True)
    assert len(records_by_id(prepared(folder))) == 3
    write_pairs(folder / "tno/vi", folder / "tno/ir", ["x"])
    assert list(records_by_id(prepare("tno", folder, folder.parent / "again"))) == ["x"]


def palette_png() -> bytes:
    """Red and blue halves as a PNG of colour type 3, which OpenCV cannot write."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 24, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
        + chunk(
            b"IDAT", zlib.compress(b"".join(b"\0" + b"\0" * 16 + b"\1" * 16 for _ in range(24)))
        )
        + chunk(b"IEND", b"")
    )


def test_plain_files_are_stored_as_they_are(tmp_path):
    for suffix in (".png", ".jpg"):
        for image in made_up_pair(24, 32):
            path = tmp_path / f"image{suffix}"
            write_image(path, image)
            assert encoded_image(path, image.shape[2]) == path.read_bytes()


def test_files_that_decoders_read_differently_become_png(tmp_path):
    visible, infrared = made_up_pair(24, 32)
    alpha = np.dstack([visible, np.full((24, 32), 7, np.uint8)])
    cv2.imwrite(str(tmp_path / "alpha.png"), cv2.cvtColor(alpha, cv2.COLOR_RGBA2BGRA))
    write_image(tmp_path / "colour.bmp", visible)
    write_rotated_jpeg(tmp_path / "rotated.jpg", visible)
    write_image(tmp_path / "grey.bmp", infrared)
    write_image(tmp_path / "three.jpg", np.repeat(infrared, 3, axis=2))
    (tmp_path / "palette.png").write_bytes(palette_png())
    for name, channels in (
        ("alpha.png", 3),
        ("colour.bmp", 3),
        ("grey.bmp", 3),
        ("grey.bmp", 1),
        ("three.jpg", 1),
        ("palette.png", 3),
        ("rotated.jpg", 3),
    ):
        encoded = encoded_image(tmp_path / name, channels)
        assert encoded.startswith(b"\x89PNG"), name
        read = images.read_image(tmp_path / name)
        wanted = images.to_rgb(read) if channels == 3 else images.to_grey(read)[..., None]
        np.testing.assert_array_equal(images.decode_image(encoded, name), wanted, name)
    assert images.read_image(tmp_path / "rotated.jpg").shape == (32, 24, 3)
