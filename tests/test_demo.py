"""The demonstration of the README: a few steps, and in full."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import tfds_builders  # noqa: F401  (registers the data sets with TFDS)
from egmt_jax.data import datasets, pipeline
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import read_image
from egmt_jax.weights.checkpoint import load_model

ROOT = pathlib.Path(__file__).parent.parent


def launch(workdir, mode, *flags, devices=1, **environment):
    """Runs launch.py on the demo config in a separate process; returns its output."""
    command = [sys.executable, "launch.py", "--config=configs/demo.py", f"--workdir={workdir}"]
    return subprocess.run(
        [*command, f"--mode={mode}", *flags],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)} | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.mark.slow
def test_a_few_steps_end_to_end_give_the_same_loss_on_one_device_and_on_eight(tmp_path):
    small = (
        "--config.data.name=entity_scenes/tiny",
        f"--config.data.data_dir={tmp_path / 'tfds'}",
        "--config.data.batch_size=8",
        "--config.data.crop=32",
        "--config.optimizer.steps=3",
        "--config.log.pictures_every=0",
        "--config.evaluation.every=0",
    )
    # Three steps take less time than their optimisation.
    fast = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    losses = []
    for devices in (1, 8):
        printed = launch(tmp_path / str(devices), "train", *small, devices=devices, **fast)
        losses.append(float(re.search(r"\bloss (\S+?),", printed.splitlines()[-1])[1]))
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    printed = launch(tmp_path / "8", "export", *small, **fast).strip()
    assert read_image(printed.removeprefix("contact sheet: ")).shape[2] == 3
    table = launch(tmp_path / "8", "evaluate", *small, **fast)
    assert "| egmt |" in table
    assert "normalised gain" in table


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Workdir and data of the demo, trained and evaluated in full."""
    folder = tmp_path_factory.mktemp("demo")
    for mode in ("train", "evaluate"):
        launch(folder / "run", mode, f"--config.data.data_dir={folder / 'tfds'}")
    return folder


@pytest.mark.slow
def test_the_demo_beats_the_average_and_knows_its_entities(demo):
    results = json.loads(next((demo / "run" / "evaluate").rglob("results.json")).read_text())
    for name in ("VIF", "Qabf"):
        assert results["metrics"]["egmt"][name] > results["metrics"]["average"][name], name
    assert results["classifier"]["gain"] >= 0.45


@pytest.mark.slow
def test_naming_an_entity_makes_it_stand_out_in_four_scenes_of_five(demo):
    model, names, config = load_model(demo / "run")
    data_set = datasets.prepare(config.data.name, str(demo / "tfds"))
    pairs = [pipeline.to_pair(record) for record in datasets.records(data_set, "test")]
    rows = steering(Fuser(model, names), pairs)
    assert len(rows) >= 0.9 * len(pairs)
    assert np.mean([row["named"] > row["not_named"] for row in rows]) >= 0.8
