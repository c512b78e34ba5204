"""Made-up pairs on disk, for tests of builders and of whatever reads them."""

import os
import pathlib
from collections.abc import Iterable

import cv2
import numpy as np
import tensorflow_datasets as tfds

from egmt_jax.io import images


def draw_pair(number: int, height: int = 24, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Draws a tiny scene: sky, road, a house, and a warm block that only the infrared shows.

    Args:
      number: picks places and colours; the same number gives the same pair.
      height: rows.
      width: columns.

    Returns:
      visible uint8 [H, W, 3] RGB and infrared uint8 [H, W, 1].
    """
    generator = np.random.default_rng(number)
    visible = np.empty((height, width, 3), np.uint8)
    infrared = np.empty((height, width, 1), np.uint8)
    horizon = int(generator.integers(height // 3, height // 2))
    visible[:horizon], visible[horizon:] = (120, 160, 210), (90, 90, 80)
    infrared[:horizon], infrared[horizon:] = 20, 90
    left, top = generator.integers(0, [width // 2, horizon])
    visible[top : horizon + 2, left : left + width // 4] = generator.integers(60, 200, 3)
    infrared[top : horizon + 2, left : left + width // 4] = 120
    column = int(generator.integers(width // 2, width - 3))
    infrared[horizon : horizon + height // 3, column : column + 3] = 240
    return visible, infrared


def write_pairs(
    visible_folder: str | os.PathLike,
    infrared_folder: str | os.PathLike,
    ids: Iterable[str],
    suffix: str = ".png",
    height: int = 24,
    width: int = 32,
) -> None:
    """Writes one made-up pair per id into two folders, as PNG or JPEG by `suffix`."""
    for number, pair_id in enumerate(ids):
        visible, infrared = draw_pair(number, height, width)
        write_image(pathlib.Path(visible_folder) / f"{pair_id}{suffix}", visible)
        write_image(pathlib.Path(infrared_folder) / f"{pair_id}{suffix}", infrared)


def write_image(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 1 or 3] RGB in the format that the path's suffix names."""
    stored = image[..., ::-1] if image.shape[2] == 3 else image
    done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(stored))
    if not done:
        raise ValueError(f"{path}: OpenCV cannot encode an image of shape {image.shape}")
    images.write_atomically(path, encoded.tobytes())


def prepare(
    name: str, manual_dir: str | os.PathLike, data_dir: str | os.PathLike
) -> tfds.core.DatasetBuilder:
    """Prepares a registered data set from a manual folder, and returns its builder."""
    builder = tfds.builder(name, data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=os.fspath(manual_dir))
    )
    return builder


def examples_by_id(builder: tfds.core.DatasetBuilder, split: str) -> dict[str, dict]:
    """Decoded examples of a prepared split by their id."""
    return {example["id"].decode(): example for example in builder.as_data_source(split)}


def assert_same_examples(
    builder: tfds.core.DatasetBuilder, other: tfds.core.DatasetBuilder
) -> None:
    """Raises AssertionError unless two prepared data sets hold equal splits of equal examples."""
    assert list(builder.info.splits) == list(other.info.splits)
    for split in builder.info.splits:
        mine, theirs = examples_by_id(builder, split), examples_by_id(other, split)
        assert list(mine) == list(theirs)
        for pair_id, example in mine.items():
            for feature, value in example.items():
                np.testing.assert_array_equal(
                    value, theirs[pair_id][feature], f"{pair_id} {feature}"
                )
