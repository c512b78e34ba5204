"""Builders where TensorFlow is installed: TFDS's own test case, and `tfds.load`."""

import tempfile
import unittest

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_sets import DUMMY_DATA, prepare, write_rotated_jpeg

import tfds_builders
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair

SPLITS = {
    "roadscene": {"train": 1, "validation": 1, "near_duplicates": 1, "test": 1},
    "tno": {"train": 1, "validation": 1, "near_duplicates": 1, "test": 1},
    "m3fd": {"train": 2, "validation": 1, "test": 1},
    "msrs": {
        "train": 1,
        "validation": 1,
        "classification_validation": 1,
        "near_duplicates": 1,
        "test": 1,
    },
}
pytestmark = [
    pytest.mark.tf,
    # TensorFlow and what it imports deprecate things that are not ours to change.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(autouse=True)
def _tensorflow(monkeypatch, tmp_path):
    pytest.importorskip("tensorflow")
    # TFDS leaves an empty folder behind for each of the thousands of builders its test case makes.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("name", SPLITS)
def test_tfds_test_case(name):
    attributes = {
        "DATASET_CLASS": getattr(tfds_builders, f"{name}_dataset_builder").Builder,
        "EXAMPLE_DIR": DUMMY_DATA / name,
        "SPLITS": SPLITS[name],
    }
    case = type(f"{name}Test", (tfds.testing.DatasetBuilderTestCase,), attributes)
    case.setUpClass()
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 3
    assert not result.failures + result.errors, "\n".join(
        trace for _, trace in result.failures + result.errors
    )


def load(data_dir, **kwargs):
    config = tfds.download.DownloadConfig(manual_dir=str(DUMMY_DATA / "roadscene"))
    return tfds.load(
        "roadscene",
        data_dir=data_dir,
        with_info=True,
        download_and_prepare_kwargs={"download_config": config},
        **kwargs,
    )


def test_load_gives_what_the_data_source_gives(tmp_path):
    dataset, info = load(tmp_path, split="train+test", shuffle_files=True)
    assert info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    assert len(dataset) == 2
    loaded = {example["id"]: example for example in tfds.as_numpy(dataset)}
    assert set(loaded) == {b"FLIR_00018", b"FLIR_00211"}
    for example in tfds.builder("roadscene", data_dir=tmp_path).as_data_source("train+test"):
        for feature, value in example.items():
            found = loaded[example["id"]][feature]
            assert np.size(found) == np.size(value)
            if np.size(value):  # no masks are [0, 0, 0, 1] in TensorFlow, [0] without it
                np.testing.assert_array_equal(found, value, feature)


@pytest.mark.parametrize("file_format", [None, "tfrecord"])
def test_rotated_pictures_are_the_same_with_and_without_tensorflow(tmp_path, file_format):
    folder = tmp_path / "manual"
    visible, infrared = made_up_pair(24, 32)
    write_rotated_jpeg(folder / "vi" / "a.jpg", visible)
    write_rotated_jpeg(folder / "ir" / "a.jpg", infrared)
    builder = prepare("tno", folder, tmp_path / "data")
    wanted = images.read_image(folder / "vi" / "a.jpg")
    assert wanted.shape == (32, 24, 3)
    if file_format is not None:
        builder = tfds.builder("tno", data_dir=tmp_path / "other", file_format=file_format)
        config = tfds.download.DownloadConfig(manual_dir=str(folder))
        builder.download_and_prepare(download_config=config)
    else:
        np.testing.assert_array_equal(builder.as_data_source("train")[0]["visible"], wanted)
    (example,) = tfds.as_numpy(builder.as_dataset(split="train"))
    np.testing.assert_array_equal(example["visible"], wanted)


def test_load_of_array_record_refuses_decoders(tmp_path):
    with pytest.raises(UserError, match="file_format='tfrecord'"):
        load(tmp_path, split="train", decoders={"visible": tfds.decode.SkipDecoding()})


def test_tfrecord_can_be_asked_for(tmp_path):
    dataset, info = load(tmp_path, split="train", builder_kwargs={"file_format": "tfrecord"})
    assert info.file_format == tfds.core.FileFormat.TFRECORD
    (example,) = tfds.as_numpy(dataset)
    assert example["id"] == b"FLIR_00018"
    stored = DUMMY_DATA / "roadscene" / "crop_LR_visible" / "FLIR_00018.jpg"
    # TensorFlow decodes JPEG faster and less exactly than OpenCV.
    difference = np.abs(example["visible"].astype(int) - images.read_image(stored).astype(int))
    assert difference.mean() < 4.0
