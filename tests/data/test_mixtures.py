"""Mixtures: weights of the sets, label statistics, checks of entries."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import tfds_builders  # noqa: F401  (registers the data sets)
from configs import base
from egmt_jax.data import mixtures, pipeline
from egmt_jax.data.examples import Targets
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair

VOCABULARY = load_vocabulary()
ROOT = pathlib.Path(__file__).parents[2]

DIGESTS = """
import hashlib, sys
from absl import flags
import numpy as np
from configs import base
from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_vocabulary

if __name__ == "__main__":
    flags.FLAGS(sys.argv[:1])  # grain's worker processes read flags
    config = base.get_config()
    config.data.update(name="folder", root=sys.argv[1], view=32, crop=16)
    mixture = mixtures.open_mixture(config.data)
    parts = mixtures.training_parts(mixture, config.data, load_vocabulary())
    for workers in (0, 2):
        batches = iter(pipeline.training_batches(parts, 4, 3, workers))
        digest = hashlib.sha256()
        for _ in range(5):
            batch = next(batches)
            for name in sorted(batch):
                digest.update(np.ascontiguousarray(batch[name]).tobytes())
        print(digest.hexdigest())
"""


def folder_of(root, count, prefix="p", level=None):
    for number in range(count):
        visible, infrared = made_up_pair(24, 30, number)
        if level is not None:
            visible[:], infrared[:] = level, level
        images.write_png(root / "vi" / f"{prefix}{number}.png", visible)
        images.write_png(root / "ir" / f"{prefix}{number}.png", infrared)
    return root


def records(count, level):
    image = np.full((24, 30, 3), level, np.uint8)
    return [
        {
            "id": b"%d" % k,
            "visible": image,
            "infrared": image[..., :1],
            "entities": [b"person"],
            "present": [],
            "has_present": False,
            "mask_entities": [],
            "masks": [],
            "mask_kind": b"none",
        }
        for k in range(count)
    ]


def parts():
    def augment():  # each set has target pictures of its own
        return pipeline.Augment(32, 16, 2, VOCABULARY, Targets(1.0))

    return [
        pipeline.Part(records(count, level), augment(), weight)
        for count, level, weight in [(3, 50, 1.0), (40, 100, 3.0), (7, 200, 4.0)]
    ]


def first(batches, count):
    iterator = iter(batches)
    return [next(iterator) for _ in range(count)]


def test_each_batch_contains_every_set_by_weight():
    for batch in first(pipeline.training_batches(parts(), 16, 0), 4):
        levels = batch["visible"].mean(axis=(1, 2, 3, 4)).astype(int)
        assert [np.sum(levels == level) for level in (50, 100, 200)] == [2, 6, 8]


def test_a_mixture_of_one_is_that_set():
    one = first(pipeline.training_batches(parts()[1:2], 4, 0), 10)
    assert all((batch["visible"] == 100).all() for batch in one)


@pytest.mark.parametrize("processes", [2, 4])
def test_shares_of_processes_concatenate_to_the_batches_of_one_process(processes):
    data = [
        pipeline.Part(
            [dict(r, visible=v, infrared=i) for r, (v, i) in zip(part.records, pairs, strict=True)],
            part.transform,
            part.weight,
        )
        for part in parts()
        for pairs in [[made_up_pair(24, 30, k) for k in range(len(part.records))]]
    ]
    full = first(pipeline.training_batches(data, 8, 5), 3)
    shares = [
        first(pipeline.training_batches(data, 8, 5, share=(process, processes)), 3)
        for process in range(processes)
    ]
    for batch, *split in zip(full, *shares, strict=True):
        for name, expected in batch.items():
            together = np.concatenate([share[name] for share in split])
            np.testing.assert_array_equal(together, expected, name)
    with pytest.raises(UserError, match=r"data\.batch_size=8 must be a multiple of 3"):
        pipeline.training_batches(data, 8, 5, share=(0, 3))


def test_worker_processes_do_not_change_batches(tmp_path):
    folder_of(tmp_path / "pairs", 5)
    script = tmp_path / "digests.py"
    script.write_text(DIGESTS)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "pairs")],
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    in_threads, in_processes = done.stdout.split()[-2:]
    assert in_threads == in_processes
    assert len(in_threads) == 64


@pytest.fixture
def data(tmp_path):
    """A folder of four pairs, two of them labelled, and a small rendered set."""
    folder_of(tmp_path / "own", 4)
    (tmp_path / "own" / "annotations.jsonl").write_text(
        '{"id": "p0", "entities": ["person"]}\n{"id": "p1", "entities": ["person", "car"]}'
    )
    data = base.get_config().data
    data.update(root=str(tmp_path / "own"), data_dir=str(tmp_path / "tfds"), crop=16)
    return data


def test_labels_shares_and_descriptions_follow_the_mixture(data):
    data.mixture = {
        "own": {"name": "folder", "weight": 3.0},
        "scenes": {"name": "entity_scenes/tiny", "weight": 1.0},
        "absent": {"name": "m3fd", "weight": 0.0},
    }
    mixture = mixtures.open_mixture(data)
    assert [component.weight for component in mixture] == [3.0, 1.0]
    labels, shares = mixtures.read_labels(mixture, "train", VOCABULARY)
    assert labels[:4].sum(axis=1).tolist() == [1.0, 2.0, 0.0, 0.0]
    assert shares.mean() == pytest.approx(1.0)
    assert shares[:4].sum() / shares.sum() == pytest.approx(0.75)
    built = mixtures.training_parts(mixture, data, VOCABULARY)
    assert [(part.weight, part.transform.crop) for part in built] == [(3.0, 16), (1.0, 16)]
    first_set, second_set = mixtures.describe(mixture, "train")
    assert re.fullmatch(r"folder own [0-9a-f]{12}, 4 pairs in train, weight 3", first_set)
    assert re.match(r"entity_scenes/tiny/\d+\.\d+\.\d+", second_set)


def test_names_outside_the_vocabulary_are_listed_before_training():
    def mixture(*names):
        found = [dict(records(1, 9)[0], id=b"%d" % k, entities=[n]) for k, n in enumerate(names)]
        data_set = pipeline.DataSet("own", "in/own", {"train": len(found)}, lambda *_: found)
        return [mixtures.Component(data_set, 1.0)]

    labels, _ = mixtures.read_labels(mixture(b"car", b"cars"), "train", VOCABULARY)
    assert (labels.sum(axis=1) == 1.0).all()
    with pytest.raises(
        UserError, match=r"^own: correct its annotations, or delete in/own"
    ) as error:
        mixtures.read_labels(mixture(b"car", *[b"zebra"] * 60), "train", VOCABULARY)
    lines = str(error.value).splitlines()
    assert lines[3].startswith("  pair 3: entity 'zebra' is not in the vocabulary")
    assert (len(lines), lines[-1]) == (52, "  and 10 more")


def test_the_description_changes_with_any_file_of_a_folder(data):
    data.name = "folder"
    before = mixtures.describe(mixtures.open_mixture(data), "train")
    visible, _ = made_up_pair(24, 30, 99)
    images.write_png(pathlib.Path(data.root, "vi", "p3.png"), visible)
    changed = mixtures.describe(mixtures.open_mixture(data), "train")
    pathlib.Path(data.root, "annotations.jsonl").write_text('{"id": "p0", "entities": ["car"]}')
    assert len({*before, *changed, *mixtures.describe(mixtures.open_mixture(data), "train")}) == 3


def test_samples_come_from_the_sets_with_the_split(data):
    data.mixture = {
        "own": {"name": "folder", "weight": 1.0},
        "scenes": {"name": "entity_scenes/tiny", "weight": 1.0},
    }
    mixture = mixtures.open_mixture(data)
    assert len(mixtures.sample_pairs(mixture, "validation", 4)) == 4
    assert mixtures.sample_pairs(mixture[:1], "validation", 4) == []
    names = {pair.id for pair in mixtures.sample_pairs(mixture, "train", 4)}
    assert len(names & {"p0", "p1", "p2", "p3"}) == 2


def test_wrong_entries_are_all_named(data):
    data.mixture = {
        "a": {"name": "folder", "weight": -1.0},
        "b": {"weight": float("nan")},
        "c": {"name": "folder", "weight": 1.0, "shuffle": True},
    }
    with pytest.raises(UserError) as error:
        mixtures.open_mixture(data)
    for part in (
        "data.mixture.a.weight=-1.0 must be at least 0",
        "data.mixture.b.name is missing",
        "data.mixture.b.weight=nan must be at least 0",
        "data.mixture.c.shuffle: unknown; known fields are name, weight",
    ):
        assert part in str(error.value)


def test_a_mixture_without_weight_is_refused(data):
    data.mixture = {"own": {"name": "folder", "weight": 0.0}}
    with pytest.raises(UserError, match="all weights are 0"):
        mixtures.open_mixture(data)


def test_all_missing_sets_are_named_at_once(data, tmp_path):
    data.mixture = {name: {"name": name, "weight": 1.0} for name in ("m3fd", "tno", "folder")}
    data.update(manual_dir=str(tmp_path / "nowhere"), root="")
    with pytest.raises(UserError) as error:
        mixtures.open_mixture(data)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("data.root is empty; set it to a folder")
    assert "M3FD_Fusion.zip" in lines[1]
    assert "Put folders `ir/` and `vi/`" in lines[2]
