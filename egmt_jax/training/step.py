"""One step of training: guidance drawn, losses, update."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.errors import UserError
from egmt_jax.models import EGMT, Context, Entities, Visual
from egmt_jax.training import losses

GIVEN = ("own", "shuffled", "sentence")
TERMS = (
    "intensity",
    "prominence",
    "gradient",
    "structure",
    "information",
    "edges",
    "complementarity",
    "mutual_information",
    "contrast",
    "exposure",
    "classification",
    "localisation",
)
"""The loss terms, see `egmt_jax.training.losses`."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that changes during training.

    Attributes:
      step: int32, updates done.
      params: nested dicts of float32 arrays.
      optimizer: optax's state over the same tree.
      ema: exponential moving average of the parameters; None where none is kept.
    """

    step: Array
    params: dict[str, Any]
    optimizer: Any
    ema: dict[str, Any] | None = None


def initial_state(
    params: dict[str, Any], optimizer: optax.GradientTransformation, averaged: bool = False
) -> TrainState:
    """The state before the first step; with `averaged`, a moving average begins at `params`."""
    ema = jax.tree.map(jnp.copy, params) if averaged else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), ema)


@dataclasses.dataclass(frozen=True)
class Objective:
    """What training aims at; plain numbers, from the config.

    Attributes:
      weights: of each loss term by name, see `loss_terms`.
      sharpen: factor on the stronger source gradient in the gradient loss.
      additive: share of the sources' sum in the target, see `losses.intensity_target`.
      contrast: gain of the deviation that is asked for, see `losses.contrast`.
      boost: extra contrast of guided entities, see `losses.intensity_target`.
      emphasis: extra weight of their pixels, see `losses.intensity`.
      self_guided: share of examples guided by the classifier's own probabilities.
      unguided: share of examples without guidance.
      keep: probability that an entity of the pair is among those given, for the other examples.
      distractors: mean number of entities given beside them that are not in the pair.
      given: what is given: "own", the entities of the pair; "shuffled", those of another pair of
        the batch; "sentence", the features of the pair's caption in place of entities, with which
        `self_guided` must be 0, and `keep` and `distractors` do not count.
      label_smoothing: see `losses.classification`.
    """

    weights: dict[str, float]
    sharpen: float
    boost: float
    emphasis: float
    self_guided: float
    unguided: float
    keep: float
    distractors: float
    given: str = "own"
    label_smoothing: float = 0.0
    additive: float = 0.0
    contrast: float = 1.0

    def __post_init__(self):
        unknown = sorted(set(self.weights) - set(TERMS))
        if unknown:
            raise UserError(f"loss.{unknown[0]}: no such term; there are {', '.join(TERMS)}")
        if self.given not in GIVEN:
            raise UserError(f"guidance.given={self.given!r}: known are {', '.join(GIVEN)}")
        if self.self_guided + self.unguided > 1.0:
            raise UserError(
                "guidance.self_guided and guidance.unguided are shares: at most 1 in all"
            )
        if self.given == "sentence" and self.self_guided:
            raise UserError("guidance.given='sentence' goes with guidance.self_guided=0 only")


def make_optimizer(
    learning_rate: float,
    warmup: int,
    steps: int,
    weight_decay: float,
    clip: float,
    module_rates: Mapping[str, float] | None = None,
) -> optax.GradientTransformation:
    """AdamW with linear warm-up, cosine decay to 1 % and clipping by the global norm.

    Matrices and kernels decay; biases, scales and temperatures do not.

    Args:
      learning_rate: at the end of the warm-up.
      warmup: steps.
      steps: of the whole run.
      weight_decay: factor of the decay, which the learning rate multiplies.
      clip: largest norm of the gradients.
      module_rates: factor on the learning rate of a module, by its path in the parameters, such as
        "classifier" or "entity_attention/key"; 0 freezes it. `init` raises UserError where a path
        names nothing.

    Raises:
      UserError: there are no steps.
    """
    if steps < 1:
        raise UserError(f"optimizer.steps={steps}: at least 1")
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(warmup, steps - 1), steps, 0.01 * learning_rate
    )

    def decays(params):
        return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)

    return optax.chain(
        optax.clip_by_global_norm(clip),
        optax.adamw(schedule, b2=0.99, weight_decay=weight_decay, mask=decays),
        _scale_modules(dict(module_rates or {})),
    )


def _scale_modules(rates: dict[str, float]) -> optax.GradientTransformation:
    def inside(path, module):
        name = "/".join(str(key.key) for key in path)
        return f"{name}/".startswith(f"{module}/")

    def init(params):
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        for module in rates:
            if not any(inside(path, module) for path in paths):
                known = ", ".join(sorted({path[0].key for path in paths}))
                raise UserError(
                    f"optimizer.module_rates: {module!r} is no module; there are {known}"
                )
        return optax.EmptyState()

    def update(updates, state, params=None):
        del params

        def scaled(path, leaf):
            for module, rate in rates.items():
                leaf = leaf * rate if inside(path, module) else leaf
            return leaf

        return jax.tree_util.tree_map_with_path(scaled, updates), state

    return optax.GradientTransformation(init, update)


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


def guide_by_sentence(
    model: EGMT, visual: Visual, batch: dict[str, Array], key: Array, unguided: float
) -> tuple[Context, Float[Array, "b h w k"], Float[Array, "b k"]]:
    """Guides by one feature per pair, that of its caption, in place of entities.

    Args:
      model: the model.
      visual: of the batch.
      batch: `sentence` and `labels` are read.
      key: of the step.
      unguided: share of examples without guidance; those without a caption are so too.

    Returns:
      The context; and for the target, which is that of a pair all of whose entities are given, the
      attention to these and their weights. No gradient passes the attention.
    """
    sentence, labels = batch["sentence"], batch["labels"]
    drawn = jax.random.uniform(key, (len(labels), 1)) >= unguided
    guided = (drawn & jnp.any(sentence != 0.0, axis=1, keepdims=True)).astype(jnp.float32)
    context = model.guide(visual, Entities(sentence[:, None], guided))
    aimed = labels * guided
    attention = model.guide(visual, model.whole_vocabulary(aimed)).attention
    return context, jax.lax.stop_gradient(attention), aimed


def loss_terms(
    graphdef: nnx.GraphDef,
    params: dict[str, Any],
    constants: dict[str, Any],
    batch: dict[str, Array],
    positive_weight: Float[Array, " k"],
    key: Array,
    aim: Objective,
    counts: Mapping[str, Array] | None = None,
) -> tuple[Array, dict[str, Array]]:
    """The weighted sum of the loss terms on a batch, and each term by name but those of weight 0.

    Args:
      graphdef: of the model.
      params: of the model.
      constants: the model's other variables.
      batch: see `egmt_jax.data.pipeline.training_batches`.
      positive_weight: of positive labels, see `losses.classification`.
      key: for the guidance.
      aim: see `Objective`.
      counts: what sums over `labelled` and `masked` pairs are divided by; their numbers by default.
    """
    counts = counts or {}
    model = nnx.merge(graphdef, params, constants)
    visible, infrared = batch["visible"], batch["infrared"]
    visual = model.visual(visible, infrared)
    if aim.given == "sentence":
        context, attention, aimed = guide_by_sentence(model, visual, batch, key, aim.unguided)
    else:
        given = batch["labels"]
        if aim.given == "shuffled":
            given = jnp.roll(given, 1, axis=0)
        probabilities = jax.lax.stop_gradient(jax.nn.sigmoid(visual.entity_logits))
        seen, aimed = draw_guidance(key, given, probabilities, aim)
        context = model.guide(visual, model.whole_vocabulary(seen))
        attention = context.attention
    fused = model.render(visible, infrared, context)
    masks = losses.guided_masks(
        visual, attention, batch["entity_ids"], batch["masks"], batch["masked"], aimed
    )
    things = jnp.where(batch["masked"][:, None, None, None], batch["masks"], masks)
    target = losses.intensity_target(visible, infrared, masks, aim.boost, aim.additive)
    coverage = losses.cell_coverage(
        batch["masks"], batch["entity_ids"], visual.similarity.shape[1:3], aimed.shape[1]
    )
    sources = visible, infrared
    detail = batch["detail"]
    compute = {
        "intensity": lambda: losses.intensity(fused, target, masks, aim.emphasis),
        "prominence": lambda: losses.prominence(fused, target, things),
        "gradient": lambda: losses.gradient(fused, *sources, target, aim.sharpen, detail),
        "structure": lambda: losses.structure(fused, *sources, detail),
        "information": lambda: losses.information(fused, *sources, detail),
        "edges": lambda: losses.edges(fused, *sources, detail),
        "complementarity": lambda: losses.complementarity(fused, *sources),
        "mutual_information": lambda: losses.mutual_information(fused, *sources),
        "contrast": lambda: losses.contrast(fused, *sources, aim.contrast),
        "exposure": lambda: losses.exposure(fused),
        "classification": lambda: losses.classification(
            visual.entity_logits,
            batch["labels"],
            batch["labelled"],
            positive_weight,
            aim.label_smoothing,
            counts.get("labelled"),
        ),
        "localisation": lambda: losses.localisation(
            visual.similarity,
            coverage,
            batch["entity_ids"],
            batch["masked"],
            counts.get("masked"),
        ),
    }
    terms = {name: compute[name]() for name, weight in aim.weights.items() if weight}
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
    ema: float = 0.0,
    accumulate: int = 1,
):
    """The compiled update: (state, batch) -> (state, scalars), the state donated.

    Args:
      graphdef: of the model.
      constants: the model's other variables.
      optimizer: from `make_optimizer`.
      positive_weight: see `losses.classification`.
      seed: of the guidance that is drawn.
      aim: see `Objective`.
      shardings: of the state.
      ema: decay of the moving average, reached gradually: (1 + t) / (10 + t) in step t, at most
        this.
      accumulate: parts a batch is computed in, one after the other, for less memory.

    Returns:
      A `functools.partial` of the jitted function. The scalars are the loss terms, and the norms of
      gradients, parameters and updates.
    """

    def gradients_of(params, constants, positive_weight, batch, key, counts=None):
        return jax.grad(
            lambda params: loss_terms(
                graphdef, params, constants, batch, positive_weight, key, aim, counts
            ),
            has_aux=True,
        )(params)

    def accumulated(params, constants, positive_weight, batch, key):
        # Each part divides by its share of the whole batch's count, so that their mean is the
        # batch's however the counted pairs are spread.
        counts = {
            name: jnp.maximum(jnp.sum(batch[name].astype(jnp.float32)), 1.0) / accumulate
            for name in ("labelled", "masked")
        }
        # Devices keep the rows they have: part k is rows k, k + n, k + 2n ... of the batch.
        parts = jax.tree.map(
            lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), batch
        )
        keys = jax.random.split(key, accumulate)

        def add(total, part):
            new = gradients_of(params, constants, positive_weight, *part, counts)
            return jax.tree.map(lambda a, b: a + b / accumulate, total, new), None

        shapes = jax.eval_shape(
            gradients_of,
            params,
            constants,
            positive_weight,
            jax.tree.map(lambda x: x[0], parts),
            key,
        )
        zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        return jax.lax.scan(add, zeros, (parts, keys))[0]

    # The seed is no constant, so that runs of other seeds find the program compiled.
    @functools.partial(jax.jit, donate_argnums=3, out_shardings=(shardings, None))
    def step(constants, positive_weight, seed, state, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        compute = gradients_of if accumulate == 1 else accumulated
        gradients, terms = compute(state.params, constants, positive_weight, batch, key)
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
