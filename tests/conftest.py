"""Strict numerics for every test, eight CPU devices, and the fixtures for real pairs."""

import os
import pathlib

import jax
import pytest
from etils import epath
from flax import nnx

from egmt_jax.testing import TINY, text_features, tiny_model

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests compile much and compute little: without most optimisations they are faster.
jax.config.update("jax_disable_most_optimizations", True)
# Many tests compile the same training step. One cache per worker: reading an entry that another
# process is writing gives a warning.
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
def fuser():
    """A `Fuser` of a tiny model that knows the packaged vocabulary, with one small tile."""
    from egmt_jax.entities import load_vocabulary
    from egmt_jax.inference.fuser import Fuser

    names = load_vocabulary().names
    return Fuser(tiny_model(text_features(len(names))), names, tile=((64, 80),))


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> pathlib.Path:
    """Workdir with a checkpoint of a tiny model, as a run of six steps leaves it."""
    from configs import base
    from egmt_jax.entities import load_text_features, load_vocabulary
    from egmt_jax.training.checkpoints import Checkpoints
    from egmt_jax.training.step import initial_state, make_optimizer

    folder = tmp_path_factory.mktemp("run")
    config = base.get_config()
    config.data.update(name="entity_scenes/tiny", data_dir=str(folder / "tfds"), crop=32)
    config.optimizer.update(steps=6, warmup=2)
    config.model.update(TINY)
    model = tiny_model(load_text_features(config.text_features).features)
    _, params, constants = nnx.split(model, nnx.Param, ...)
    state = initial_state(nnx.to_pure_dict(params), make_optimizer(1e-3, 2, 6, 0.0, 1.0))
    names, constants = load_vocabulary().names, nnx.to_pure_dict(constants)
    checkpoints = Checkpoints(epath.Path(folder), config, names, [], constants, state)
    checkpoints.save(state, 6)
    checkpoints.finish()
    return folder
