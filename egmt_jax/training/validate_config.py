"""Validates all fields of a config before training starts."""

import math

from ml_collections import ConfigDict

from egmt_jax.errors import UserError
from egmt_jax.evaluation.guidance import POLICIES
from egmt_jax.metrics import METRICS
from egmt_jax.models.egmt import CELL, CONTEXT_SIDE, SMALLEST_SIDE
from egmt_jax.models.interaction import ENTITY_LEVELS
from egmt_jax.training.step import SOURCES, TERMS

SHARE, NOT_NEGATIVE = (0.0, 1.0), (0.0, math.inf)
COUNT, POSITIVE_COUNT = (0, math.inf), (1, math.inf)

BOUNDS = {
    "seed": (0, 2**31 - 1),
    "data.view": (SMALLEST_SIDE, CONTEXT_SIDE),
    "data.crop": (SMALLEST_SIDE, math.inf),
    "data.crops": POSITIVE_COUNT,
    "data.contrast": (0.25, 2.0),
    "data.batch_size": POSITIVE_COUNT,
    "data.workers": COUNT,
    **{
        f"model.{name}": POSITIVE_COUNT
        for name in ("width", "tokens", "deep_tokens", "heads", "dimension")
    },
    "model.patch": (2, 4),
    "model.token_blocks": COUNT,
    **{f"guidance.{name}": SHARE for name in ("self_guided", "unguided", "keep")},
    "guidance.distractors": NOT_NEGATIVE,
    **{f"loss.{name}": (0.0, 1e6) for name in TERMS},
    **{f"optimizer.{name}": NOT_NEGATIVE for name in ("learning_rate", "weight_decay")},
    "optimizer.warmup": COUNT,
    "optimizer.steps": POSITIVE_COUNT,
    "optimizer.clip": (1e-9, math.inf),  # 0 would clip everything; inf clips nothing
    "optimizer.ema": SHARE,
    "mesh.data": (-1, math.inf),
    "mesh.model": POSITIVE_COUNT,
    **{f"{part}.every": COUNT for part in ("checkpoint", "log", "evaluation")},
    "checkpoint.keep": POSITIVE_COUNT,
    "log.pictures_every": COUNT,
    "evaluation.most": POSITIVE_COUNT,
}
"""Numeric field -> least and largest value; the field is an integer if the least value is one."""

CHOICES = {
    "model.entity_level": ENTITY_LEVELS,
    "model.dtype": ("float32", "bfloat16"),
    "guidance.source": SOURCES,
    "evaluation.metric": tuple(METRICS),
    "evaluation.guidance": POLICIES,
}
"""Text field -> its values."""

FREE = {
    *("start_from", "text_features", "profile", "model.visual_interaction"),
    "data.mixture",  # `mixtures.open_mixture` checks it
    *(f"data.{name}" for name in ("name", "data_dir", "manual_dir", "root")),
    *(f"data.{name}_split" for name in ("train", "validation", "test")),
}
"""Other fields; names of files, sets and splits are checked where they are opened."""


def validate_config(config: ConfigDict) -> None:
    """Raises UserError with one line about every unknown field and every wrong value."""
    fields = dict(_fields(config))
    problems = []
    for field, value in fields.items():
        if field in BOUNDS:
            low, high = BOUNDS[field]
            kinds = (int,) if isinstance(low, int) else (int, float)
            if type(value) not in kinds or not low <= value <= high:
                bounds = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
                problems.append(f"{field}={value!r}: must be {bounds}")
        elif field in CHOICES:
            if value not in CHOICES[field]:
                problems.append(f"{field}={value!r}: must be one of {', '.join(CHOICES[field])}")
        elif field not in FREE:
            part = field.partition(".")[0]
            known = sorted({*BOUNDS, *CHOICES, *FREE})
            near = [name for name in known if name.startswith(f"{part}.")] or known
            problems.append(f"{field}: no such field; there are {', '.join(near)}")
    missing = sorted(({*BOUNDS, *CHOICES, *FREE}) - set(fields))
    problems += [f"{field} is missing" for field in missing]
    if not problems:
        problems += _conflicts(fields)
    if problems:
        raise UserError("; ".join(problems))


def _conflicts(fields: dict) -> list[str]:
    """Values that do not fit together."""
    heads, twice = fields["model.heads"], 2 * fields["model.width"]
    shares = fields["guidance.self_guided"] + fields["guidance.unguided"]
    shuffled = fields["guidance.source"] == "shuffled"
    checks = [
        (fields["data.view"] % (2 * CELL) == 0, f"data.view: must be a multiple of {2 * CELL}"),
        (fields["model.patch"] != 3, "model.patch=3: must be 2 or 4"),
        (twice % heads == 0, f"model.heads={heads}: must divide twice the width, {twice}"),
        (shares <= 1.0, "guidance.self_guided + guidance.unguided: must be at most 1"),
        (
            fields["data.batch_size"] > 1 or not shuffled,
            "guidance.source='shuffled': needs data.batch_size of at least 2",
        ),
    ]
    return [problem for right, problem in checks if not right]


def _fields(config: ConfigDict, prefix: str = ""):
    for name, value in config.items():
        if isinstance(value, ConfigDict) and f"{prefix}{name}" not in FREE:
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
