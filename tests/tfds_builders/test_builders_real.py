"""Builders on real files, which lie outside the project."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from egmt_jax.io import images
from tfds_builders import testing

PRESENT = {
    "roadscene": ("roadscene", {"train": 128, "validation": 22, "neighbours": 21}),
    "tno": ("tno", {"train": 13, "validation": 5, "neighbours": 7}),
    "m3fd/fusion": ("m3fd", {"train": 20, "validation": 3, "test": 2, "neighbours": 5}),
    "m3fd/detection": ("m3fd", {"train": 20, "validation": 3, "test": 2, "neighbours": 5}),
    "msrs/full": (
        "msrs",
        {"train": 855, "validation": 12, "classification_validation": 120, "neighbours": 96},
    ),
}


@pytest.mark.parametrize("name", PRESENT)
def test_counts_and_pictures(name, data_dir, tmp_path):
    folder, counts = PRESENT[name]
    builder = testing.prepare(name, data_dir / folder, tmp_path)
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == counts
    for split in counts:
        example = builder.as_data_source(split)[0]
        height, width = example["visible"].shape[:2]
        assert example["visible"].shape == (height, width, 3)
        assert example["infrared"].shape == (height, width, 1)
        assert example["caption_visible"]
        assert example["caption_infrared"]
        assert 1 <= len(example["entities"]) <= 8
        (path,) = (data_dir / folder / "vi").glob(f"{example['id'].decode()}.*")
        visible = images.to_rgb(images.read_image(path))
        np.testing.assert_array_equal(example["visible"], visible)


@pytest.mark.parametrize("name", ["m3fd", "msrs", "roadscene", "tno"])
def test_packaged_annotations_are_the_published_ones(name, annotations_dir):
    lines = (annotations_dir / f"{name}.jsonl").read_text().splitlines()
    assert list(tfds.builder(name).annotations.values()) == [json.loads(line) for line in lines]


def test_packaged_splits_hold_what_must_stay_out_of_training(annotations_dir):
    published = json.loads((annotations_dir / "splits.json").read_text())
    for name in ("msrs", "roadscene", "tno"):
        splits = tfds.builder(name).packaged_splits
        held_out = {split: {i for i in splits if splits[i] == split} for split in splits.values()}
        assert held_out["test"] == set(published[f"{name}_test"])
        assert held_out["validation"] == set(published["validation"][name])
        kept_apart = set(published["validation_neighbours"][name])
        if name == "msrs":
            blocks = set(published["classification_validation"]["msrs"])
            assert held_out["classification_validation"] == blocks
            kept_apart |= set(published["validation_neighbours"]["msrs_classification"])
        else:
            kept_apart |= set(published["test_neighbours"][name])
        assert kept_apart <= set(splits)
