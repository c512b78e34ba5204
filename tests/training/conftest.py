"""Rendered scenes and a config small enough for a test."""

import pytest

from configs import base
from egmt_jax.data import datasets


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory):
    """A prepared `entity_scenes/tiny`."""
    folder = tmp_path_factory.mktemp("tfds")
    datasets.prepare("entity_scenes/tiny", str(folder))
    return folder


@pytest.fixture
def config(scenes_dir):
    """Six steps of a tiny model on tiny scenes."""
    config = base.get_config()
    config.data.update(name="entity_scenes/tiny", data_dir=str(scenes_dir), crop=32)
    config.model.update(width=8, tokens=16, token_blocks=1, heads=2, dimension=8)
    config.optimizer.update(steps=6, warmup=2)
    config.checkpoint.every = 2
    config.log.update(every=2, pictures_every=3)
    return config
