"""Rendered scenes with entities, masks and captions; importing this registers `entity_scenes`."""

from tfds_builders.entity_scenes.entity_scenes_dataset_builder import (
    EntityScenes,
    EntityScenesConfig,
)
from tfds_builders.entity_scenes.scene import KINDS, Scene, render_scene

__all__ = ["KINDS", "EntityScenes", "EntityScenesConfig", "Scene", "render_scene"]
