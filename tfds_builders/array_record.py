"""Builders that write and read array_record files, with or without TensorFlow."""

import numpy as np
import tensorflow_datasets as tfds

from egmt_jax.errors import UserError


class ArrayRecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A generator-based builder whose files are array_record unless asked otherwise.

    TFDS's own default, tfrecord, cannot be written without TensorFlow; and its `as_dataset`, which
    `tfds.load` returns, cannot read array_record. This class bridges both.
    """

    def __init__(self, *, file_format: str | None = None, **kwargs):
        """See `tfds.core.GeneratorBasedBuilder`; data prepared before keeps its format."""
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.info.initialized:
            self.info.set_file_format("array_record", override=True)

    def _as_dataset(self, split, decoders=None, read_config=None, shuffle_files=False):
        if self.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
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
    """The value; an empty sequence of images as an array of the rank that TensorFlow asks for."""
    if np.shape(value) == (0,):
        return np.zeros([size or 0 for size in spec.shape], spec.dtype.as_numpy_dtype)
    return value
