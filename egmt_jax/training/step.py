"""One step of training: guidance drawn, losses, update."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax import losses


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that changes during training.

    Attributes:
      step: int32, updates done.
      params: nested dicts of float32 arrays.
      optimizer: optax's state over the same tree.
    """

    step: Array
    params: dict[str, Any]
    optimizer: Any


@dataclasses.dataclass(frozen=True)
class Objective:
    """What training aims at; plain numbers, from the config.

    Attributes:
      weights: of each loss term by name: intensity, gradient, structure, classification and
        localisation.
      sharpen: factor on the stronger source gradient in the gradient loss.
      boost: extra contrast of guided entities, see `losses.intensity_target`.
      emphasis: extra weight of their pixels, see `losses.intensity`.
      self_guided: share of examples guided by the classifier's own probabilities.
      unguided: share of examples without guidance.
      keep: probability that an entity of the pair is among those given, for the other examples.
      distractors: mean number of entities given beside them that are not in the pair.
    """

    weights: dict[str, float]
    sharpen: float
    boost: float
    emphasis: float
    self_guided: float
    unguided: float
    keep: float
    distractors: float


def make_optimizer(
    learning_rate: float, warmup: int, steps: int, weight_decay: float, clip: float
) -> optax.GradientTransformation:
    """AdamW with linear warm-up, cosine decay to 1 % and clipping by the global norm.

    Matrices and kernels decay; biases, scales and temperatures do not.
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
    key: Array, labels: Float[Array, "b k"], probabilities: Float[Array, "b k"], aim: Objective
) -> tuple[Float[Array, "b k"], Float[Array, "b k"]]:
    """Draws how each example is guided, so that one set of weights serves all three ways.

    Args:
      key: of the step.
      labels: entities of each pair.
      probabilities: the classifier's.
      aim: gives the shares.

    Returns:
      The weight of each entity as the model sees it, and the weight of each entity in the target.
    """
    batch, entities = labels.shape
    keys = jax.random.split(key, 3)
    mode = jax.random.uniform(keys[0], (batch, 1))
    kept = jnp.where(jax.random.bernoulli(keys[1], aim.keep, labels.shape), labels, 0.0)
    distract = jax.random.bernoulli(keys[2], min(1.0, aim.distractors / entities), labels.shape)
    absent = jnp.where(distract, 1.0 - labels, 0.0)
    by_itself = mode < aim.self_guided
    unguided = mode > 1.0 - aim.unguided
    seen = jnp.where(by_itself, probabilities, jnp.where(unguided, 0.0, kept + absent))
    aimed = jnp.where(by_itself, labels, jnp.where(unguided, 0.0, kept))
    return seen, aimed


def loss_terms(
    graphdef: nnx.GraphDef,
    params: dict[str, Any],
    constants: dict[str, Any],
    batch: dict[str, Array],
    positive_weight: Float[Array, " k"],
    key: Array,
    aim: Objective,
) -> tuple[Array, dict[str, Array]]:
    """The weighted sum of the loss terms on a batch, and each term by name.

    Args:
      graphdef: of the model.
      params: of the model.
      constants: the model's other variables.
      batch: see `egmt_jax.data.pipeline.training_batches`.
      positive_weight: of positive labels, see `losses.classification`.
      key: for the guidance.
      aim: see `Objective`.
    """
    model = nnx.merge(graphdef, params, constants)
    visible, infrared = batch["visible"], batch["infrared"]
    visual = model.visual(visible, infrared)
    probabilities = jax.lax.stop_gradient(jax.nn.sigmoid(visual.entity_logits))
    seen, aimed = draw_guidance(key, batch["labels"], probabilities, aim)
    context = model.guide(visual, model.whole_vocabulary(seen))
    fused = model.render(visible, infrared, context)
    masks = losses.guided_masks(
        visual, context.attention, batch["entity_ids"], batch["masks"], batch["masked"], aimed
    )
    target = losses.intensity_target(visible, infrared, masks, aim.boost)
    coverage = losses.cell_coverage(
        batch["masks"], batch["entity_ids"], visual.similarity.shape[1:3], seen.shape[1]
    )
    terms = {
        "intensity": losses.intensity(fused, target, masks, aim.emphasis),
        "gradient": losses.gradient(fused, visible, infrared, target, aim.sharpen, batch["detail"]),
        "structure": losses.structure(fused, visible, infrared, batch["detail"]),
        "classification": losses.classification(
            visual.entity_logits, batch["labels"], batch["labelled"], positive_weight
        ),
        "localisation": losses.localisation(visual.similarity, coverage, batch["masked"]),
    }
    total = sum(aim.weights[name] * term for name, term in terms.items())
    return total, terms | {"loss": total}


def make_step(
    graphdef: nnx.GraphDef,
    constants: dict[str, Any],
    optimizer: optax.GradientTransformation,
    positive_weight: Array,
    seed: int,
    aim: Objective,
    shardings: TrainState,
):
    """The compiled update: (state, batch) -> (state, scalars), the state donated.

    The scalars are the loss terms, and the norms of gradients, parameters and updates.
    """

    @functools.partial(jax.jit, donate_argnums=0, out_shardings=(shardings, None))
    def step(state, constants, positive_weight, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        gradients, terms = jax.grad(
            lambda params: loss_terms(
                graphdef, params, constants, batch, positive_weight, key, aim
            ),
            has_aux=True,
        )(state.params)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer count with floats
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        scalars = terms | {
            "norm/gradients": optax.tree.norm(gradients),
            "norm/parameters": optax.tree.norm(state.params),
            "norm/updates": optax.tree.norm(updates),
        }
        params = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, optimizer_state), scalars

    return lambda state, batch: step(state, constants, positive_weight, batch)
