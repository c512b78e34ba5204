"""Numbers of a config that cannot work, told before any work."""

import math

from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.metrics.scoring import SMALLEST_SIDE
from egmt_jax.models.egmt import CONTEXT_SIDE

SHARE, NOT_NEGATIVE, POSITIVE = (0.0, 1.0), (0.0, math.inf), (1.0, math.inf)

BOUNDS = {
    "seed": (0, 2**31 - 1),
    # As a loss VIF needs the one; the other keeps crops unreduced, so that masks fit the tokens.
    "data.crop": (SMALLEST_SIDE, CONTEXT_SIDE),
    "data.jitter": NOT_NEGATIVE,
    "data.batch_size": POSITIVE,
    "data.workers": NOT_NEGATIVE,
    "model.width": POSITIVE,
    "model.tokens": POSITIVE,
    "model.token_blocks": NOT_NEGATIVE,
    "model.joint_blocks": NOT_NEGATIVE,
    "model.heads": POSITIVE,
    "model.dimension": POSITIVE,
    "guidance.additive": SHARE,
    "guidance.self_guided": SHARE,
    "guidance.unguided": SHARE,
    "guidance.keep": SHARE,
    "guidance.distractors": NOT_NEGATIVE,
    "optimizer.learning_rate": NOT_NEGATIVE,
    "optimizer.warmup": NOT_NEGATIVE,
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.clip": (1e-9, math.inf),  # 0 would clip everything; inf clips nothing
    "optimizer.ema": SHARE,
    "optimizer.accumulate": POSITIVE,
    "classifier.label_smoothing": SHARE,
    "checkpoint.every": NOT_NEGATIVE,
    "checkpoint.keep": POSITIVE,
    "log.every": NOT_NEGATIVE,
    "log.pictures_every": NOT_NEGATIVE,
    "evaluation.every": NOT_NEGATIVE,
    "evaluation.most": POSITIVE,
}
"""Field of the config -> its least and its largest value."""


def check_bounds(config: ConfigDict) -> None:
    """Refuses numbers outside `BOUNDS`, and loss weights or rates of modules below 0.

    Raises:
      UserError: names every such field and what it may be.
    """
    bounds = dict(BOUNDS)
    for part in ("loss", "optimizer.module_rates"):
        bounds |= {f"{part}.{name}": NOT_NEGATIVE for name in _value(config, part) or ()}
    problems = []
    for field, (low, high) in bounds.items():
        value = _value(config, field)
        if not (isinstance(value, (int, float)) and low <= value <= high):
            wanted = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
            problems.append(f"{field}={value!r}: {wanted}")
    if problems:
        raise UserError("; ".join(problems))


def _value(config: ConfigDict, field: str):
    """The value of a field, such as "data.crop"; None where the config has none."""
    for part in field.split(".", 2):
        config = config.get(part) if isinstance(config, ConfigDict) else None
    return config
