"""The sets that a config trains on: one, or several mixed by weight."""

import dataclasses
import math
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from egmt_jax.data import datasets, pipeline
from egmt_jax.data.folder import Folder
from egmt_jax.entities import Vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair

FIELDS = ("name", "weight", "full_frame_probability")


@dataclasses.dataclass(frozen=True)
class Component:
    """One opened set of a mixture.

    Attributes:
      data_set: the set.
      weight: relative number of examples.
      full_frame_probability: see `pipeline.CropAndAugment`.
    """

    data_set: datasets.Prepared | Folder
    weight: float
    full_frame_probability: float


def open_mixture(data: ConfigDict) -> list[Component]:
    """Opens every set with a positive weight that a config trains on.

    Args:
      data: the config's `data` part. `mixture` has an entry per set with `name`, `weight` and
        optionally `full_frame_probability`; if it is empty, the set is `data.name`.

    Raises:
      UserError: an entry is wrong, or sets are missing or broken; the message lists all of them.
    """
    common = {"full_frame_probability": data.full_frame_probability}
    entries = {
        f"data.mixture.{label}": common | entry for label, entry in data.mixture.to_dict().items()
    } or {"data": common | {"name": data.name, "weight": 1.0}}
    problems = [problem for field, entry in entries.items() for problem in _check(field, entry)]
    used = [entry for entry in entries.values() if entry.get("weight")]
    if not used:
        problems.append("data.mixture: all weights are 0; set a positive weight")
    if problems:
        raise UserError("; ".join(problems))
    mixture: list[Component] = []
    for entry in used:
        try:
            data_set = datasets.open_set(entry["name"], data)
        except UserError as error:
            problems.append(str(error))
            continue
        mixture.append(Component(data_set, entry["weight"], entry["full_frame_probability"]))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return mixture


def _check(where: str, entry: dict[str, Any]) -> list[str]:
    """Problems of an entry, by config field."""
    problems = [
        f"{where}.{field}: unknown; known fields are {', '.join(FIELDS)}"
        for field in sorted(set(entry) - set(FIELDS))
    ]
    problems += [f"{where}.{field} is missing" for field in FIELDS if field not in entry]
    for field, most in (("weight", math.inf), ("full_frame_probability", 1.0)):
        value = entry.get(field, 0.0)
        if not (isinstance(value, (int, float)) and math.isfinite(value) and 0.0 <= value <= most):
            bounds = "at least 0" if most == math.inf else f"between 0 and {most:g}"
            problems.append(f"{where}.{field}={value!r} must be {bounds}")
    return problems


def describe(mixture: list[Component], split: str) -> list[str]:
    """What determines the examples and their order: a line per set with fingerprint and weight.

    Raises:
      UserError: a set has no such split.
    """
    return [
        f"{component.data_set.name}, "
        f"{len(datasets.records(component.data_set, split, images=False))} pairs in {split}, "
        f"weight {component.weight:g}"
        for component in mixture
    ]


def read_labels(
    mixture: list[Component], split: str, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of every training record, and how often each record is drawn.

    Args:
      mixture: from `open_mixture`.
      split: the training split.
      vocabulary: must contain all names.

    Returns:
      labels: float32 [records, K], see `pipeline.read_labels`.
      shares: float64 [records], relative frequency of each record, with mean 1.

    Raises:
      UserError: a set has no such split, or names outside the vocabulary.
    """
    labels, shares = [], []
    for component in mixture:
        records = datasets.records(component.data_set, split, images=False)
        try:
            labels.append(pipeline.read_labels(records, vocabulary))
        except UserError as error:
            raise UserError(
                f"{component.data_set.name}: correct its annotations, or delete "
                f"{component.data_set.path} if it was prepared for another vocabulary:\n{error}"
            ) from error
        shares.append(np.full(len(records), component.weight / len(records)))
    everything = np.concatenate(shares)
    return np.concatenate(labels), everything / everything.mean()


def training_parts(
    mixture: list[Component], data: ConfigDict, vocabulary: Vocabulary
) -> list[pipeline.Part]:
    """The arguments of `pipeline.training_batches` for a config's `data` part."""
    return [
        pipeline.Part(
            datasets.records(component.data_set, data.train_split),
            pipeline.CropAndAugment(
                data.crop, component.full_frame_probability, data.jitter, vocabulary
            ),
            component.weight,
        )
        for component in mixture
    ]


def sample_pairs(mixture: list[Component], split: str, most: int) -> list[Pair]:
    """Up to `most` pairs of a split, from all sets in turn; sets without the split are skipped."""
    sources = [
        records for component in mixture if len(records := component.data_set.records(split))
    ]
    rows = [(row, records) for row in range(most) for records in sources if row < len(records)]
    return [pipeline.to_pair(records[row]) for row, records in rows[:most]]
