"""Data set builders for TFDS: importing this package registers them all."""

from tfds_builders.roadscene import roadscene_dataset_builder

__all__ = ["roadscene_dataset_builder"]
