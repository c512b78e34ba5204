import logging
import pathlib

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_builders
from egmt_jax.errors import UserError
from egmt_jax.io import images
from tfds_builders import pairs, testing

NAMES = ["m3fd", "msrs", "roadscene", "tno"]


@pytest.fixture
def folder(tmp_path):
    testing.write_pairs(tmp_path / "manual/vi", tmp_path / "manual/ir", ["a", "b", "c"])
    return tmp_path / "manual"


def prepared(folder, name="tno"):
    return testing.prepare(name, folder, folder.parent / "data")


def problems_in(folder):
    with pytest.raises(UserError) as error:
        prepared(folder)
    return str(error.value)


def test_importing_the_package_registers_every_builder():
    names = {name.removesuffix("_dataset_builder") for name in tfds_builders.__all__}
    assert names == {*NAMES, "entity_scenes"}
    assert names <= set(tfds.list_builders(with_community_datasets=False))


@pytest.mark.parametrize("name", NAMES)
def test_each_builder_has_its_papers(name):
    builder = tfds.builder(name)
    tags = (pathlib.Path(pairs.__file__).parent / name / "TAGS.txt").read_text().splitlines()
    assert builder.info.citation.startswith("@")
    for fact in ("**Layout", "**Splits.**", "CC BY 4.0", "**Where to get it.**"):
        assert fact in builder.info.description
    assert {tag.split(" #")[0] for tag in tags} <= set(tfds.core.dataset_metadata.valid_tags())
    assert builder.info.homepage.split("//")[1] in builder.info.description


@pytest.mark.parametrize("name", NAMES)
def test_annotations_are_whole(name):
    annotations = tfds.builder(name).annotations
    assert len(annotations) == {"m3fd": 52, "msrs": 1444, "roadscene": 221, "tno": 56}[name]
    for annotation in annotations.values():
        assert annotation["caption_visible"]
        assert annotation["caption_infrared"]
        if "entities" in annotation:
            assert 2 <= len(annotation["entities"]) <= 8
            assert len(set(annotation["entities"])) == len(annotation["entities"])


@pytest.mark.parametrize("name", ["msrs", "roadscene", "tno"])
def test_entities_are_listed_for_no_test_pair(name):
    builder = tfds.builder(name)
    listed = {pair_id for pair_id, line in builder.annotations.items() if "entities" in line}
    assert listed
    assert "test" not in {builder.split_of(pair_id) for pair_id in listed}


@pytest.mark.parametrize("name", ["msrs", "roadscene", "tno"])
def test_ids_of_splits_are_annotated_pairs_and_disjoint(name):
    folder = pathlib.Path(pairs.__file__).parent / name
    ids = [line for path in folder.glob("*_ids.txt") for line in path.read_text().split()]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(tfds.builder(name).annotations)


def test_files_are_array_record_by_default(folder):
    assert prepared(folder).info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    again = tfds.builder("tno", data_dir=folder.parent / "data")
    assert again.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    assert len(again.as_data_source("train")) == 3


def test_another_file_format_can_be_asked_for(tmp_path):
    builder = tfds.builder("tno", data_dir=tmp_path, file_format="riegeli")
    assert builder.info.file_format == tfds.core.FileFormat.RIEGELI


def test_unknown_pairs_train_without_captions(folder):
    examples = testing.examples_by_id(prepared(folder), "train")
    assert set(examples) == {"a", "b", "c"}
    for example in examples.values():
        assert example["caption_visible"] == example["caption_infrared"] == b""
        assert list(example["entities"]) == list(example["label_entities"]) == []


def test_empty_splits_are_left_out_and_counted_in_the_log(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        builder = prepared(folder)
    assert list(builder.info.splits) == ["train"]
    (message,) = [
        record.getMessage() for record in caplog.records if "found" in record.getMessage()
    ]
    assert "tno/1.1.0: found 3 of 56 pairs" in message
    assert "test 0 of 25" in message
    assert "train 3 of 19" in message


def test_every_problem_is_listed_at_once(folder):
    (folder / "vi" / "a.png").unlink()
    (folder / "vi" / "b.png").write_bytes(b"not an image")
    images.write_png(folder / "ir" / "c.png", np.zeros((10, 12), np.uint8))
    testing.write_pairs(folder / "vi", folder / "vi", ["d"])
    message = problems_in(folder)
    assert "tno: restore, mend or remove these files" in message
    assert "vi/ lacks a" in message
    assert "ir/ lacks d" in message
    assert "b.png: not a readable image" in message
    assert "c: visible is 32x24, infrared 12x10" in message
    assert len(message.splitlines()) == 5
    assert not (folder.parent / "data" / "tno" / "1.1.0").exists()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_file_is_found(tmp_path, suffix):
    testing.write_pairs(tmp_path / "manual/vi", tmp_path / "manual/ir", ["a"], suffix, 96, 128)
    path = tmp_path / "manual" / "vi" / f"a{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"a{suffix}: not a readable image" in problems_in(tmp_path / "manual")


def test_sixteen_bits_are_refused(folder):
    cv2.imwrite(str(folder / "ir" / "a.png"), np.zeros((24, 32), np.uint16))
    assert "a.png: uint16 pixels; convert it to 8 bits" in problems_in(folder)


def test_images_too_small_to_be_scored_are_refused(folder):
    testing.write_pairs(folder / "vi", folder / "ir", ["tiny"], height=16)
    testing.write_pairs(folder / "vi", folder / "ir", ["enough"], height=17, width=17)
    message = problems_in(folder)
    assert "tiny: 32x16 pixels; at least 17x17 are needed" in message
    assert len(message.splitlines()) == 2


def test_one_stem_under_two_suffixes_is_refused(folder):
    testing.write_image(folder / "vi" / "a.jpg", testing.draw_pair(0)[0])
    assert "has the same stem" in problems_in(folder)


def test_long_lists_are_cut_and_counted(tmp_path):
    message = pairs.describe_problems("tno", tmp_path, [f"problem {n}" for n in range(70)])
    assert len(message.splitlines()) == pairs.PROBLEMS_SHOWN + 2
    assert message.endswith("and 20 more")


def test_a_folder_of_something_else_is_refused_with_the_layouts(tmp_path):
    (tmp_path / "manual" / "photos").mkdir(parents=True)
    with pytest.raises(UserError, match="put cropinfrared/ and crop_LR_visible/ or ir/ and vi/"):
        testing.prepare("roadscene", tmp_path / "manual", tmp_path / "data")


def test_a_folder_with_one_modality_is_refused(folder):
    for path in (folder / "ir").iterdir():
        path.unlink()
    (folder / "ir").rmdir()
    assert "ir: no such folder" in problems_in(folder)


def test_a_missing_manual_folder_is_refused_with_instructions(tmp_path):
    with pytest.raises(UserError, match=r"does not exist or is empty.*`ir/` and `vi/`"):
        testing.prepare("tno", tmp_path / "nowhere", tmp_path / "data")


def test_the_named_folder_goes_before_the_manual_folder(folder):
    testing.write_pairs(folder / "tno/vi", folder / "tno/ir", ["x"])
    assert list(testing.examples_by_id(prepared(folder), "train")) == ["x"]


def test_a_complete_layout_goes_before_half_of_another(folder):
    (folder / "tno" / "ir").mkdir(parents=True)
    assert len(testing.examples_by_id(prepared(folder), "train")) == 3


def test_half_of_the_official_layout_is_reported(tmp_path):
    testing.write_pairs(tmp_path / "train/vi", tmp_path / "train/ir", ["00001D"])
    (tmp_path / "test" / "vi").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        testing.prepare("msrs", tmp_path, tmp_path / "data")
    assert "test/vi: no images in it" in str(error.value)
    assert "test/ir: no such folder" in str(error.value)


def write_palette_png(path):
    """Red and blue halves as a PNG of colour type 3, which OpenCV cannot write."""
    import struct
    import zlib

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b"".join(b"\0" + b"\0" * 16 + b"\1" * 16 for _ in range(24))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 24, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_plain_files_are_stored_as_they_are(tmp_path):
    visible, infrared = testing.draw_pair(3)
    for suffix in (".png", ".jpg"):
        for image in (visible, infrared):
            path = tmp_path / f"image{suffix}"
            testing.write_image(path, image)
            assert pairs.encoded_image(path, image.shape[2]) == path.read_bytes()


def test_other_files_become_png_of_the_right_channels(tmp_path):
    visible, infrared = testing.draw_pair(3)
    alpha = np.dstack([visible, np.full((24, 32), 7, np.uint8)])
    cv2.imwrite(str(tmp_path / "alpha.png"), cv2.cvtColor(alpha, cv2.COLOR_RGBA2BGRA))
    testing.write_image(tmp_path / "grey.bmp", infrared)
    testing.write_image(tmp_path / "colour.bmp", visible)
    testing.write_image(tmp_path / "three.jpg", np.repeat(infrared, 3, axis=2))
    write_palette_png(tmp_path / "palette.png")
    palette = np.zeros((24, 32, 3), np.uint8)
    palette[:, :16, 0] = palette[:, 16:, 2] = 255
    three = images.read_image(tmp_path / "three.jpg")
    for name, channels, wanted in (
        ("alpha.png", 3, visible),
        ("colour.bmp", 3, visible),
        ("grey.bmp", 3, np.repeat(infrared, 3, axis=2)),
        ("grey.bmp", 1, infrared),
        ("three.jpg", 1, images.to_grey(three)[..., None]),
        ("palette.png", 3, palette),
    ):
        encoded = pairs.encoded_image(tmp_path / name, channels)
        assert encoded.startswith(b"\x89PNG")
        np.testing.assert_array_equal(images.decode_image(encoded, name), wanted, name)
