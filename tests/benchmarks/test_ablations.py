import argparse
import json
import pathlib

import ablation_config
import ablations
import numpy as np
import pytest
from ablation_report import SAME, gains, write_report
from ablation_scores import METRICS, SETS, guidances, guide, score_classifier

from configs.variants import VARIANTS, count_parameters
from egmt_jax.data.pipeline import Pair
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.metrics.classification import classification_scores
from egmt_jax.testing import made_up_pair, text_features, tiny_model


def pairs(count=6, size=(48, 64), entities=("person", "car", "tree")):
    """The k-th has the k-th entity and the first."""
    found = []
    for k in range(count):
        visible, infrared = made_up_pair(*size, seed=k)
        names = tuple(dict.fromkeys((entities[k % len(entities)], entities[0])))
        found.append(Pair(str(k), visible, infrared, names, None))
    return found


def fuser():
    names = load_vocabulary().names
    return Fuser(tiny_model(text_features(len(names))), names)


def result(shift=0.0, ways=("given",), seed=0):
    """Scores of a made-up run whose pictures are better than the full model's by `shift`."""
    rng = np.random.default_rng(9)  # the same images for every run
    values = rng.uniform(0.4, 0.6, (4, len(METRICS)))
    values += shift + 0.001 * np.random.default_rng(seed).normal(size=values.shape)
    scores = {
        f"{k}": dict(zip(METRICS, map(float, row), strict=True)) for k, row in enumerate(values)
    }
    labels = [True, False, False, True, False]
    entity = {"AP": 0.7, "prevalence": 0.4, "positives": 2, "labels": labels}
    entity["probabilities"] = [0.9, 0.8, 0.1, 0.2, 0.3]
    steered = [
        {"id": str(k), "entity": "car", "absent": "dog", "named": 0.2 + shift, "not_named": 0.2}
        for k in range(3)
    ]
    return {
        "steps": 20,
        "crop": 96,
        "pictures": {way: dict.fromkeys(SETS, scores) for way in ways},
        "classifier": {"pairs": 5, "entities": {"car": entity}},
        "steering": steered,
        "steering_outlined": steered,
        "environment": {"commit": "abc"},
    }


@pytest.fixture
def results(tmp_path):
    """Results of the full model, of one that is better, and of one that is as good."""
    folder = tmp_path / "results"
    folder.mkdir()
    for seed in range(2):
        made = {
            "full": result(ways=("given", "self", "none"), seed=seed),
            "average_attention": result(0.1, seed=seed),
            "no_classification": result(seed=seed),
        }
        for variant, content in made.items():
            (folder / f"{variant}-{seed}.json").write_text(json.dumps(content))
    return folder


def test_the_page_tells_where_a_variant_is_better_and_where_nothing_can_be_told(results, tmp_path):
    write_report(results, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    (better,) = (
        line for line in page.splitlines() if line.startswith("| average_attention (given)")
    )
    assert better.count(f"higher: {' '.join(METRICS)} |") == len(SETS)
    (same,) = (line for line in page.splitlines() if line.startswith("| no_classification (given)"))
    assert same.endswith("| nothing | nothing | nothing |")
    assert page.count(SAME) > 27
    one = results / "average_attention-1.json"
    far = result(3.0, seed=1)  # two seeds of which one is far off: a chance of training
    one.write_text(json.dumps(far))
    write_report(results, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    (unclear,) = (line for line in page.splitlines() if line.startswith("| average_attention (g"))
    assert unclear.endswith("| nothing | nothing | nothing |")


def test_the_page_counts_no_change_of_contrast_as_half(results, tmp_path):
    write_report(results, tmp_path / "page.md")
    rows = [
        line
        for line in (tmp_path / "page.md").read_text().splitlines()
        if "grey levels" not in line
    ]
    assert "| full | 3 | 0.00 [0.00, 0.00] | 0.00 0.00 | 50 % [50, 50] | 50 50 |  |" in rows
    assert any(line.startswith("| average_attention | 3 | 25.50") for line in rows)


def test_real_pairs_are_told_of_where_every_run_was_scored_on_outlines(results, tmp_path):
    section = "### Real pairs, in the entity's outline"
    write_report(results, tmp_path / "page.md")
    assert section in (tmp_path / "page.md").read_text()
    older = result(ways=("given", "self", "none"), seed=1)
    del older["steering_outlined"]
    (results / "full-1.json").write_text(json.dumps(older))
    write_report(results, tmp_path / "page.md")
    assert section not in (tmp_path / "page.md").read_text()


def test_the_gain_of_the_page_is_that_of_the_library():
    run = result()
    entity = run["classifier"]["entities"]["car"]
    expected = classification_scores(
        np.asarray(entity["probabilities"])[:, None], np.asarray(entity["labels"])[:, None]
    )["gain"]
    np.testing.assert_allclose(gains(run, np.arange(5)[None]), [expected])


def test_no_finished_run_gives_no_page(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        write_report(tmp_path, tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()


@pytest.mark.parametrize("variant", ["", *VARIANTS])
def test_every_variant_of_the_config_is_scored_under_a_guidance_it_was_trained_for(variant):
    config = ablation_config.get_config(variant)
    ways = guidances(config)
    assert ("self" in ways) == (config.guidance.self_guided > 0.0)
    assert (ways == ("none",)) == (config.model.entity_level == "none")


def test_the_widened_variant_is_as_large_as_the_tiny_model_of_the_ablations():
    full = count_parameters(ablation_config.get_config())
    assert 0.99 * full < count_parameters(ablation_config.get_config("same_parameters")) <= full


def test_ways_of_guidance_reach_the_fuser():
    found = pairs(3)
    assert [entities for _, entities in guide(found, "none")] == [()] * 3
    assert [entities for _, entities in guide(found, "self")] == [None] * 3
    assert [entities for _, entities in guide(found, "given")] == [x.entities for x in found]
    shuffled = [entities for _, entities in guide(found, "shuffled")]
    assert shuffled == [found[k].entities for k in (1, 2, 0)]
    assert [entities for _, entities in guide(found[:1], "shuffled")] == [()]


@pytest.mark.slow
def test_only_entities_with_enough_positives_that_are_rare_enough_are_scored():
    found = pairs(15, size=(32, 32))
    scores = score_classifier(fuser(), found)
    assert scores["pairs"] == 15
    assert set(scores["entities"]) == {"car", "tree"}  # persons are in every pair
    assert scores["entities"]["car"]["prevalence"] == pytest.approx(1 / 3)


def arguments(tmp_path, **changes):
    fields = dict(steps=20, crop=96, seeds=2, variants="full,no_entities", workdir=tmp_path)
    fields |= dict(data_dir=None, manual_dir=None, page=tmp_path / "page.md")
    return argparse.Namespace(**(fields | changes))


@pytest.fixture
def commands(monkeypatch):
    """Those that the queue would run; scoring leaves a result, training of no_entities fails."""
    seen = []

    def start(command, log, cache):
        seen.append(command)
        config = next((part for part in command if part.startswith("--config=")), "")
        if config.endswith(":no_entities"):
            return "exit status 1: no room"
        for part in command:
            if part.startswith("--out="):
                out = pathlib.Path(part.removeprefix("--out="))
                out.parent.mkdir(exist_ok=True)
                out.write_text(json.dumps(result()))
        return None

    monkeypatch.setattr(ablations, "start", start)
    return seen


def test_the_queue_goes_on_after_a_failure_and_leaves_finished_runs_alone(
    tmp_path, commands, capsys
):
    assert ablations.run_all(arguments(tmp_path)) == ["no_entities-0"]
    assert sorted(path.stem for path in (tmp_path / "results").iterdir()) == ["full-0", "full-1"]
    assert "no_entities-0: not finished, exit status 1: no room" in capsys.readouterr().out
    commands.clear()
    assert ablations.run_all(arguments(tmp_path, variants="full")) == []
    assert commands == []


def test_results_of_other_settings_are_not_mixed(tmp_path, commands):
    ablations.run_all(arguments(tmp_path, variants="full"))
    with pytest.raises(UserError, match="--steps=20, not 30"):
        ablations.run_all(arguments(tmp_path, steps=30))


def test_an_unknown_variant_is_refused():
    with pytest.raises(UserError, match="no variant 'no_text'; known are full, no_entities"):
        ablations.chosen_variants("full,no_text")
