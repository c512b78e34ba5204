"""Prepared data sets, for the tests of builders."""

import os
import pathlib
import struct

import numpy as np
import tensorflow_datasets as tfds

import tfds_builders  # noqa: F401  (registers the data sets)
from egmt_jax.testing import write_image

DUMMY_DATA = pathlib.Path(__file__).parent / "dummy_data"


def prepare(name: str, manual_dir: str | os.PathLike, data_dir: str | os.PathLike):
    """Prepares a registered data set from a manual folder; returns its builder."""
    builder = tfds.builder(name, data_dir=data_dir)
    config = tfds.download.DownloadConfig(manual_dir=os.fspath(manual_dir))
    builder.download_and_prepare(download_config=config)
    return builder


def records_by_split(builder) -> dict[str, dict[str, dict]]:
    """Decoded records by split and id, text as str."""
    return {
        split: {
            record["id"].decode(): {name: _plain(value) for name, value in record.items()}
            for record in builder.as_data_source(split)
        }
        for split in builder.info.splits
    }


def records_by_id(builder) -> dict[str, dict]:
    """Decoded records of all splits by id."""
    return {
        i: record for split in records_by_split(builder).values() for i, record in split.items()
    }


def masks_of(record: dict) -> dict[str, np.ndarray]:
    """bool [H, W] by entity."""
    return {
        name: mask[..., 0] > 0
        for name, mask in zip(record["mask_entities"], record["masks"], strict=True)
    }


def assert_same_records(builder, other) -> None:
    """Raises AssertionError unless two prepared data sets have equal records in equal splits."""
    mine, theirs = records_by_split(builder), records_by_split(other)
    assert {s: list(r) for s, r in mine.items()} == {s: list(r) for s, r in theirs.items()}
    for split, records in mine.items():
        for pair_id, record in records.items():
            for name, value in record.items():
                np.testing.assert_array_equal(
                    value, theirs[split][pair_id][name], f"{pair_id} {name}"
                )


def write_rotated_jpeg(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes a JPEG with EXIF orientation 6: to be turned by 90 degrees."""
    write_image(path, image)
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    encoded = path.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(encoded[:2] + segment + encoded[2:])


def _plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if len(np.shape(value)) == 1:
        return [x.decode() if isinstance(x, bytes) else x for x in value]
    return value
