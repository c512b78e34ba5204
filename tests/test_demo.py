"""The demonstration as the README has it: a few steps always, all of it with the slow tests."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from egmt_jax.data import datasets, pipeline
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io import images
from egmt_jax.weights.checkpoint import load_model

ROOT = pathlib.Path(__file__).parent.parent


def launch(workdir, mode, *more, devices=1, **environment):
    """Runs launch.py on the demo config in a process of its own; returns what it printed."""
    command = [sys.executable, "launch.py", "--config=configs/demo.py", f"--workdir={workdir}"]
    return subprocess.run(
        [*command, f"--mode={mode}", *more],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)} | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def last_loss(printed):
    return float(re.search(r"\bloss (\S+?),", printed.splitlines()[-1])[1])


@pytest.mark.slow
def test_a_few_steps_end_to_end_give_one_loss_on_one_device_and_on_eight(tmp_path):
    small = (
        "--config.data.name=entity_scenes/tiny",
        f"--config.data.data_dir={tmp_path / 'tfds'}",
        "--config.data.crop=32",
        "--config.optimizer.steps=3",
        "--config.log.pictures_every=0",
        "--config.evaluation.every=0",
    )
    # Three steps take less time than to optimise them.
    plain = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    one = launch(tmp_path / "one", "train", *small, **plain)
    eight = launch(tmp_path / "eight", "train", *small, devices=8, **plain)
    assert last_loss(eight) == pytest.approx(last_loss(one), abs=1e-4)
    printed = launch(tmp_path / "eight", "export", *small, **plain).strip()
    assert images.read_image(printed.removeprefix("contact sheet: ")).shape[2] == 3
    table = launch(tmp_path / "eight", "evaluate", *small, **plain)
    assert "| egmt |" in table
    assert "normalised gain" in table


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, trained and evaluated in full: its workdir and its data."""
    folder = tmp_path_factory.mktemp("demo")
    data = f"--config.data.data_dir={folder / 'tfds'}"
    for mode in ("train", "evaluate"):
        launch(folder / "run", mode, data)
    return folder


@pytest.mark.slow
def test_the_trained_demo_beats_the_average_and_knows_its_entities(demo):
    results = json.loads(next((demo / "run" / "evaluate").rglob("results.json")).read_text())
    for name in ("VIF", "Qabf", "SF", "SD"):
        assert results["metrics"]["egmt"][name] > results["metrics"]["average"][name], name
    assert results["classifier"]["gain"] >= 0.3


@pytest.mark.slow
def test_naming_a_thing_makes_it_stand_out_in_four_scenes_of_five(demo):
    model, names, _ = load_model(demo / "run")
    data_set = datasets.prepare("entity_scenes/demo", str(demo / "tfds"))
    source = datasets.source(data_set, "test")
    rows = steering(Fuser(model, names), [pipeline.to_pair(record) for record in source])
    assert len(rows) >= 180
    share = np.mean([row["named"] > row["not_named"] for row in rows])
    assert share >= 0.8, share
