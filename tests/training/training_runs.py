"""Reads the files of runs, for the tests beside this file."""

import pathlib
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from egmt_jax.training.logs import read_history
from egmt_jax.weights.checkpoint import checkpoint_steps


def saved(workdir, step=None):
    """All arrays of a checkpoint, by default the newest: parameters, average and optimizer."""
    folder = pathlib.Path(workdir, "checkpoints")
    step = max(steps(workdir)) if step is None else step
    trees = {}
    for name in ("params", "ema", "optimizer"):
        path, handler = folder / str(step) / name, ocp.PyTreeCheckpointHandler()
        if path.exists():
            tree = handler.metadata(path).tree
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            trees[name] = handler.restore(path, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return trees


def steps(workdir):
    return checkpoint_steps(epath.Path(workdir) / "checkpoints")


def assert_same(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)


def wait_for_step(process, workdir, step, seconds=600):
    """Returns when the run has logged a step."""
    end = time.monotonic() + seconds
    while not any(row["step"] >= step for row in read_history(workdir)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
