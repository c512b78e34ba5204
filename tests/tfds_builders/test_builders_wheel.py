"""The builders work from an installed wheel, far from the source tree."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from egmt_jax.testing import write_pairs

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import tensorflow_datasets as tfds
import tfds_builders
assert tfds_builders.__file__.startswith(sys.argv[1]), tfds_builders.__file__
assert tfds.builder("entity_scenes", data_dir="data").info.description
for name in ("m3fd/detection", "roadscene", "tno", "msrs"):
    builder = tfds.builder(name, data_dir="data")
    config = tfds.download.DownloadConfig(manual_dir="manual")
    builder.download_and_prepare(download_config=config)
    example = builder.as_data_source("train")[0]
    assert example["entities"], name
    assert example["visible"].shape == (24, 32, 3), example["visible"].shape
    assert builder.info.citation and builder.info.description
    counts = len(builder.annotations), len(builder.regions)
    print("prepared", name, example["id"].decode(), *counts)
"""


@pytest.mark.slow
def test_builders_run_from_a_wheel_in_an_empty_folder(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    # Older setuptools cannot build a wheel without help; then pip fetches what it needs.
    able = importlib.util.find_spec("setuptools.command.bdist_wheel")
    build = [*offline, "--no-build-isolation"] if able else ["--no-deps"]
    # The build writes beside its sources, so it gets a copy of them.
    source = tmp_path / "source"
    for name in ("egmt_jax", "tfds_builders"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels, site, empty = tmp_path / "wheels", tmp_path / "site", tmp_path / "empty"
    subprocess.run([*pip, "wheel", *build, "-w", str(wheels), str(source)], check=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(wheel)], check=True)
    for name, pair_id in (
        ("m3fd", "00001"),
        ("roadscene", "FLIR_00018"),
        ("tno", "COCO_TNO_002"),
        ("msrs", "00056D"),
    ):
        folder = empty / "manual" / name
        write_pairs(folder / "vi", folder / "ir", [pair_id])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(site)],
        cwd=empty, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("prepared")]
    assert said == [
        "prepared m3fd/detection 00001 52 0",
        "prepared roadscene FLIR_00018 221 150",
        "prepared tno COCO_TNO_002 56 17",
        "prepared msrs 00056D 1444 299",
    ]
