"""Several processes: how they start, and that a run may go on with another number of them."""

import jax
import numpy as np
import portpicker
import pytest
from training_runs import saved, steps, wait_for_step

from egmt_jax.errors import UserError
from egmt_jax.training import processes
from egmt_jax.training.logs import read_history
from egmt_jax.training.processes import only_run_in, start_processes


def together(launch, workdir, *arguments):
    """Two processes of two devices each."""
    port = portpicker.pick_unused_port()
    return [
        launch(
            workdir,
            f"--coordinator=localhost:{port}",
            "--processes=2",
            f"--process_id={number}",
            *arguments,
            devices=2,
        )
        for number in (0, 1)
    ]


def losses(workdir):
    return {row["step"]: row["loss/loss"] for row in read_history(workdir) if "loss/loss" in row}


@pytest.mark.slow
def test_runs_go_on_with_another_number_of_processes(launch, finish, tmp_path):
    one = ("--config.optimizer.steps=12", "--config.log.every=1", "--config.evaluation.every=4")
    parameters_split, batches_split = (*one, "--config.mesh.model=4"), one
    code, output = finish(launch(tmp_path / "one", *one))
    assert code == 0, output
    expected = losses(tmp_path / "one")

    # Two processes, stopped in the middle; then one goes on.
    pair = together(
        launch, tmp_path / "two_one", *parameters_split, "--config.log.pictures_every=0"
    )
    pair_stop(pair, tmp_path / "two_one", finish)
    stopped = max(steps(tmp_path / "two_one"))
    assert stopped < 12
    code, output = finish(launch(tmp_path / "two_one", *one))
    assert code == 0, output
    assert f"from step {stopped}" in output

    # One process, stopped in the middle; then two go on.
    single = launch(tmp_path / "one_two", *one)
    pair_stop([single], tmp_path / "one_two", finish)
    assert max(steps(tmp_path / "one_two")) < 12
    for process in together(launch, tmp_path / "one_two", *batches_split):
        code, output = finish(process)
        assert code == 0, output

    for name in ("two_one", "one_two"):
        found = losses(tmp_path / name)
        assert sorted(found) == sorted(expected)
        np.testing.assert_allclose(
            [found[step] for step in expected], list(expected.values()), atol=1e-4
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3),
            saved(tmp_path / "one")["params"],
            saved(tmp_path / name)["params"],
        )


def pair_stop(running, workdir, finish):
    """Stops the processes of a run by SIGTERM after a few steps."""
    wait_for_step(running[0], workdir, 3)
    for process in running:
        process.terminate()
    for process in running:
        code, output = finish(process)
        assert code == 0, output


@pytest.mark.slow
def test_a_process_that_is_refused_ends_the_others(launch, finish, tmp_path):
    with only_run_in(tmp_path):
        first, second = together(launch, tmp_path)
        code, output = finish(first)
        assert code == 1
        assert "another run trains in it" in output.splitlines()[-1]
        assert finish(second, seconds=60)[0] != 0


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given: calls.append(given))
    return calls


def test_processes_start_by_flags_on_slurm_or_alone(started, monkeypatch):
    monkeypatch.setattr(processes, "_on_tpu", lambda: False)
    start_processes(environment={})
    step = {"SLURM_STEP_NODELIST": "node[1-4]"}
    start_processes(environment=step | {"SLURM_NTASKS": "1"})
    start_processes(environment={"SLURM_NTASKS": "4"})  # a batch script, not yet srun
    assert started == []
    start_processes("host:1234", 2, 0, environment={})
    assert started == [("host:1234", 2, 0)]
    start_processes(environment=step | {"SLURM_NTASKS": "4"})
    assert started[1:] == [()]
    monkeypatch.setattr(processes, "_on_tpu", lambda: True)
    start_processes(environment={})
    assert started[2:] == [()]


def test_a_tpu_of_no_cluster_is_taken_as_the_only_machine(monkeypatch):
    def initialize():
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(processes, "_on_tpu", lambda: True)
    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    start_processes(environment={})


def test_flags_of_processes_belong_together(started):
    with pytest.raises(UserError, match="--processes is missing"):
        start_processes("host:1234", None, 0)
    with pytest.raises(UserError, match="--process_id=2 must be 0 to 1"):
        start_processes("host:1234", 2, 2)
    with pytest.raises(UserError, match="--coordinator=host: host:port is wanted"):
        start_processes("host", 2, 0)
    assert started == []
