"""Builders that write and read array_record files, with or without TensorFlow."""

import json

import numpy as np
import tensorflow_datasets as tfds

from egmt_jax.errors import UserError


class ArrayRecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A generator-based builder that writes array_record files by default.

    TFDS's own default, tfrecord, cannot be written without TensorFlow, and its `as_dataset`, which
    `tfds.load` calls, cannot read array_record. Prepared data is refused where its `fingerprint` is
    not that of the builder.
    """

    def __init__(self, *, file_format: str | None = None, **kwargs):
        """See `tfds.core.GeneratorBasedBuilder`; existing prepared data keeps its format."""
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.info.initialized:
            self.info.set_file_format("array_record", override=True)

    @property
    def fingerprint(self) -> str:
        """Hash of what the records are made from, apart from the user's files; empty: unknown."""
        return ""

    def dataset_info_from_configs(self, **kwargs) -> tfds.core.DatasetInfo:
        """See `tfds.core.DatasetBuilder`; the fingerprint is stored with prepared data."""
        metadata = tfds.core.MetadataDict(fingerprint=self.fingerprint)
        return super().dataset_info_from_configs(metadata=metadata, **kwargs)

    def download_and_prepare(self, *, download_config=None, **kwargs) -> None:
        """See `tfds.core.DatasetBuilder`; raises UserError where old data would be reused."""
        if download_config is None or not download_config.download_mode.overwrite_dataset:
            self._check_fingerprint()
        super().download_and_prepare(download_config=download_config, **kwargs)

    def as_data_source(self, *args, **kwargs):
        """See `tfds.core.DatasetBuilder`; raises UserError for data of another fingerprint."""
        self._check_fingerprint()
        return super().as_data_source(*args, **kwargs)

    def _check_fingerprint(self) -> None:
        if not self.fingerprint or not (self.data_path / "dataset_info.json").exists():
            return
        path = self.data_path / "metadata.json"
        stored = json.loads(path.read_text()).get("fingerprint") if path.exists() else None
        if stored != self.fingerprint:
            raise UserError(
                f"{self.info.full_name}: {self.data_path} was prepared from other annotations than "
                "the installed ones; delete that folder and prepare again"
            )

    def _as_dataset(self, split, decoders=None, read_config=None, shuffle_files=False):
        if self.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            self._check_fingerprint()
            return super()._as_dataset(
                split, decoders=decoders, read_config=read_config, shuffle_files=shuffle_files
            )
        if decoders is not None:
            raise UserError(
                f"{self.name}: array_record files cannot be read with `decoders`; use "
                "as_data_source, or prepare with file_format='tfrecord' in another data_dir"
            )
        import tensorflow as tf

        source, spec = self.as_data_source(split), self.info.features.get_tensor_spec()
        seed = None if read_config is None else read_config.shuffle_seed
        generator = np.random.default_rng(seed)

        def examples():
            count = len(source)
            for index in generator.permutation(count) if shuffle_files else range(count):
                yield {
                    name: _shaped(value, spec[name]) for name, value in source[int(index)].items()
                }

        dataset = tf.data.Dataset.from_generator(examples, output_signature=spec)
        return dataset.apply(tf.data.experimental.assert_cardinality(len(source)))


def _shaped(value, spec):
    """The value; an empty sequence of images gets the rank that TensorFlow expects."""
    if np.shape(value) == (0,):
        return np.zeros([size or 0 for size in spec.shape], spec.dtype.as_numpy_dtype)
    return value
