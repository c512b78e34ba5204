"""Data sets by name, read at random: of TFDS, prepared once, or a folder of own pairs."""

import pathlib
import re

import tensorflow_datasets as tfds
from ml_collections import ConfigDict

import tfds_builders
from egmt_jax.data.folder import Folder, open_folder
from egmt_jax.errors import UserError

FOLDER = "folder"


def open_set(name: str, data: ConfigDict):
    """A data set by its name in a config, ready for `source`.

    Args:
      name: "folder" for the pairs in `data.root`, else see `prepare`.
      data: the config's `data` part: `root`, `data_dir` and `manual_dir` are read.

    Raises:
      UserError: no such data set, or its files are missing or broken.
    """
    if name != FOLDER:
        return prepare(name, data.data_dir, data.manual_dir)
    if not data.root:
        raise UserError("data.root is empty; set it to a folder with your pairs in vi/ and ir/")
    return open_folder(data.root)


def prepare(name: str, data_dir: str | None = None, manual_dir: str | None = None):
    """The builder of a prepared data set; prepares it first where that has not been done.

    Args:
      name: of a data set of `tfds_builders`, with its config: "entity_scenes/demo", "roadscene".
      data_dir: where prepared data sets live; TFDS's own default if empty.
      manual_dir: folder with the files of a set that cannot be downloaded.

    Raises:
      UserError: no such data set or config, its files are missing or broken, or `data_dir` cannot
        be written.
    """
    known = sorted(module.removesuffix("_dataset_builder") for module in tfds_builders.__all__)
    base = re.split("[/:]", name)[0]
    if base not in known:  # TFDS would go and download what it knows by that name
        raise UserError(
            f"data.name={name!r}: no such data set; known here: {', '.join(known)}; {FOLDER} reads "
            "own pairs"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
    except (ValueError, KeyError, AssertionError, tfds.core.DatasetNotFoundError) as error:
        configs = [f"{base}/{config}" for config in tfds.builder_cls(base).builder_configs]
        raise UserError(
            f"data.name={name!r}: no such config or version; known: {', '.join(configs) or base}"
        ) from error
    config = tfds.download.DownloadConfig(manual_dir=manual_dir and pathlib.Path(manual_dir))
    try:
        builder.download_and_prepare(download_config=config)
    except UserError as error:
        if manual_dir:
            raise
        raise UserError(f"{error} (data.manual_dir names another folder)") from error
    except OSError as error:
        raise UserError(
            f"data.data_dir={data_dir or ''!r}: {builder.data_dir} cannot be made or written "
            f"({error.strerror or error}); name another folder"
        ) from error
    return builder


def identity(data_set) -> str:
    """Name and version of a data set from `open_set`; a folder goes by its last name."""
    if isinstance(data_set, Folder):
        return f"{FOLDER} {data_set.root.absolute().name}"
    return data_set.info.full_name


def place(data_set) -> pathlib.Path:
    """The folder that a data set from `open_set` is read from."""
    return pathlib.Path(data_set.root if isinstance(data_set, Folder) else data_set.data_dir)


def source(data_set, split: str, images: bool = True):
    """A split as a sequence of records.

    Args:
      data_set: from `open_set` or `prepare`.
      split: its name; "all", sums such as "train+validation" and, but for folders, slices such as
        "train[:64]" work.
      images: whether to decode the two images; a look at the entities is faster without.

    Raises:
      UserError: the split does not exist or is empty.
    """
    if isinstance(data_set, Folder):
        name = str(data_set.root)
        known = {split: len(members) for split, members in data_set.splits.items()}
        records = data_set.source(split, images)
        if len(records):
            return records
    else:
        name = data_set.info.full_name
        splits = data_set.info.splits
        known = {name: info.num_examples for name, info in splits.items()}
        try:
            count = splits[split].num_examples
        except (ValueError, KeyError):  # TFDS: not a split, or not the form of one
            count = 0
        if count:
            return data_set.as_data_source(split, decoders=None if images else _undecoded(data_set))
    raise UserError(
        f"data set {name} has no pairs in split {split!r}; it has "
        f"{', '.join(f'{split} ({count})' for split, count in known.items())}: set "
        "data.train_split, data.validation_split or data.test_split to one of these, or the last "
        "to all, if nothing was trained on them"
    )


def _undecoded(builder) -> dict[str, tfds.decode.SkipDecoding]:
    """Decoders that leave images as they are stored."""
    return {
        name: tfds.decode.SkipDecoding()
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
