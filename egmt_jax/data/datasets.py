"""Data sets by name, with random access: sets prepared by TFDS, or a folder of own pairs."""

import functools
import re

import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from egmt_jax.data.folder import open_folder
from egmt_jax.data.pipeline import DataSet, Records
from egmt_jax.errors import UserError

FOLDER = "folder"


def open_set(name: str, data: ConfigDict) -> DataSet:
    """Opens a data set by its name in a config: "folder", or a name for `prepare`.

    Raises:
      UserError: no such data set, or its files are missing or broken.
    """
    if name != FOLDER:
        return prepare(name, data.data_dir, data.manual_dir)
    if not data.root:
        raise UserError("data.root is empty; set it to a folder with your pairs in vi/ and ir/")
    return open_folder(data.root)


def prepare(name: str, data_dir: str = "", manual_dir: str = "") -> DataSet:
    """Opens a data set of an imported TFDS builder, and prepares it first if necessary.

    Args:
      name: set, or set and config: "roadscene", "entity_scenes/demo". `import tfds_builders`
        registers the builders of this project.
      data_dir: folder of prepared data sets; TFDS's default if empty.
      manual_dir: folder with the files of a set that cannot be downloaded.

    Raises:
      UserError: no such data set or config, its files are missing or broken, or `data_dir` cannot
        be written.
    """
    base = re.split("[/:]", name)[0]
    known = _imported_builders()
    if base not in known:  # TFDS would search its own catalogue and download from it
        raise UserError(
            f"data.name={name!r}: no such data set; known: {', '.join(sorted(known))}; "
            f"{FOLDER} reads your own pairs"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
    except (ValueError, KeyError, AssertionError, tfds.core.DatasetNotFoundError) as error:
        configs = [f"{base}/{config}" for config in known[base].builder_configs]
        raise UserError(
            f"data.name={name!r}: no such config or version; known: {', '.join(configs) or base}"
        ) from error
    config = tfds.download.DownloadConfig(manual_dir=manual_dir or None)
    try:
        builder.download_and_prepare(download_config=config)
    except UserError as error:
        if manual_dir:
            raise
        raise UserError(f"{error} (data.manual_dir names another folder)") from error
    except OSError as error:
        raise UserError(
            f"data.data_dir={data_dir!r}: {builder.data_dir} cannot be written "
            f"({error.strerror or error}); name another folder"
        ) from error
    fingerprint = getattr(builder, "fingerprint", "")[:12]
    return DataSet(
        f"{builder.info.full_name} {fingerprint}".rstrip(),
        builder.data_dir,
        {split: info.num_examples for split, info in builder.info.splits.items()},
        functools.partial(_records, builder),
    )


def _imported_builders() -> dict[str, type[tfds.core.DatasetBuilder]]:
    """Builders that were imported, by name, without TFDS's own and without base classes."""
    found, queue = {}, [tfds.core.GeneratorBasedBuilder]
    while queue:
        builder = queue.pop()
        queue += builder.__subclasses__()
        if not builder.__subclasses__() and builder.__module__.split(".")[0] != tfds.__name__:
            found[builder.name] = builder
    return found


def _records(builder: tfds.core.DatasetBuilder, split: str, images: bool = True) -> Records:
    """Records of a split of a prepared set, a sum of splits or a slice; see `DataSet`."""
    try:
        if not builder.info.splits[split].num_examples:
            return ()
    except (ValueError, KeyError):  # TFDS: unknown split, or not the syntax of one
        return ()
    if images:
        return builder.as_data_source(split)
    kept = {
        name: feature
        for name, feature in builder.info.features.items()
        if not isinstance(getattr(feature, "feature", feature), tfds.features.Image)
    }
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    examples = builder.as_data_source(split, deserialize_method=raw)
    return list(map(tfds.features.FeaturesDict(kept).deserialize_example_np, examples))


def records(data_set: DataSet, split: str, images: bool = True) -> Records:
    """The records of a split, of a sum such as "train+validation", or of "all".

    Prepared sets also take slices such as "train[:64]". Without `images` none is decoded, and
    records have no masks either.

    Raises:
      UserError: the split does not exist or is empty.
    """
    found = data_set.records(split, images)
    if not len(found):
        counts = ", ".join(f"{name} ({count})" for name, count in data_set.counts.items())
        raise UserError(
            f"data set {data_set.name} has no pairs in split {split!r}; it has {counts}: set "
            "data.train_split, data.validation_split or data.test_split to one of these, or "
            "data.test_split to all if nothing was trained on them"
        )
    return found
