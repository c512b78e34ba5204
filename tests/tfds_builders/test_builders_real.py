"""Builders on real files, which lie outside the project."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_sets import masks_of, prepare

from egmt_jax.entities import load_vocabulary
from egmt_jax.io import images

COUNTS = {
    "tno": {"train": 13, "validation": 5, "near_duplicates": 7},
    "m3fd/fusion": {"train": 25, "validation": 2, "test": 3},
    "m3fd/detection": {"train": 25, "validation": 2, "test": 3},
    "roadscene": {"train": 128, "validation": 22, "near_duplicates": 21},
    "msrs": {
        "train": 855,
        "validation": 12,
        "classification_validation": 120,
        "near_duplicates": 96,
    },
}


@pytest.mark.parametrize("name", [*list(COUNTS)[:-1], pytest.param("msrs", marks=pytest.mark.slow)])
def test_records_of_real_pairs(name, data_dir, tmp_path):
    folder = data_dir / name.split("/")[0]
    builder = prepare(name, folder, tmp_path)
    counts = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert counts == COUNTS[name]
    for split in counts:
        record = builder.as_data_source(split)[0]
        (path,) = (folder / "vi").glob(f"{record['id'].decode()}.*")
        visible = images.to_rgb(images.read_image(path))
        np.testing.assert_array_equal(record["visible"], visible)
        assert record["infrared"].shape == (*visible.shape[:2], 1)
        assert record["caption_visible"]
        assert 1 <= len(record["entities"]) <= 8
        assert set(record["entities"]) <= set(record["present"])
        assert set(record["mask_entities"]) <= set(record["present"])
        masks = masks_of({**record, "mask_entities": list(record["mask_entities"])})
        assert all(mask.shape == visible.shape[:2] for mask in masks.values())
        if name == "msrs":
            assert masks


@pytest.mark.parametrize("name", ["m3fd", "msrs", "roadscene", "tno"])
def test_packaged_annotations_are_the_published_ones(name, annotations_dir):
    lines = (annotations_dir / f"{name}.jsonl").read_text().splitlines()
    for line, kept in zip(map(json.loads, lines), annotations_of(name), strict=True):
        for key in ("entities", "present"):  # without names too rare for the vocabulary
            if key in line:
                line[key] = [entity for entity in line[key] if entity in load_vocabulary()]
        assert {key: value for key, value in kept.items() if key != "extracted"} == line


def annotations_of(name):
    return tfds.builder(name).annotations.values()


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
