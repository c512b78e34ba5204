"""A small network that says whether and where people are in a grey picture, and its scores.

benchmarks/downstream.py trains it anew on each kind of picture.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evidence import UserError
from flax import nnx
from tqdm import tqdm

from egmt_jax.metrics.classification import average_precision

COVERED = 0.25
"""Share of a cell that people must cover for it to be theirs."""

BATCH = 16
LEARNING_RATE = 2e-3
THRESHOLDS = np.linspace(0.1, 0.9, 17)


class Head(nnx.Module):
    """Five convolutions, the first three of which halve the size."""

    def __init__(self, rngs: nnx.Rngs, width: int = 32):
        widths = [1, width // 2, width, width, width, width]
        self.layers = nnx.List(
            [
                nnx.Conv(a, b, (3, 3), strides=2 if place < 3 else 1, rngs=rngs)
                for place, (a, b) in enumerate(itertools.pairwise(widths))
            ]
        )
        self.where = nnx.Linear(width, 1, rngs=rngs)
        self.whether = nnx.Linear(2 * width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, H, W, 1] -> logits of a map [B, H/8, W/8], and of presence [B]."""
        for layer in self.layers:
            x = nnx.relu(layer(x))
        pooled = jnp.concatenate([jnp.max(x, axis=(1, 2)), jnp.mean(x, axis=(1, 2))], axis=1)
        return self.where(x)[..., 0], self.whether(pooled)[..., 0]


class Trainer:
    """Trains heads, one after the other, with what is compiled once.

    Args:
      steps: of training, batches of 16.
    """

    def __init__(self, steps: int):
        graphdef, _ = nnx.split(Head(nnx.Rngs(0)))
        schedule = optax.cosine_decay_schedule(LEARNING_RATE, steps)
        optimizer = optax.adamw(schedule, weight_decay=1e-3)
        entropy = optax.sigmoid_binary_cross_entropy

        def loss_of(params, images, cells, present):
            where, whether = nnx.merge(graphdef, params)(images)
            return 10.0 * entropy(where, cells).mean() + entropy(whether, present).mean()

        @jax.jit
        def step(params, state, images, cells, present):
            loss, gradients = jax.value_and_grad(loss_of)(params, images, cells, present)
            with jax.numpy_dtype_promotion("standard"):  # optax mixes its count with floats
                updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        @jax.jit
        def probabilities(params, images):
            return jax.tree.map(jax.nn.sigmoid, nnx.merge(graphdef, params)(images))

        self.steps, self._optimizer = steps, optimizer
        self._step, self._probabilities = step, probabilities

    def train(self, pictures, cells, present, seed: int, label: str):
        """A head for one kind of picture.

        Args:
          pictures: uint8 [N, H, W]; brought to mean 0 and deviation 1 over all of them, so that no
            kind of picture gains by its level or range alone.
          cells: float32 [N, h, w], share of each cell that people cover.
          present: bool [N], whether people are in them.
          seed: of initial values, order and mirroring.
          label: for the progress bar.

        Returns:
          A function of pictures, uint8 [N, H, W], to probabilities [N, h, w] and [N].

        Raises:
          UserError: the loss is not finite.
        """
        mean, deviation = np.float32(pictures.mean()), np.float32(max(pictures.std(), 1.0))

        def prepared(images):
            return ((images.astype(np.float32) - mean) / deviation)[..., None]

        params = nnx.split(Head(nnx.Rngs(seed)))[1]
        state = self._optimizer.init(params)
        rng = np.random.default_rng(seed)
        for _ in tqdm(range(self.steps), label, unit="step", leave=False):
            rows = rng.choice(len(pictures), BATCH, replace=len(pictures) < BATCH)
            images, targets = prepared(pictures[rows]), cells[rows]
            if rng.random() < 0.5:
                images, targets = images[:, :, ::-1], targets[..., ::-1]
            there = present[rows].astype(np.float32)
            params, state, loss = self._step(params, state, images, targets, there)
        if not np.isfinite(float(loss)):
            raise UserError(f"{label}: the loss is not finite; look at the pictures")

        def predict(images):
            found = []
            for start in range(0, len(images), BATCH):
                part = images[start : start + BATCH]
                filled = np.concatenate([part, np.repeat(part[:1], BATCH - len(part), axis=0)])
                one = self._probabilities(params, prepared(filled))
                found.append([np.asarray(x)[: len(part)] for x in one])
            return tuple(np.concatenate(each) for each in zip(*found, strict=True))

        return predict


def overlaps(where: np.ndarray, cells: np.ndarray, threshold: float) -> np.ndarray:
    """Cells in both and in either of prediction and truth, per picture: int [N, 2]."""
    said, true = where > threshold, cells > COVERED
    return np.stack([(said & true).sum(axis=(1, 2)), (said | true).sum(axis=(1, 2))], axis=1)


def union_ratio(counts: np.ndarray) -> float:
    """Intersection over union of all pictures together; 0 where there is nothing."""
    both, either = counts.sum(axis=0)
    return float(both / either) if either else 0.0


def score_kind(trainer: Trainer, pictures, cells, seeds: int, label: str) -> dict:
    """Scores of one kind of picture, over seeds.

    Args:
      trainer: of heads.
      pictures: by part (train, validation, test), uint8 [N, H, W].
      cells: likewise, float32 [N, h, w].
      seeds: how many, from 0 on.
      label: for the progress bar.

    Returns:
      Per seed `AP`, `IoU`, `threshold` (the best on the validation part), and for intervals the
      probabilities of presence and the counts of cells per test picture.
    """
    present = {part: (shares > COVERED).any(axis=(1, 2)) for part, shares in cells.items()}
    rows = []
    for seed in range(seeds):
        title = f"{label}, seed {seed}"
        predict = trainer.train(pictures["train"], cells["train"], present["train"], seed, title)
        where, _ = predict(pictures["validation"])
        chosen = max(THRESHOLDS, key=lambda t: union_ratio(overlaps(where, cells["validation"], t)))
        where, whether = predict(pictures["test"])
        counts = overlaps(where, cells["test"], chosen)
        rows.append(
            {
                "AP": average_precision(whether, present["test"]),
                "IoU": union_ratio(counts),
                "threshold": float(chosen),
                "presence": whether.tolist(),
                "counts": counts.tolist(),
            }
        )
    return {"seeds": rows, "present": present["test"].tolist()}
