"""TFDS data sets by name: prepared once, then read at random."""

import pathlib

import tensorflow_datasets as tfds

import tfds_builders
from egmt_jax.errors import UserError


def prepare(name: str, data_dir: str | None = None, manual_dir: str | None = None):
    """The builder of a prepared data set; prepares it first where that has not been done.

    Args:
      name: of a data set of `tfds_builders`, with its config: "entity_scenes/demo", "roadscene".
      data_dir: where prepared data sets live; TFDS's own default if empty.
      manual_dir: folder with the files of a set that cannot be downloaded.

    Raises:
      UserError: no such data set, or its files are missing or broken.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        known = ", ".join(sorted(n.removesuffix("_dataset_builder") for n in tfds_builders.__all__))
        raise UserError(f"data.name={name!r}: no such data set; known here: {known}") from error
    except (ValueError, KeyError) as error:  # an unknown config
        raise UserError(f"data.name={name!r}: {' '.join(str(error).split())}") from error
    config = tfds.download.DownloadConfig(manual_dir=manual_dir and pathlib.Path(manual_dir))
    builder.download_and_prepare(download_config=config)
    return builder


def source(builder, split: str, images: bool = True):
    """A split as a sequence of records.

    Args:
      builder: of a prepared data set.
      split: its name; a slice such as "train[:64]" works.
      images: whether to decode the two images; a look at the entities is faster without.

    Raises:
      UserError: the split does not exist or is empty.
    """
    known = {name: info.num_examples for name, info in builder.info.splits.items()}
    if not known.get(split.partition("[")[0]):
        raise UserError(
            f"data set {builder.info.full_name} has no pairs in split {split!r}; it has {known}"
        )
    decoders = None
    if not images:
        decoders = {
            name: tfds.decode.SkipDecoding()
            for name, feature in builder.info.features.items()
            if isinstance(feature, tfds.features.Image)
        }
    return builder.as_data_source(split, decoders=decoders)
