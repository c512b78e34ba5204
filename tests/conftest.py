"""Strict numerics for every test, eight CPU devices, and the fixtures for real pairs."""

import os
import pathlib

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Many tests compile the same training step: the first one does it for all. One folder per worker:
# reading what another is just writing gives a warning.
_CACHE = pathlib.Path(".pytest_cache", "jax", os.environ.get("PYTEST_XDIST_WORKER", "main"))
jax.config.update("jax_compilation_cache_dir", str(_CACHE.absolute()))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def _directory(variable: str) -> pathlib.Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(
            f"{variable} is not set: it names a folder of real data kept outside the project"
        )
    return pathlib.Path(value)


@pytest.fixture
def data_dir() -> pathlib.Path:
    """Folder with `<set>/ir`, `<set>/vi` of real pairs; the test is skipped without it."""
    return _directory("EGMT_DATA_DIR")


@pytest.fixture
def golden_dir() -> pathlib.Path:
    """Folder with golden metric values; the test is skipped without it."""
    return _directory("EGMT_GOLDEN_DIR")


@pytest.fixture
def annotations_dir() -> pathlib.Path:
    """Folder with caption and entity lists; the test is skipped without it."""
    return _directory("EGMT_ANNOTATIONS_DIR")


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> pathlib.Path:
    """Workdir of a run of six steps of a tiny model."""
    from configs import base
    from egmt_jax.training.loop import train

    folder = tmp_path_factory.mktemp("run")
    config = base.get_config()
    config.data.update(name="entity_scenes/tiny", data_dir=str(folder / "tfds"), crop=32)
    config.model.update(width=8, tokens=16, token_blocks=1, heads=2, dimension=8)
    # What takes longest to compile.
    config.loss.update(information=0.0, complementarity=0.0, structure=0.0, prominence=0.0)
    config.optimizer.update(steps=6, warmup=2)
    train(config, folder)
    return folder
