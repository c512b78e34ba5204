"""Training from a config: data, step, logs, checkpoints, resume."""

import pathlib
import signal
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from clu import parameter_overview
from flax import nnx
from ml_collections import ConfigDict
from tensorboardX import SummaryWriter
from tqdm import tqdm

from egmt_jax.data import mixtures, pipeline
from egmt_jax.data.images import write_atomically
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.models import EGMT
from egmt_jax.training.checkpoints import Checkpoints, build_model
from egmt_jax.training.sharding import global_batch, make_mesh, state_shardings
from egmt_jax.training.step import Objective, TrainState, make_optimizer, make_step

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


Draw = Callable[[EGMT, list[pipeline.Pair]], np.ndarray]


def train(config: ConfigDict, workdir: str, draw: Draw | None = None) -> dict[str, float]:
    """Trains until `config.optimizer.steps`, resuming from the newest checkpoint in `workdir`.

    SIGTERM saves a checkpoint and returns.

    Args:
      config: see `configs/base.py`.
      workdir: of the run; checkpoints, TensorBoard files and `config.json` go there.
      draw: makes a picture, uint8 RGB, of what the model does to a few validation pairs; it goes
        to TensorBoard.

    Returns:
      The scalars of the last step.

    Raises:
      UserError: the config, the data or a checkpoint does not fit; before any training.
      FloatingPointError: a loss term is not finite; names the step and the term.
    """
    folder = pathlib.Path(workdir)
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    vocabulary = load_vocabulary()
    table = load_text_features(config.text_features).features
    mixture = mixtures.open_mixture(config.data)
    labels, shares = mixtures.read_labels(mixture, config.data.train_split, vocabulary)
    batches = pipeline.training_batches(
        mixtures.training_parts(mixture, config.data, vocabulary),
        config.data.batch_size,
        config.seed,
        config.data.workers,
    )

    model = build_model(config.model, table, config.seed)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    optimizer = make_optimizer(**config.optimizer)
    state = TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))
    shardings = state_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    aim = Objective(weights=config.loss.to_dict(), **config.guidance)
    step = make_step(
        graphdef,
        constants,
        optimizer,
        jnp.asarray(positive_weights(labels, shares)),
        config.seed,
        aim,
        shardings,
    )

    checkpoints = Checkpoints(folder, config.checkpoint.every, config.checkpoint.keep)
    iterator = iter(batches)
    if checkpoints.latest is None:
        print(parameter_overview.get_parameter_overview(params, include_stats=False))
    else:
        state = checkpoints.restore(state, config, iterator)
        print(f"resuming {workdir} from step {checkpoints.latest}")
    write_atomically(folder / "config.json", config.to_json_best_effort(indent=2).encode())

    log = _Log(folder, config)
    stop = _StopSignal()
    scalars: dict[str, Any] = {}
    steps = config.optimizer.steps
    first = int(state.step)
    pictures = []
    if draw and config.log.pictures_every:
        pictures = mixtures.sample_pairs(mixture, config.data.validation_split, most=4)
    with stop, tqdm(total=steps, initial=first, desc="Training", unit="step") as progress:
        for number in range(first + 1, steps + 1):
            batch = global_batch(next(iterator), mesh)
            previous = scalars
            state, scalars = step(state, batch)
            # The step before is done by now: looking at it does not hold the device up.
            _check_finite(previous, number - 1)
            progress.update()
            if number % config.log.every == 0 or number == steps:
                _check_finite(scalars, number)
                log.scalars(scalars, number)
                progress.set_postfix(loss=f"{float(scalars['loss']):.4f}")
            if pictures and (number % config.log.pictures_every == 0 or number == steps):
                log.picture(draw(nnx.merge(graphdef, state.params, constants), pictures), number)
            checkpoints.save(
                state,
                constants,
                config,
                vocabulary.names,
                iterator,
                force=number == steps or stop.wanted,
            )
            if stop.wanted:
                logging.warning("stopped by a signal at step %d; run again to resume", number)
                break
    checkpoints.finish()
    log.close()
    scalars = {name: float(value) for name, value in scalars.items()}
    if scalars:
        terms = ", ".join(f"{name} {value:.6f}" for name, value in scalars.items())
        print(f"step {int(state.step)}: {terms}")
    return scalars


def _check_finite(scalars: dict[str, Any], step: int) -> None:
    """Raises FloatingPointError naming the step and the terms that are not finite."""
    wrong = [name for name, value in scalars.items() if not np.isfinite(value)]
    if wrong:
        raise FloatingPointError(
            f"step {step}: {', '.join(wrong)} is not finite; the checkpoints before it are kept. "
            "Lower optimizer.learning_rate or look at the pairs of that batch"
        )


class _Log:
    """Scalars and pictures for TensorBoard, written by the first process alone."""

    def __init__(self, folder: pathlib.Path, config: ConfigDict):
        self.writer = None
        if jax.process_index() == 0:
            self.writer = SummaryWriter(str(folder / "tensorboard"))
            self.writer.add_text("config", f"```\n{config.to_json_best_effort(indent=2)}\n```")

    def scalars(self, scalars: dict[str, Any], step: int) -> None:
        if self.writer:
            for name, value in scalars.items():
                name = name if "/" in name else f"loss/{name}"
                self.writer.add_scalar(name, float(value), step)

    def picture(self, picture: np.ndarray, step: int) -> None:
        if self.writer:
            self.writer.add_image("pairs", picture, step, dataformats="HWC")

    def close(self) -> None:
        if self.writer:
            self.writer.close()


class _StopSignal:
    """Notes SIGTERM within its block instead of dying of it."""

    def __init__(self):
        self.wanted = False

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *error):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def _note(self, number, frame):
        del number, frame
        self.wanted = True
