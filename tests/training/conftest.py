"""Rendered scenes, a config small enough for a test, and runs as separate processes."""

import os
import pathlib
import runpy
import subprocess
import sys

import pytest

import tfds_builders  # noqa: F401  (registers the data sets with TFDS)
from egmt_jax.data import datasets
from egmt_jax.training.loop import train

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = pathlib.Path(__file__).with_name("tiny.py")


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory):
    """A prepared `entity_scenes/tiny`."""
    folder = tmp_path_factory.mktemp("tfds")
    datasets.prepare("entity_scenes/tiny", str(folder))
    return folder


@pytest.fixture
def config(scenes_dir):
    """Six steps of a tiny model on tiny scenes, without pictures and evaluations."""
    config = runpy.run_path(str(TINY))["get_config"]()
    config.data.data_dir = str(scenes_dir)
    return config


@pytest.fixture(scope="session")
def straight(scenes_dir, tmp_path_factory):
    """Workdir of an uninterrupted run; do not change it."""
    folder = tmp_path_factory.mktemp("straight")
    config = runpy.run_path(str(TINY))["get_config"]()
    config.data.data_dir = str(scenes_dir)
    train(config, folder)
    return folder


@pytest.fixture
def launch(scenes_dir, tmp_path_factory):
    """Starts `launch.py` on the tiny config; `finish` waits for it.

    Call it with the workdir, more arguments, and the number of CPU devices.
    """
    running = []

    def start(workdir, *arguments, devices=1):
        environment = os.environ | {
            "JAX_NUM_CPU_DEVICES": str(devices),
            "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "compiled"),
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
            "JAX_PLATFORMS": "cpu",
        }
        command = [
            sys.executable,
            str(ROOT / "launch.py"),
            f"--config={TINY}",
            f"--config.data.data_dir={scenes_dir}",
            f"--workdir={workdir}",
            *arguments,
        ]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def finish():
    """Waits for a process and returns its exit code and output."""

    def wait(process, seconds=900):
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output

    return wait
