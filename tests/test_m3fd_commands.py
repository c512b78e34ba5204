"""`configs/m3fd.py` as a user types it, on a folder that holds a part of the set."""

import gzip
import json
import os
import pathlib
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import tfds_builders  # noqa: F401  (registers the data sets with TFDS)
from egmt_jax.data import datasets, pipeline
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.models import Guidance
from egmt_jax.testing import TINY

ROOT = pathlib.Path(__file__).parents[1]
SMALL = {
    **{f"model.{name}": value for name, value in TINY.items()},
    **{"data.view": 96, "data.crop": 32, "data.crops": 1, "data.batch_size": 2},
    **{"optimizer.steps": 3, "log.every": 1, "log.pictures_every": 0, "evaluation.every": 0},
}


def launch(folder, mode, name):
    flags = SMALL | {"data.name": name, "data.data_dir": folder / "tfds", "data.manual_dir": folder}
    command = [sys.executable, "launch.py", "--config=configs/m3fd.py", f"--mode={mode}"]
    command += [f"--workdir={folder / 'run'}", *(f"--config.{k}={v}" for k, v in flags.items())]
    fast = {"JAX_NUM_CPU_DEVICES": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | fast, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_annotation(path, boxes):
    """A Pascal VOC file, as the set's authors publish it."""
    names = {"person": "People", "street lamp": "Lamp"}
    root = ElementTree.Element("annotation")
    for entity, left, top, width, height in boxes:
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = names.get(entity, entity.capitalize())
        box = ElementTree.SubElement(item, "bndbox")
        corners = {"xmin": left, "ymin": top, "xmax": left + width, "ymax": top + height}
        for key, value in corners.items():
            ElementTree.SubElement(box, key).text = str(value)
    ElementTree.ElementTree(root).write(path)


@pytest.fixture(params=["fusion", "detection"])
def part(request, tmp_path, data_dir, annotations_dir):
    """The name of a config, and a folder with 30 pairs laid out as that archive unpacks."""
    folder = tmp_path / f"M3FD_{request.param.capitalize()}"
    folder.mkdir()
    for published, own in (("Vis", "vi"), ("Ir", "ir")):
        (folder / published).symlink_to(data_dir / "m3fd" / own)
    if request.param == "detection":
        (folder / "Annotation").mkdir()
        ids = {path.stem for path in (data_dir / "m3fd" / "vi").iterdir()}
        with gzip.open(annotations_dir / "m3fd_boxes.jsonl.gz", "rt") as lines:
            for line in map(json.loads, lines):
                if line["id"] in ids:
                    write_annotation(folder / "Annotation" / f"{line['id']}.xml", line["boxes"])
    return f"m3fd/{request.param}", tmp_path


def test_trains_with_entities_classifies_evaluates_and_steers(part):
    name, folder = part
    printed = launch(folder, "train", name)
    assert "classification" in printed.splitlines()[-1]
    table = launch(folder, "evaluate", name)
    assert "| egmt |" in table
    assert "normalised gain" in table

    data_set = datasets.prepare(name, str(folder / "tfds"))
    pairs = [pipeline.to_pair(record) for record in datasets.records(data_set, "all")]
    assert len(pairs) == 30
    assert all(pair.entities for pair in pairs)
    fuser = Fuser.load(folder / "run")
    pair = next(pair for pair in pairs if "car" in pair.entities)
    named, other = (
        fuser(pair.visible, pair.infrared, Guidance((entity,))).luma for entity in ("car", "bench")
    )
    assert np.abs(named - other).max() > 0.0
    rows = steering(fuser, pairs[:6])
    assert bool(rows) == (name == "m3fd/detection")  # only boxes state where an entity is
