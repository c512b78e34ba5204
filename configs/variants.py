"""Ablations of any config: --config=configs/roadscene.py:no_entities.

- no_entities: the visual-entity level is removed; the classifier stays.
- same_parameters: the same, widened to the number of parameters of the whole model; fields of the
  model and text features that are set on the command line come after that.
- no_classification: no loss for the classifier; the entities of a pair are given at test.
- no_visual_interaction: the streams do not attend to each other.
- shuffled_entities: another pair's entities are given, in training and at test.
- average_attention: every place looks at all given entities alike.
- sentence_text: the text of a pair is one feature of its whole captions, in place of entities, in
  training and at test; needs the extra [annotate] to embed them.
"""

import math

from ml_collections import ConfigDict

VARIANTS = (
    "no_entities",
    "same_parameters",
    "no_classification",
    "no_visual_interaction",
    "shuffled_entities",
    "average_attention",
    "sentence_text",
)


def vary(config: ConfigDict, variant: str) -> ConfigDict:
    """Changes a config into a variant of it, in place.

    Args:
      config: see `configs/base.py`.
      variant: one of `VARIANTS`, or empty for the config as it is.

    Raises:
      ValueError: there is no such variant.
    """
    if variant and variant not in VARIANTS:
        raise ValueError(f"config variant {variant!r}: known are {', '.join(VARIANTS)}")
    if variant in ("no_entities", "same_parameters"):
        goal = count_parameters(config)
        config.model.entity_level = "none"
        config.guidance.update(self_guided=0.0, unguided=1.0)
        if variant == "same_parameters":
            _widen(config, goal)
    elif variant == "no_classification":
        config.loss.update(classification=0.0, localisation=0.0)
        config.guidance.self_guided = 0.0
        config.evaluation.given = "own"
    elif variant == "no_visual_interaction":
        config.model.visual_interaction = False
    elif variant == "shuffled_entities":
        config.guidance.update(given="shuffled", self_guided=0.0)
        config.evaluation.given = "shuffled"
    elif variant == "average_attention":
        config.model.entity_level = "average"
        config.guidance.self_guided = 0.0
        config.evaluation.given = "own"
    elif variant == "sentence_text":
        config.guidance.update(given="sentence", self_guided=0.0)
        config.evaluation.given = "sentence"
    return config


def count_parameters(config: ConfigDict) -> int:
    """Trained parameters of a config's model; nothing is computed."""
    import jax
    import numpy as np
    from flax import nnx

    from egmt_jax.entities import load_text_features
    from egmt_jax.models import EGMT

    table = np.zeros_like(load_text_features(config.text_features).features)
    settings = config.model.to_dict() | {"dtype": np.float32}
    model = nnx.eval_shape(lambda: EGMT(table, **settings, rngs=nnx.Rngs(0)))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def _widen(config: ConfigDict, goal: int) -> None:
    """Raises the width, then the channels of the tokens, as far as `goal` parameters allow."""
    model = config.model
    for field, step in (("width", model.heads // math.gcd(model.heads, 2)), ("tokens", 1)):
        while count_parameters(config) <= goal:
            model[field] += step
        model[field] -= step
