"""Own pairs in folders: records, splits, and errors that list every problem."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from egmt_jax.data import datasets, pipeline
from egmt_jax.data.folder import open_folder
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair


def add_pair(root, name, height=24, width=30, seed=0):
    visible, infrared = made_up_pair(height, width, seed)
    images.write_png(root / "vi" / f"{name}.png", visible)
    images.write_png(root / "ir" / f"{name}.png", infrared)
    return visible, infrared


def annotate(root, *lines):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (root / "annotations.jsonl").write_text("\n".join(texts), encoding="utf-8")


def test_a_record_has_the_form_of_a_tfds_record(tmp_path):
    visible, infrared = add_pair(tmp_path, "a")
    annotate(
        tmp_path,
        {"id": "a", "caption_visible": "A man beside two cars.", "caption_infrared": "A man."},
    )
    records = datasets.records(open_folder(tmp_path), "train")
    pair = pipeline.to_pair(records[0])
    np.testing.assert_array_equal(pair.visible, visible)
    np.testing.assert_array_equal(pair.infrared, infrared)
    assert pair.id == "a"
    assert set(pair.entities) == {"person", "car"}
    assert (pair.masks, pair.present) == (None, None)
    assert records[0]["caption_visible"] == b"A man beside two cars."
    assert "visible" not in datasets.records(open_folder(tmp_path), "train", images=False)[0]


def test_listed_entities_override_captions_and_become_canonical(tmp_path):
    for name in "abc":
        add_pair(tmp_path, name)
    caption = {"caption_visible": "A tree.", "caption_infrared": "A tree."}
    annotate(tmp_path, {"id": "a", "entities": ["People", "cars", "man"], **caption}, "", "")
    folder = open_folder(tmp_path)
    assert folder.records("train")[0]["entities"] == [b"person", b"car"]
    assert folder.records("train")[1]["entities"] == []


def test_present_and_regions_of_a_line_become_labels_and_masks(tmp_path):
    add_pair(tmp_path, "a")
    regions = {
        "road": [[0, 400, 1000, 400, 1000, 800, 0, 800]],
        "People": [[100, 100, 200, 300]],
        "man": [[500, 0, 600, 100]],
        "car": [],
    }
    line = {"id": "a", "entities": ["man", "car"], "present": ["cars", "road", "trees"]}
    annotate(tmp_path, line | {"regions": regions})
    pair = pipeline.to_pair(open_folder(tmp_path).records("train")[0])
    assert pair.entities == ("person", "car")
    assert pair.present == ("person", "car", "road", "tree")
    assert set(pair.masks) == {"road", "person", "car"}
    assert pair.masks["person"][[5, 1], [4, 16]].all()
    assert pair.masks["road"][20, 15]
    assert not (pair.masks["person"] & pair.masks["road"]).any()
    assert not pair.masks["car"].any()  # searched for, not found
    assert not pair.masks_exact


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"person": [[1, 2, 3]]}, "regions of person: an outline is x0, y0, x1, y1"),
        ({"person": [[1, 2, 3, float("nan")]]}, "regions of person: an outline is"),
        ({"person": [1, 2, 3, 4]}, "regions of person: an outline is"),
        ({"person": [[1, 2, 3, 10**400]]}, "regions of person: an outline is"),
        ({"person": [[1, 2, 1001, 4]]}, "in thousandths of the image width, not pixels"),
        ({"person": [[1, 2, True, 4]]}, "regions of person: an outline is"),
        ({"person": "left"}, "regions of person: not a list of outlines"),
        ([[1, 2, 3, 4]], "regions: needs an object"),
        ({"car": [[1, 2, 3, 4]]}, "regions of car: not among the entities"),
        ({"unicorn": [[1, 2, 3, 4]]}, "entity 'unicorn' is not in the vocabulary"),
    ],
)
def test_wrong_regions_are_reported_with_their_line(tmp_path, regions, message):
    add_pair(tmp_path, "a")
    annotate(tmp_path, {"id": "a", "entities": ["person"], "regions": regions})
    with pytest.raises(UserError, match=r"annotations\.jsonl line 1: ") as error:
        open_folder(tmp_path)
    assert message in str(error.value)


def test_grey_and_palette_files_become_rgb_and_one_channel(tmp_path):
    visible, _ = add_pair(tmp_path, "a")
    images.write_png(tmp_path / "vi" / "a.png", images.to_grey(visible))
    (tmp_path / "ir" / "a.png").write_bytes(palette_png([[255, 0, 0], [0, 0, 255]], 24, 30))
    record = open_folder(tmp_path).records("train")[0]
    assert record["visible"].shape == (24, 30, 3)
    np.testing.assert_array_equal(record["visible"][..., 0], images.to_grey(visible))
    assert record["infrared"].shape == (24, 30, 1)
    assert sorted(np.unique(record["infrared"])) == [29, 76]  # luma of blue and of red


def palette_png(colours, height, width):
    """A PNG of stripes in the given colours, stored as indices into a palette; by hand, since
    OpenCV writes none."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    rows = b"".join(
        b"\0" + bytes((column % len(colours)) for column in range(width)) for _ in range(height)
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes(value for colour in colours for value in colour))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def ids(records):
    return [records[row]["id"].decode() for row in range(len(records))]


def test_the_last_tenths_are_held_out_and_small_folders_hold_out_nothing(tmp_path):
    for number in range(9):
        add_pair(tmp_path, f"{number:02d}", 17, 17)
    folder = open_folder(tmp_path)
    assert len(datasets.records(folder, "train")) == 9
    with pytest.raises(UserError, match=r"no pairs in split 'test'; it has train \(9\): set"):
        datasets.records(folder, "test")
    for number in range(9, 25):
        add_pair(tmp_path, f"{number:02d}", 17, 17)
    folder = open_folder(tmp_path)
    names = [f"{number:02d}" for number in range(25)]
    assert ids(datasets.records(folder, "train")) == names[:21]
    assert ids(datasets.records(folder, "validation")) == names[21:23]
    assert ids(datasets.records(folder, "test")) == names[23:]
    assert ids(datasets.records(folder, "all")) == names
    assert ids(datasets.records(folder, "validation+test")) == names[21:]
    with pytest.raises(UserError, match="no pairs in split 'train\\+tset'"):
        datasets.records(folder, "train+tset")


def test_all_problems_are_listed_at_once(tmp_path):
    for name in ("good", "lonely", "torn", "deep", "uneven"):
        add_pair(tmp_path, name)
    add_pair(tmp_path, "tiny", 16, 30)
    (tmp_path / "ir" / "lonely.png").unlink()
    torn = tmp_path / "vi" / "torn.png"
    torn.write_bytes(torn.read_bytes()[:200])
    cv2.imwrite(str(tmp_path / "ir" / "deep.png"), np.zeros((24, 30), np.uint16))
    images.write_png(tmp_path / "ir" / "uneven.png", np.zeros((20, 30), np.uint8))
    annotate(
        tmp_path,
        {"id": "good", "entities": ["person"]},
        {"id": "ghost", "entities": ["person"]},
        '{"id": "torn", "entities": ["person"',
        {"id": "deep", "entities": ["zebra", "car", "vam"]},
        {"id": "good", "entities": ["car"]},
        {"id": "uneven"},
        {"id": "uneven", "entities": "car"},
        {"id": "uneven", "caption_visible": 3},
        ["uneven"],
        {"id": "lonely", "entities": load_vocabulary().names[:9]},
    )
    with pytest.raises(UserError) as error:
        open_folder(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: correct or remove these and run again")
    for part in (
        "ir lacks lonely",
        "torn.png: not a readable image (empty, truncated",
        "deep.png: uint16 pixels; convert it to 8 bits per channel first",
        "uneven: visible is 30x24, infrared 30x20",
        "annotations.jsonl line 2: no pair 'ghost'; remove the line or add ghost to vi/ and ir/",
        "annotations.jsonl line 3: invalid JSON at column 37",
        "annotations.jsonl line 4: entity 'zebra' is not in the vocabulary (nearest known: ",
        "; entity 'vam' is not in the vocabulary (nearest known: van, ",
        "annotations.jsonl line 5: id 'good' again, first on line 1",
        "annotations.jsonl line 6: needs entities, or caption_visible and caption_infrared",
        "annotations.jsonl line 7: entities must be a list of text",
        "annotations.jsonl line 8: caption_visible must be text",
        "annotations.jsonl line 9: not a JSON object",
        "annotations.jsonl line 10: 9 entities, at most 8",
        "tiny: 30x16 pixels; at least 17x17 needed",
    ):
        assert part in message, part
    assert len(message.splitlines()) == 15


def test_annotations_that_are_a_folder_are_refused(tmp_path):
    add_pair(tmp_path, "a")
    (tmp_path / "annotations.jsonl").mkdir()
    with pytest.raises(UserError, match=r"annotations\.jsonl: cannot be read \(Is a directory\)"):
        open_folder(tmp_path)


def test_a_long_list_is_cut(tmp_path):
    add_pair(tmp_path, "a")
    annotate(tmp_path, *("{" for _ in range(70)))
    with pytest.raises(UserError, match=r"and 20 more$"):
        open_folder(tmp_path)


def test_a_folder_without_pairs_is_refused_with_the_expected_layout(tmp_path):
    with pytest.raises(UserError, match=r"needs folders vi/ \(visible\) and ir/ \(infrared\)"):
        open_folder(tmp_path / "nowhere")
    for name in ("vi", "ir"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="no images in it"):
        open_folder(tmp_path)
