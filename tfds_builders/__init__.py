"""Data set builders for TFDS: importing this package registers them all."""

from tfds_builders.entity_scenes import entity_scenes_dataset_builder
from tfds_builders.m3fd import m3fd_dataset_builder
from tfds_builders.msrs import msrs_dataset_builder
from tfds_builders.roadscene import roadscene_dataset_builder
from tfds_builders.tno import tno_dataset_builder

__all__ = [
    "entity_scenes_dataset_builder",
    "m3fd_dataset_builder",
    "msrs_dataset_builder",
    "roadscene_dataset_builder",
    "tno_dataset_builder",
]
