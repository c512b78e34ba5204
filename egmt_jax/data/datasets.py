"""Data sets by name, with random access: sets prepared by TFDS, or a folder of own pairs."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath
from ml_collections import ConfigDict

from egmt_jax.data.folder import Folder, open_folder
from egmt_jax.data.pipeline import Records
from egmt_jax.errors import UserError

FOLDER = "folder"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set that TFDS has prepared; the same interface as `Folder`.

    Attributes:
      builder: the builder of the set.
    """

    builder: tfds.core.DatasetBuilder

    @property
    def name(self) -> str:
        """Name, config, version and, where the builder has one, fingerprint of its sources."""
        fingerprint = getattr(self.builder, "fingerprint", "")
        return self.builder.info.full_name + (f" {fingerprint[:12]}" if fingerprint else "")

    @property
    def path(self) -> epath.Path:
        """The folder of the prepared files."""
        return epath.Path(self.builder.data_dir)

    @property
    def counts(self) -> dict[str, int]:
        """Number of records of each split."""
        return {name: info.num_examples for name, info in self.builder.info.splits.items()}

    def records(self, split: str, images: bool = True) -> Records:
        """Records of a split, sum of splits or slice; empty if there is no such split."""
        try:
            if not self.builder.info.splits[split].num_examples:
                return ()
        except (ValueError, KeyError):  # TFDS: unknown split, or not the syntax of one
            return ()
        if images:
            return self.builder.as_data_source(split)
        raw = self.builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        features = self.builder.info.features
        small = {name: feature for name, feature in features.items() if not _holds_images(feature)}
        return _WithoutImages(raw, tfds.features.FeaturesDict(small))


@dataclasses.dataclass(frozen=True)
class _WithoutImages:
    """Records without their images, which are never decoded."""

    raw: Sequence[bytes]
    features: tfds.features.FeaturesDict

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.features.deserialize_example_np(self.raw[row])


def _holds_images(feature: tfds.features.FeatureConnector) -> bool:
    return isinstance(getattr(feature, "feature", feature), tfds.features.Image)


def open_set(name: str, data: ConfigDict) -> Prepared | Folder:
    """Opens a data set by its name in a config.

    Args:
      name: "folder" for the pairs in `data.root`, or a name for `prepare`.
      data: the config's `data` part: `root`, `data_dir` and `manual_dir` are read.

    Raises:
      UserError: no such data set, or its files are missing or broken.
    """
    if name != FOLDER:
        return prepare(name, data.data_dir, data.manual_dir)
    if not data.root:
        raise UserError("data.root is empty; set it to a folder with your pairs in vi/ and ir/")
    return open_folder(data.root)


def prepare(name: str, data_dir: str = "", manual_dir: str = "") -> Prepared:
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
    config = tfds.download.DownloadConfig(
        manual_dir=pathlib.Path(manual_dir or ".") if manual_dir else None
    )
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
    return Prepared(builder)


def _imported_builders() -> Mapping[str, type[tfds.core.DatasetBuilder]]:
    """Builders that were imported, by name, without TFDS's own."""
    found, queue = {}, [tfds.core.GeneratorBasedBuilder]
    while queue:
        subclasses = queue.pop().__subclasses__()
        queue += subclasses
        for builder in subclasses:
            # A base class with builders below it is not a data set.
            if not builder.__module__.startswith("tensorflow_datasets.") and (
                not builder.__subclasses__()
            ):
                found[builder.name] = builder
    return found


def records(data_set: Prepared | Folder, split: str, images: bool = True) -> Records:
    """The records of a split.

    Args:
      data_set: from `open_set` or `prepare`.
      split: name of a split, a sum such as "train+validation", or "all"; prepared sets also take
        slices such as "train[:64]".
      images: whether records have images and masks; without them none is decoded.

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
