"""Every config: a docstring with its command, a form that `launch.py` and the package can use."""

import importlib
import pathlib
import subprocess
import sys

import pytest
from ml_collections import ConfigDict

from configs import base
from egmt_jax.data import mixtures
from egmt_jax.testing import text_features
from egmt_jax.training.checkpoints import build_model
from egmt_jax.training.step import Objective

ROOT = pathlib.Path(__file__).parents[1]
NAMES = sorted({path.stem for path in (ROOT / "configs").glob("[a-z]*.py")} - {"variants"})


def module_of(name):
    return importlib.import_module(f"configs.{name}")


def test_the_configs_of_the_paper_are_there():
    assert {"base", "demo", "tno", "roadscene", "m3fd", "msrs", "all", "folder"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_tells_the_command(name):
    text = module_of(name).__doc__
    assert module_of(name).get_config.__doc__
    if name != "base":
        assert f"python launch.py --config=configs/{name}.py" in text
        assert f"--workdir=runs/{'own' if name == 'folder' else name}" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_config_has_the_fields_of_base_and_no_others(name):
    config = module_of(name).get_config()
    mixture, expected = config.data.mixture, base.get_config()
    config.data.mixture = {}
    assert keys(config) == keys(expected)
    for entry in mixture.values():
        assert {"name", "weight"} <= set(entry) <= {"name", "weight", "whole", "detail"}
    config.lock()
    with pytest.raises((AttributeError, KeyError), match="stepps"):
        config.optimizer.stepps = 3
    with pytest.raises(TypeError):
        config.optimizer.steps = "many"


def keys(config):
    return {
        name: keys(value) if isinstance(value, ConfigDict) else type(value)
        for name, value in config.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_config_makes_a_model_an_objective_and_names_known_sets(name, monkeypatch):
    config = module_of(name).get_config()
    Objective(weights=config.loss.to_dict(), **config.guidance)
    if name in ("base", "demo"):  # the two sizes
        build_model(config.model, text_features(6, 12))
    opened = []
    monkeypatch.setattr(mixtures.datasets, "open_set", lambda name, data: opened.append(name))
    mixture = mixtures.open_mixture(config.data)
    assert len(mixture) == len(opened) > 0
    known = {"folder", "entity_scenes", "m3fd", "msrs", "roadscene", "tno"}
    assert {name.partition("/")[0] for name in opened} <= known


def launch(*arguments):
    return subprocess.run(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_missing_files_end_the_program_with_what_to_put_where_and_no_traceback(tmp_path):
    done = launch(
        "--config=configs/m3fd.py",
        f"--config.data.manual_dir={tmp_path / 'none'}",
        f"--config.data.data_dir={tmp_path / 'tfds'}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("launch.py: m3fd: ")
    assert str(tmp_path / "none") in message
    assert "unpack `M3FD_Fusion.zip`" in message


def test_weights_of_a_mixture_are_set_on_the_command_line_and_unknown_fields_refused():
    done = launch(
        "--config=configs/all.py",
        "--config.data.mixture.tno.weight=0",
        "--config.data.mixture.tno.wait=0",
        "--workdir=unused",
    )
    assert done.returncode == 1
    assert "wait" in done.stderr
    assert "Traceback" not in done.stderr
