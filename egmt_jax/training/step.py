"""One training step: draws the guidance, computes the losses, updates the parameters."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.models import Guidance, layers
from egmt_jax.training import losses, targets

SOURCES = ("own", "shuffled")
SELF_GUIDED = 0.5
"""How far the target raises entities that the classifier should choose, relative to named ones."""

TERMS = ("intensity", "gradient", "structure", "prominence", "classification", "localisation")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that changes during training; `ema` is an average of the parameters, or None.

    Objects of the same type hold its shapes or shardings, and what JAX puts into trees.
    """

    step: Any
    params: Any
    optimizer: Any
    ema: Any = None


def initial_state(
    params: dict[str, Any], optimizer: optax.GradientTransformation, averaged: bool = False
) -> TrainState:
    """The state before the first step; if `averaged`, with a moving average."""
    ema = jax.tree.map(jnp.copy, params) if averaged else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), ema)


@dataclasses.dataclass(frozen=True)
class Objective:
    """The training objective; `configs/base.py` describes its fields.

    `weights` has the weight of each loss term by name; terms of weight 0 are not computed.
    """

    weights: dict[str, float]
    source: str = "own"
    self_guided: float = 0.0
    unguided: float = 0.0
    keep: float = 1.0
    distractors: float = 0.0


def make_optimizer(
    learning_rate: float, warmup: int, steps: int, weight_decay: float, clip: float
) -> optax.GradientTransformation:
    """AdamW with linear warm-up, cosine decay to 1 % and clipping by the global norm.

    Weight decay applies to matrices and kernels, not to biases, scales and temperatures. For the
    arguments see `configs/base.py`.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(warmup, steps - 1), steps, 0.01 * learning_rate
    )

    def decays(params):
        return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)

    return optax.chain(
        optax.clip_by_global_norm(clip),
        optax.adamw(schedule, b2=0.99, weight_decay=weight_decay, mask=decays),
    )


def draw_guidance(
    key: Array,
    candidates: Float[Array, "b k"],
    labels: Float[Array, "b k"],
    probabilities: Float[Array, "b k"],
    objective: Objective,
) -> tuple[Float[Array, "b k"], Float[Array, "b k"]]:
    """Draws the guidance of each example: given entities, the classifier's choice, or none.

    `candidates` may guide; `labels` are present, so they are no distractors; both are 0 or 1.

    Returns:
      The weight of each entity for the model, and its weight in the target.
    """
    batch, entities = candidates.shape
    keys = jax.random.split(key, 3)
    mode = jax.random.uniform(keys[0], (batch, 1))
    keep = jax.random.bernoulli(keys[1], objective.keep, candidates.shape)
    kept = jnp.where(keep, candidates, 0.0)
    rate = min(1.0, objective.distractors / entities)
    distract = jax.random.bernoulli(keys[2], rate, candidates.shape)
    absent = jnp.where(distract, 1.0 - jnp.maximum(candidates, labels), 0.0)
    self_guided = mode < objective.self_guided
    unguided = mode > 1.0 - objective.unguided
    model = jnp.where(self_guided, probabilities, jnp.where(unguided, 0.0, kept + absent))
    target = jnp.where(self_guided, SELF_GUIDED * candidates, jnp.where(unguided, 0.0, kept))
    return model, target


def loss_terms(
    graphdef: nnx.GraphDef,
    params: dict[str, Any],
    constants: dict[str, Any],
    batch: dict[str, Array],
    positive_weight: Float[Array, " k"],
    key: Array,
    objective: Objective,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Computes the weighted sum of the loss terms on a batch of `pipeline.training_batches`.

    Terms of images are divided by their value for the average of both images, so that weights are
    priorities.

    Returns:
      The sum, and a dict of the terms with weights above 0, before weighting, and the sum, `loss`.
    """
    model = nnx.merge(graphdef, params, constants)
    views, crops = batch["visible"].shape[:2]
    valid = layers.top_left_mask(batch["extent"], batch["view"].shape[1:3])[..., 0] > 0.0
    visual = model.visual(batch["view"], valid)
    visual = dataclasses.replace(visual, cell_size=visual.cell_size * batch["factor"])
    candidates = batch["guide"]
    if objective.source == "shuffled":
        candidates = jnp.roll(candidates, 1, axis=0)
    probabilities = jax.lax.stop_gradient(jax.nn.sigmoid(visual.entity_logits))
    weight, target_weight = draw_guidance(
        key, candidates, batch["labels"], probabilities, objective
    )
    context = model.guide(visual, Guidance(weight=weight))

    def per_crop(x):
        return jnp.repeat(x, crops, axis=0)

    def flat(name):  # [B, N, ...] -> float32 [B N, ...]
        x = batch[name].astype(jnp.float32) / 255.0
        return x.reshape(views * crops, *x.shape[2:])

    visible, infrared, masks = flat("visible"), flat("infrared"), flat("masks")
    origin = batch["origin"].reshape(views * crops, 2)
    context = jax.tree.map(per_crop, context)
    fused = model.render(visible, infrared, context, origin=(origin[:, 0], origin[:, 1]))
    amounts = targets.of_slots(target_weight, batch["entity_ids"])
    guiding = masks * per_crop(amounts)[:, None, None]
    amounts = per_crop(amounts * batch["salience"])
    target = targets.guided_target(flat("target"), masks, amounts)

    def image_terms(fused):
        return {
            "intensity": lambda: losses.intensity(fused, target, guiding),
            "gradient": lambda: losses.gradient(fused, target),
            "structure": lambda: losses.structure(fused, visible, infrared),
            "prominence": lambda: losses.prominence(fused, target, masks),
        }

    compute, plain = image_terms(fused), image_terms(0.5 * (visible + infrared))
    cells = visual.similarity.shape[1:3]
    counted = layers.top_left_mask(visual.cells, cells)[..., 0] > 0.0
    counted &= batch["masked"][:, None, None]
    ids, coverage = batch["entity_ids"], batch["coverage"][:, : cells[0], : cells[1]]
    compute |= {
        "classification": lambda: losses.classification(
            visual.entity_logits, batch["labels"], batch["labelled"], positive_weight
        ),
        "localisation": lambda: losses.localisation(visual.similarity, coverage, ids, counted),
    }
    terms = {name: compute[name]() for name, weight in objective.weights.items() if weight}
    for name in plain:  # in this order in every process, or their programs would differ
        if name in terms:
            terms[name] /= jnp.maximum(plain[name](), 1e-3)
    total = sum((objective.weights[name] * term for name, term in terms.items()), jnp.zeros(()))
    return total, terms | {"loss": total}


def make_step(
    graphdef: nnx.GraphDef,
    constants: dict[str, Any],
    optimizer: optax.GradientTransformation,
    positive_weight: Array | np.ndarray,
    seed: int,
    objective: Objective,
    shardings: TrainState,
    ema: float = 0.0,
) -> functools.partial:
    """The compiled update: (state, batch) -> (state, scalars); the state is donated.

    `ema` is the largest decay of the moving average; in step t it is at most (1 + t) / (10 + t).
    Returns a partial of the jitted function. The scalars are the loss terms and some norms.
    """

    # The seed is an argument, so that runs with other seeds find the program in the compile cache.
    @functools.partial(jax.jit, donate_argnums=3, out_shardings=(shardings, None))
    def step(constants, positive_weight, seed, state, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def loss(params):
            return loss_terms(graphdef, params, constants, batch, positive_weight, key, objective)

        gradients, terms = jax.grad(loss, has_aux=True)(state.params)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer count with floats
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        scalars = terms | {
            "norm/gradients": optax.tree.norm(gradients),
            "norm/parameters": optax.tree.norm(state.params),
            "norm/updates": optax.tree.norm(updates),
        }
        params = optax.apply_updates(state.params, updates)
        average = state.ema
        if average is not None:
            done = state.step.astype(jnp.float32)
            decay = jnp.minimum(ema, (1.0 + done) / (10.0 + done))
            average = jax.tree.map(lambda a, p: p + decay * (a - p), average, params)
        return TrainState(state.step + 1, params, optimizer_state, average), scalars

    return functools.partial(step, constants, positive_weight, np.uint32(seed))
