"""Ablations of any config: --config=configs/roadscene.py:no_entities.

- no_entities: without the visual-entity level; the classifier stays.
- no_classification: without the loss of the classifier; at test a pair's own entities guide. The
  tokens learn from masks only.
- no_visual_interaction: the streams do not attend to each other.
- average_attention: every token attends to all guiding entities equally; at test a pair's own
  entities guide.
- shuffled_entities: another pair's entities guide, in training and at test.
"""

from ml_collections import ConfigDict

VARIANTS = {
    "no_entities": {
        "model.entity_level": "none",
        "guidance.self_guided": 0.0,
        "guidance.unguided": 1.0,
    },
    "no_classification": {
        "loss.classification": 0.0,
        "guidance.self_guided": 0.0,
        "evaluation.guidance": "own",
    },
    "no_visual_interaction": {"model.visual_interaction": False},
    "average_attention": {
        "model.entity_level": "average",
        "guidance.self_guided": 0.0,
        "evaluation.guidance": "own",
    },
    "shuffled_entities": {
        "guidance.source": "shuffled",
        "guidance.self_guided": 0.0,
        "evaluation.guidance": "shuffled",
    },
}
"""Variant -> the fields that it changes."""


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
    config.update_from_flattened_dict(VARIANTS.get(variant, {}))
    return config
