"""Export and evaluation of a split; `egmt metrics` gives the same table."""

import csv
import json
import shutil

import numpy as np
import pytest

import tfds_builders  # noqa: F401  (registers the data sets)
from egmt_jax.cli.main import main
from egmt_jax.data import datasets, pipeline
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.evaluation import splits
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io import images
from egmt_jax.metrics import METRICS
from egmt_jax.training import validation
from egmt_jax.training.loop import train
from egmt_jax.weights.checkpoint import load_model


@pytest.fixture(scope="module")
def run(trained):
    """Config and workdir of a run, its contact sheet, and its table."""
    config = load_model(trained)[2]
    sheet = splits.export(config, trained)
    return config, trained, sheet, splits.evaluate(config, trained)


def pairs_of(config):
    data_set = datasets.open_set(config.data.name, config.data)
    source = datasets.records(data_set, config.data.test_split)
    return {pair.id: pair for pair in (pipeline.to_pair(source[k]) for k in range(len(source)))}


def exported(workdir, kind, split="test"):
    folder = workdir / "export" / "entity_scenes" / "tiny" / split / kind
    return {path.stem: path for path in folder.iterdir()}


def test_every_pair_is_exported_by_id_in_grey_and_in_colour(run):
    config, workdir, sheet, _ = run
    assert images.read_image(sheet).shape[2] == 3
    pairs = pairs_of(config)
    grey, color = exported(workdir, "grey"), exported(workdir, "color")
    assert set(grey) == set(color) == set(pairs)
    for name, pair in pairs.items():
        luma = images.read_image(grey[name])
        assert luma.shape == (*pair.visible.shape[:2], 1)
        expected = images.with_chroma(luma[..., 0], pair.visible)
        np.testing.assert_array_equal(images.read_image(color[name]), expected)


def test_evaluation_writes_a_table_rows_and_a_record(run):
    config, workdir, _, table = run
    folder = workdir / "evaluate" / "entity_scenes" / "tiny" / "test"
    assert (folder / "table.md").read_text() == table
    assert "| egmt |" in table
    assert "| average |" in table
    assert "normalised gain" in table
    rows = list(csv.DictReader((folder / "per_image.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == sorted(pairs_of(config))
    results = json.loads((folder / "results.json").read_text())
    assert results["config"]["optimizer"]["steps"] == 6
    assert results["versions"]["jax"]
    mean = np.mean([float(row["VIF"]) for row in rows])
    assert results["metrics"]["egmt"]["VIF"] == pytest.approx(mean, rel=1e-5)
    assert 0.0 <= results["classifier"]["mAP"] <= 1.0


def test_the_metrics_command_gives_the_same_rows_and_table(run, tmp_path, capsys):
    config, workdir, _, table = run
    for name, pair in pairs_of(config).items():
        images.write_png(tmp_path / "vi" / f"{name}.png", pair.visible)
        images.write_png(tmp_path / "ir" / f"{name}.png", pair.infrared)
    grey = workdir / "export" / "entity_scenes" / "tiny" / "test" / "grey"
    arguments = ["--visible", str(tmp_path / "vi"), "--infrared", str(tmp_path / "ir")]
    out = tmp_path / "table.csv"
    assert main(["metrics", "--fused", f"egmt={grey}", *arguments, "--out", str(out)]) == 0
    folder = workdir / "evaluate" / "entity_scenes" / "tiny" / "test"
    assert out.read_text() == (folder / "per_image.csv").read_text()

    def values(text):
        line = next(line for line in text.splitlines() if line.startswith("| egmt |"))
        cells = [cell.strip(" *</>u") for cell in line.split("|")[2:]]
        return [cell for cell in cells if cell][:14]

    assert values(capsys.readouterr().out) == values(table)


@pytest.mark.slow
def test_the_best_model_is_used_on_request(run, tmp_path, monkeypatch):
    config, workdir, _, _ = run
    with pytest.raises(UserError, match="no best model"):
        splits.evaluate(config, workdir, best=True)
    config = config.copy_and_resolve_references()
    config.optimizer.steps, config.evaluation.every = 4, 2
    values = iter([0.9, 0.5])
    monkeypatch.setattr(
        validation, "score_model", lambda model, pairs, policy: dict.fromkeys(METRICS, next(values))
    )
    train(config, tmp_path)
    newest = [images.read_image(path) for path in pictures(config, tmp_path)]
    best = [images.read_image(path) for path in pictures(config, tmp_path, best=True)]
    assert any((one != other).any() for one, other in zip(newest, best, strict=True))
    fuser = Fuser(load_model(tmp_path, best=True)[0], load_vocabulary().names)
    _, pair = min(pairs_of(config).items())
    expected = images.to_uint8(fuser(pair.visible, pair.infrared).luma)
    np.testing.assert_array_equal(best[0][..., 0], expected)


def pictures(config, workdir, best=False):
    """The exported grey pictures in order of id."""
    splits.export(config, workdir, best)
    split = "test-best" if best else "test"
    return [path for _, path in sorted(exported(workdir, "grey", split).items())]


def test_a_split_that_was_trained_on_gives_a_warning(run, tmp_path, caplog):
    config, workdir, _, _ = run
    shutil.copytree(workdir / "checkpoints", tmp_path / "checkpoints")
    splits.export(config, tmp_path)
    assert "overlaps the split" not in caplog.text
    for split in ("train[:2]", "train"):
        other = config.copy_and_resolve_references()
        other.data.test_split = split
        caplog.clear()
        splits.export(other, tmp_path)
        assert "which overlaps the split train" in caplog.text


def test_invalid_configs_are_errors(run):
    config, workdir, _, _ = run
    other = config.copy_and_resolve_references()
    other.data.test_split = "dev"
    with pytest.raises(UserError, match="'dev'"):
        splits.evaluate(other, workdir)
    other.data.test_split, other.evaluation.guidance = "test", "sentence"
    with pytest.raises(UserError, match="known are predicted, own, shuffled, none"):
        splits.evaluate(other, workdir)
