"""Trains from a config: data, steps, logs, checkpoints, resuming."""

import collections
import contextlib
import dataclasses
import functools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from clu import parameter_overview
from etils import epath
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float
from ml_collections import ConfigDict
from tqdm import tqdm

from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.training import sharding
from egmt_jax.training.checkpoints import Checkpoints, starting_params
from egmt_jax.training.logs import Profile, RunLog
from egmt_jax.training.processes import (
    StopSignal,
    as_first_says,
    first_process_first,
    is_first,
    only_run_in,
)
from egmt_jax.training.report import REPORT, write_report
from egmt_jax.training.sharding import put, replicated
from egmt_jax.training.step import Objective, TrainState, initial_state, make_optimizer, make_step
from egmt_jax.training.validate_config import validate_config
from egmt_jax.training.validation import Validation, is_due
from egmt_jax.weights.checkpoint import absolute, build_model

MOST_AHEAD = 4
"""Steps that the host may dispatch before it waits for the first of them."""

MOST_POSITIVE_WEIGHT = 5.0


def positive_weights(
    labels: Float[np.ndarray, "n k"], shares: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, " k"]:
    """Weight of a positive label per entity: the root of negatives per positive, from 1 to 5.

    The root is a compromise for the long tail: with the full ratio a few pairs of a rare entity
    would dominate. Records without labels are ignored; `shares` are frequencies of the records.
    """
    shares = np.where(labels.any(axis=1), 1.0 if shares is None else shares, 0.0)
    positives = shares @ labels
    ratio = (shares.sum() - positives) / np.maximum(positives, 1e-6)
    return np.sqrt(np.clip(ratio, 1.0, MOST_POSITIVE_WEIGHT**2)).astype(np.float32)


class TrainSetup(NamedTuple):
    """What `setup` makes from a config: the parts of a model, and a step, see `make_step`."""

    graphdef: nnx.GraphDef
    constants: dict[str, Any]
    state: TrainState
    step: functools.partial


def setup(
    config: ConfigDict,
    mesh: Mesh,
    text_features: Float[np.ndarray, "k d"],
    positive_weight: Float[np.ndarray, " k"],
) -> TrainSetup:
    """The model, optimizer and step of a valid config, and the initial state on a mesh.

    `text_features` is the table of the vocabulary; for `positive_weight` see `positive_weights`.
    """
    model = build_model(config.model, text_features, config.seed)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    settings = config.optimizer.to_dict()
    ema = settings.pop("ema")
    optimizer = make_optimizer(**settings)
    state = initial_state(params, optimizer, averaged=ema > 0.0)
    shardings = sharding.state_shardings(state, mesh)
    constants = put(constants, replicated(constants, mesh))
    weight = put(positive_weight, replicated(positive_weight, mesh))
    objective = Objective(weights=config.loss.to_dict(), **config.guidance)
    step = make_step(graphdef, constants, optimizer, weight, config.seed, objective, shardings, ema)
    return TrainSetup(graphdef, constants, put(state, shardings), step)


def train(config: ConfigDict, workdir: str | os.PathLike) -> dict[str, float]:
    """Trains until `config.optimizer.steps`, resuming from the newest checkpoint in `workdir`.

    SIGTERM or SIGINT saves a checkpoint and returns; before the first step it ends the program. A
    run that was interrupted and resumed ends with the same parameters as one that was not, bit for
    bit on the same devices.

    Args:
      config: see `configs/base.py`.
      workdir: local or remote folder (such as gs://bucket/run) of this run only, for checkpoints,
        logs and the report.

    Returns:
      The scalars of the last step.

    Raises:
      UserError: before training: the config, the data or a checkpoint does not fit, or another run
        uses the workdir. Later: a file cannot be written.
      FloatingPointError: a loss term is not finite; names the step and the term.
    """
    validate_config(config)
    folder = absolute(workdir)
    with only_run_in(folder), StopSignal() as stop:
        return _train(config, folder, stop)


def _train(config: ConfigDict, folder: epath.Path, stop: StopSignal) -> dict[str, float]:
    mesh = sharding.make_mesh(config.mesh.data, config.mesh.model)
    vocabulary = load_vocabulary()
    table = load_text_features(config.text_features).features
    with first_process_first("preparing the data"):
        mixture = mixtures.open_mixture(config.data)
    validation = Validation(config, mixture)
    labels, shares = mixtures.read_labels(mixture, config.data.train_split, vocabulary)
    parts = mixtures.training_parts(mixture, config.data, vocabulary)
    graphdef, constants, state, step = setup(config, mesh, table, positive_weights(labels, shares))
    data = mixtures.describe(mixture, config.data.train_split)
    for line, component in zip(data, mixture, strict=True):
        _print(f"training on {line}, in {component.data_set.path}")
    checkpoints = Checkpoints(folder, config, vocabulary.names, data, constants, state)
    first, steps = checkpoints.latest or 0, config.optimizer.steps
    if checkpoints.latest is not None:
        state = checkpoints.restore(state)
        done = f": all {steps} are done" if first >= steps else ""
        _print(f"resuming {folder} from step {first}{done}")
    else:
        if config.start_from:
            state = _begin_with(starting_params(config.start_from, state.params), state)
        _print(parameter_overview.get_parameter_overview(state.params, include_stats=False))
    # The config determines all batches: their number is the position in the data.
    size, seed, workers = config.data.batch_size, config.seed, config.data.workers
    share = sharding.data_share(mesh)
    batches = pipeline.training_batches(parts, size, seed, workers, first, share)

    log = RunLog(folder, config, first)
    if is_first() and first < steps:
        (folder / REPORT).unlink(missing_ok=True)  # of a shorter run
    profile = Profile(folder, first, steps) if config.profile else None

    def validate(state, number, draws, scores):
        if not (draws or scores):
            return None
        kept = state.params if state.ema is None else state.ema
        variables = jax.tree.map(jnp.asarray, sharding.local_copy((kept, constants)))
        model = nnx.merge(graphdef, *variables)
        if draws:
            validation.draw(model, log, number)
        return validation.score(model, log, stop, number) if scores else None

    recent: collections.deque[tuple[int, dict[str, Any]]] = collections.deque()
    scalars: dict[str, float] = {}
    number = first
    bar = tqdm(total=steps, initial=first, desc="Training", unit="step", disable=not is_first())
    iterator = iter(batches)
    with bar, contextlib.closing(log), contextlib.closing(iterator):
        # The run may have stopped during the last evaluation, or before the report.
        unscored = as_first_says(first > 0 and not log.has_scores(first))
        unreported = as_first_says(first == steps and not (folder / REPORT).exists())
        draws, scores = validation.due(first)
        draws, scores = draws and unreported, scores and unscored
        if draws or scores:
            stop.keep_noting()
        found = validate(state, first, draws, scores)
        if found:
            checkpoints.save(state, first, found)
        for number in range(first + 1, steps + 1):
            batch = sharding.global_batch(next(iterator), mesh)
            if profile:
                profile.before(number)
            state, results = step(state, batch)
            if profile:
                profile.after(number, results)
            bar.update()
            recent.append((number, results))
            stopping = stop.at(number)
            logs = number == steps or is_due(number, config.log.every)
            saves = number == steps or is_due(number, config.checkpoint.every)
            draws, scores = validation.due(number)
            # The host runs a few steps ahead of the device and waits only where it must.
            waits = stopping or logs or saves or draws or scores
            while len(recent) > (0 if waits else MOST_AHEAD):
                scalars = _finite(*recent.popleft())
            if logs:
                log.scalars(scalars, number)
                bar.set_postfix(loss=f"{scalars['loss']:.4f}")
            found = None if stopping else validate(state, number, draws, scores)
            if saves or scores or stop.noted:
                while recent:  # the signal came in the meantime
                    scalars = _finite(*recent.popleft())
                checkpoints.save(state, number, found)
            if stop.noted:
                break
        checkpoints.finish()
    if stop.noted:
        _print(f"stopped by a signal at step {number}; run again to resume")
    elif is_first() and not (folder / REPORT).exists():
        write_report(folder, config, validation.picture)
    if scalars:
        terms = ", ".join(f"{name} {value:.6f}" for name, value in scalars.items())
        _print(f"step {number}: {terms}")
    return scalars


def _begin_with(params: dict[str, Any], state: TrainState) -> TrainState:
    placed = put(params, jax.tree.map(lambda leaf: leaf.sharding, state.params))
    ema = None if state.ema is None else jax.tree.map(jnp.copy, placed)
    return dataclasses.replace(state, params=placed, ema=ema)


def _finite(step: int, scalars: dict[str, Any]) -> dict[str, float]:
    """The scalars of a step as numbers; waits for the device.

    Raises:
      FloatingPointError: names the step and the terms that are not finite.
    """
    scalars = {name: float(value) for name, value in jax.device_get(scalars).items()}
    wrong = [name for name, value in scalars.items() if not np.isfinite(value)]
    if wrong:
        raise FloatingPointError(
            f"step {step}: {', '.join(wrong)} is not finite; earlier checkpoints are kept. "
            "Lower optimizer.learning_rate or look at the pairs of that batch"
        )
    return scalars


def _print(text: str) -> None:
    """Prints in the first process only."""
    if is_first():
        print(text)
