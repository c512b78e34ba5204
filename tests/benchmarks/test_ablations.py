import argparse

import ablations
import pytest
from evidence import RANKED, SETS, UserError, write_json


def result(shift=0.0, launch=()):
    return {
        "metrics": {name: dict.fromkeys(RANKED, 1.0 + shift) for name in SETS},
        "classifier": {"gain": None},
        "steering": {"rendered scenes": {"change": 2.0 + shift}, "real pairs": {}},
        "launch": list(launch),
    }


def arguments(folder, **changes):
    fields = dict(config="configs/all.py", seeds=2, variants="full,no_entities,no_scenes")
    fields |= dict(workdir=folder, data_dir="", manual_dir="", launch=["--config.seed=7"])
    return argparse.Namespace(**(fields | changes))


@pytest.fixture
def commands(monkeypatch):
    """Replaces the processes: scoring writes a result, training of no_entities fails."""
    seen = []

    def run(command, log):
        seen.append(command)
        if "--config=configs/all.py:no_entities" in command and command[0] == "launch.py":
            raise UserError("exit status 1: no memory")
        for part in command:
            if part.startswith("--score="):
                path = ablations.pathlib.Path(part.removeprefix("--score="), ablations.RESULTS)
                write_json(path, result(launch=command[command.index("--") + 1 :]))

    monkeypatch.setattr(ablations, "run", run)
    return seen


def test_runs_continue_after_a_failure_and_finished_ones_are_skipped(tmp_path, commands, capsys):
    found = ablations.run_all(arguments(tmp_path))
    assert {name: len(each) for name, each in found.items()} == {"full": 2, "no_scenes": 2}
    assert "no_entities-1: exit status 1: no memory" in capsys.readouterr().err
    trained = [command for command in commands if command[0] == "launch.py"]
    assert f"--workdir={tmp_path / 'full-0'}" in trained[0]
    assert trained[0][1:3] == ["--config=configs/all.py", "--config.seed=0"]
    assert "--config.data.mixture.entity_scenes.weight=0" in trained[2]
    commands.clear()
    assert ablations.run_all(arguments(tmp_path, variants="full,no_scenes")) == found
    assert commands == []


def test_results_of_other_arguments_are_not_mixed(tmp_path, commands):
    ablations.run_all(arguments(tmp_path, variants="full"))
    with pytest.raises(UserError, match=r"full-0.*use another DIR"):
        ablations.run_all(arguments(tmp_path, variants="full", launch=[]))


def test_report_marks_differences_beyond_the_spread_between_seeds():
    results = {
        "full": [result(0.0), result(0.01)],
        "no_entities": [result(0.5), result(0.51)],
        "no_scenes": [result(0.011), result(0.0)],
    }
    full, better, same = ablations.report(results).splitlines()[2:]
    assert full.startswith("| full | 2 | 1.005 ± 0.007 |")
    assert better.count("**1.505 ± 0.007**") == len(RANKED)
    assert "**2.505 ± 0.007**" in better
    assert "**" not in full + same


def test_a_failed_process_is_reported_with_its_last_line(tmp_path):
    with pytest.raises(UserError, match=r"exit status 2: .*can't open file"):
        ablations.run(["missing.py"], tmp_path / "log.txt")


def test_unknown_variant_is_refused():
    with pytest.raises(UserError, match="no variant 'no_text'; known are full, no_entities"):
        ablations.chosen_variants("full,no_text")
