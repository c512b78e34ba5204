"""Training from a config: data, step, logs, checkpoints, resume."""

import collections
import contextlib
import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from clu import parameter_overview
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from egmt_jax.data import datasets, mixtures, pipeline
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.entities.sentences import SENTENCES, caption_features, check_encoder
from egmt_jax.errors import UserError
from egmt_jax.training.checkpoints import Checkpoints, build_model, starting_params
from egmt_jax.training.logs import Profile, RunLog
from egmt_jax.training.processes import (
    StopSignal,
    as_first_says,
    first_process_first,
    is_first,
    only_run_in,
)
from egmt_jax.training.report import REPORT, write_report
from egmt_jax.training.sharding import (
    data_share,
    global_batch,
    local_copy,
    make_mesh,
    put,
    replicated,
    state_shardings,
)
from egmt_jax.training.step import Objective, TrainState, initial_state, make_optimizer, make_step
from egmt_jax.training.validate_config import check_bounds
from egmt_jax.training.validation import Validation, is_due

MOST_AHEAD = 4
"""Steps that the host hands to the device before it waits for the first of them."""

MOST_POSITIVE_WEIGHT = 5.0


def positive_weights(labels: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
    """Weight of a positive label per entity: the root of negatives per positive, 1 to 5.

    The root is a compromise on the long tail: balance in full would let a handful of pairs of a
    rare entity outweigh everything else.

    Args:
      labels: float32 [records, K], multi-hot; rows without entities are left out.
      shares: how often each record is drawn, relative to the others; all alike by default.
    """
    shares = np.where(labels.any(axis=1), 1.0 if shares is None else shares, 0.0)
    positives = shares @ labels
    ratio = (shares.sum() - positives) / np.maximum(positives, 1e-6)
    return np.sqrt(np.clip(ratio, 1.0, MOST_POSITIVE_WEIGHT**2)).astype(np.float32)


def train(config: ConfigDict, workdir: str) -> dict[str, float]:
    """Trains until `config.optimizer.steps`, resuming from the newest checkpoint in `workdir`.

    SIGTERM saves a checkpoint and returns, or ends the program at once if no step was made yet. A
    run that was interrupted in any way and started again ends with the parameters of one that was
    not, bit for bit on the same devices.

    Args:
      config: see `configs/base.py`.
      workdir: of the run; one run at a time. Checkpoints, TensorBoard files, `config.json`,
        `environment.json`, `history.jsonl` and at the end `report.md` go there.

    Returns:
      The scalars of the last step.

    Raises:
      UserError: the config, the data or a checkpoint does not fit, or another run holds the
        workdir; before any training. Later: a checkpoint cannot be written.
      FloatingPointError: a loss term is not finite; names the step and the term.
    """
    check_bounds(config)
    folder = pathlib.Path(workdir)
    with only_run_in(folder), StopSignal() as stop:
        return _train(config, folder, stop)


class Ready(NamedTuple):
    """What `make_ready` makes of a config.

    Attributes:
      graphdef: of the model.
      constants: the model's variables that are not trained, on all devices.
      state: before the first step, placed on the mesh.
      step: (state, batch) -> (state, scalars), see `make_step`.
    """

    graphdef: nnx.GraphDef
    constants: dict[str, Any]
    state: TrainState
    step: functools.partial


def make_objective(config: ConfigDict) -> Objective:
    """What a config aims at; raises UserError where a field does not fit."""
    try:
        return Objective(
            weights=config.loss.to_dict(),
            label_smoothing=config.classifier.label_smoothing,
            **config.guidance,
        )
    except TypeError as error:
        raise UserError(f"guidance: {error}") from error


def make_ready(
    config: ConfigDict, mesh: Mesh, text_features: np.ndarray, weights: np.ndarray
) -> Ready:
    """Model, optimizer and step of a config, on a mesh.

    Args:
      config: see `configs/base.py`.
      mesh: from `make_mesh`.
      text_features: float32 [K, D], the vocabulary's table.
      weights: float32 [K], see `positive_weights`.

    Raises:
      UserError: a field of the config does not fit.
    """
    model = build_model(config.model, text_features, config.seed)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    settings = config.optimizer.to_dict()
    ema, accumulate = settings.pop("ema"), settings.pop("accumulate")
    if config.data.batch_size % accumulate:
        raise UserError(
            f"data.batch_size={config.data.batch_size} must be a multiple of "
            f"optimizer.accumulate={accumulate}"
        )
    if config.guidance.given == "shuffled" and config.data.batch_size == accumulate:
        raise UserError("guidance.given='shuffled': needs parts of at least two pairs to shuffle")
    try:
        optimizer = make_optimizer(**settings)
    except TypeError as error:
        raise UserError(f"optimizer: {error}") from error
    state = initial_state(params, optimizer, averaged=ema > 0.0)
    shardings = state_shardings(state, mesh)
    constants = put(constants, replicated(constants, mesh))
    step = make_step(
        graphdef,
        constants,
        optimizer,
        put(weights, replicated(weights, mesh)),
        config.seed,
        make_objective(config),
        shardings,
        ema,
        accumulate,
    )
    return Ready(graphdef, constants, put(state, shardings), step)


def _train(config, folder, stop):
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    vocabulary = load_vocabulary()
    table = load_text_features(config.text_features).features
    by_sentence = "sentence" in (config.guidance.given, config.evaluation.given)
    if by_sentence:
        check_encoder(config.text_features, folder / SENTENCES)
    with first_process_first("preparing the data"):
        mixture = mixtures.open_mixture(config.data)
    validation = Validation(config, mixture)
    labels, shares = mixtures.read_labels(mixture, config.data.train_split, vocabulary)
    sentences = _embed_captions(config, mixture, folder) if by_sentence else None
    parts = mixtures.training_parts(
        mixture,
        config.data,
        vocabulary,
        sentences if config.guidance.given == "sentence" else None,
    )
    graphdef, constants, state, step = make_ready(
        config, mesh, table, positive_weights(labels, shares)
    )
    data = mixtures.describe(mixture, config.data.train_split)
    for line, component in zip(data, mixture, strict=True):
        _tell(f"training on {line}, in {datasets.place(component.data_set)}")
    checkpoints = Checkpoints(
        folder, config.checkpoint.keep, config, vocabulary.names, constants, data
    )
    first = seen = 0
    steps = config.optimizer.steps
    if checkpoints.latest is not None:
        first = checkpoints.latest
        state, seen = checkpoints.restore(state)
        done = f": all {steps} are done" if first >= steps else ""
        _tell(f"resuming {folder} from step {first}{done}")
    else:
        if config.start_from:
            params = starting_params(config.start_from, state.params)
            state = begin_with(params, state)
        _tell(parameter_overview.get_parameter_overview(state.params, include_stats=False))
    batches = pipeline.training_batches(
        parts, config.data.batch_size, config.seed, config.data.workers, seen, data_share(mesh)
    )

    log = RunLog(folder, config, first)
    if is_first() and first < steps:
        (folder / REPORT).unlink(missing_ok=True)  # of a run that was shorter
    profile = Profile(folder, first, steps) if config.profile else None

    def look(state, number, draws, scores):
        if not (draws or scores):
            return
        kept = state.params if state.ema is None else state.ema
        model = nnx.merge(graphdef, *jax.tree.map(jnp.asarray, local_copy((kept, constants))))
        if draws:
            validation.draw(model, log, number)
        if scores:
            validation.score(model, state, checkpoints, log, stop, number)

    recent: collections.deque[tuple[int, dict[str, Any]]] = collections.deque()
    scalars: dict[str, float] = {}
    bar = tqdm(total=steps, initial=first, desc="Training", unit="step", disable=not is_first())
    iterator = iter(batches)
    with bar, contextlib.closing(log), contextlib.closing(iterator):
        # The start before may have ended before the last evaluation or the report.
        unscored = as_first_says(first > 0 and not log.has_scores(first))
        unreported = as_first_says(first == steps and not (folder / REPORT).exists())
        draws = unreported and validation.draws_at(first)
        scores = unscored and validation.scores_at(first)
        if draws or scores:
            stop.keep_noting()  # of what may be the best model
            look(state, first, draws, scores)
        for number in range(first + 1, steps + 1):
            batch = global_batch(next(iterator), mesh)
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
            draws, scores = validation.draws_at(number), validation.scores_at(number)
            # The host runs a few steps ahead of the device, and waits for it only where it must.
            waits = stopping or logs or saves or draws or scores
            while len(recent) > (0 if waits else MOST_AHEAD):
                scalars = _finite(*recent.popleft())
            if logs:
                log.scalars(scalars, number)
                bar.set_postfix(loss=f"{scalars['loss']:.4f}")
            if not stopping:
                look(state, number, draws, scores)
            if saves or stop.noted:
                while recent:  # the signal came since
                    scalars = _finite(*recent.popleft())
                checkpoints.save(state, number)
            if stop.noted:
                logging.warning("stopped by a signal at step %d; run again to resume", number)
                break
        checkpoints.finish()
    if is_first() and not stop.noted and not (folder / REPORT).exists():
        write_report(folder, config, validation.picture)
    if scalars:
        terms = ", ".join(f"{name} {value:.6f}" for name, value in scalars.items())
        _tell(f"step {number}: {terms}")
    return scalars


def begin_with(params: dict[str, Any], state: TrainState) -> TrainState:
    """A state before the first step with other parameters, on the devices where they were."""
    placed = put(params, jax.tree.map(lambda leaf: leaf.sharding, state.params))
    ema = None if state.ema is None else jax.tree.map(jnp.copy, placed)
    return dataclasses.replace(state, params=placed, ema=ema)


def _embed_captions(config, mixture, folder) -> dict[str, np.ndarray]:
    """Features of the captions of all splits, for those who evaluate without the encoder too."""
    data = config.data
    captions = mixtures.read_captions(mixture, data.train_split)
    if config.guidance.given == "sentence" and not any(captions):
        sets = " and ".join(datasets.identity(component.data_set) for component in mixture)
        raise UserError(
            f"guidance.given='sentence': no pair of {sets}, split {data.train_split}, has a caption"
        )
    for split in (data.validation_split, data.test_split):
        captions += mixtures.read_captions(mixture, split)
    with first_process_first("embedding captions"):
        return caption_features(captions, config.text_features, folder / SENTENCES)


def _finite(step: int, scalars: dict[str, Any]) -> dict[str, float]:
    """The scalars of a step as numbers; waits for the device.

    Raises:
      FloatingPointError: names the step and the terms that are not finite.
    """
    scalars = {name: float(value) for name, value in jax.device_get(scalars).items()}
    wrong = [name for name, value in scalars.items() if not np.isfinite(value)]
    if wrong:
        raise FloatingPointError(
            f"step {step}: {', '.join(wrong)} is not finite; the checkpoints before it are kept. "
            "Lower optimizer.learning_rate or look at the pairs of that batch"
        )
    return scalars


def _tell(text: str) -> None:
    """Prints in one process."""
    if is_first():
        print(text)
