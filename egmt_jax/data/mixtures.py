"""The sets that a config trains on: one, or several mixed by weight."""

import math
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from egmt_jax.data import datasets, pipeline
from egmt_jax.data.examples import Targets, multi_hot
from egmt_jax.entities import Vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair, raise_problems

FIELDS = ("name", "weight")


class Component(NamedTuple):
    """One opened set of a mixture, and the relative number of its examples."""

    data_set: pipeline.DataSet
    weight: float


def open_mixture(data: ConfigDict) -> list[Component]:
    """Opens every set with a positive weight that a config trains on.

    Args:
      data: the config's `data` part. `mixture` has an entry per set with `name` and
        `weight`; if it is empty, the set is `data.name`.

    Raises:
      UserError: an entry is wrong, or sets are missing or broken; the message lists all of them.
    """
    entries = {
        f"data.mixture.{label}": entry for label, entry in data.mixture.to_dict().items()
    } or {"data": {"name": data.name, "weight": 1.0}}
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
            mixture.append(Component(data_set, entry["weight"]))
        except UserError as error:
            problems.append(str(error))
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
    weight = entry.get("weight", 0.0)
    if not (isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0.0):
        problems.append(f"{where}.weight={weight!r} must be at least 0")
    return problems


def describe(mixture: list[Component], split: str) -> list[str]:
    """What determines the examples and their order: a line per set with fingerprint and weight."""
    return [
        f"{data_set.name}, {len(datasets.records(data_set, split))} pairs in {split}, "
        f"weight {weight:g}"
        for data_set, weight in mixture
    ]


def read_labels(
    mixture: list[Component], split: str, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """Reads and checks the names of every training record, and how often each is drawn.

    Returns:
      labels: float32 [records, K], what the classifier should predict; zeros without labels.
      shares: float64 [records], relative frequency of each record, with mean 1.

    Raises:
      UserError: a set has no such split, or names outside the vocabulary.
    """
    labels, shares = [], []
    for data_set, weight in mixture:
        records = datasets.records(data_set, split, images=False)
        problems = []
        for record in map(records.__getitem__, range(len(records))):
            field = "present" if record["has_present"] else "entities"
            try:
                named = pipeline.decode([*record["entities"], *record["mask_entities"]])
                multi_hot(named, vocabulary)
                labels.append(multi_hot(pipeline.decode(record[field]), vocabulary))
            except UserError as error:
                problems.append(f"pair {record['id'].decode()}: {error}")
        raise_problems(
            f"{data_set.name}: correct its annotations, or delete {data_set.path} if it was "
            "prepared for another vocabulary:",
            problems,
        )
        shares += [weight / len(records)] * len(records)
    return np.stack(labels), np.asarray(shares) / np.mean(shares)


def training_parts(
    mixture: list[Component], data: ConfigDict, vocabulary: Vocabulary
) -> list[pipeline.Part]:
    """The arguments of `pipeline.training_batches` for a config's `data` part."""
    return [
        pipeline.Part(
            datasets.records(data_set, data.train_split),
            pipeline.Augment(data.view, data.crop, data.crops, vocabulary, Targets(data.contrast)),
            weight,
        )
        for data_set, weight in mixture
    ]


def sample_pairs(mixture: list[Component], split: str, most: int) -> list[Pair]:
    """Up to `most` pairs of a split, from all sets in turn; sets without the split are skipped."""
    sources = [component.data_set.records(split) for component in mixture]
    rows = [(row, records) for row in range(most) for records in sources if row < len(records)]
    return [pipeline.to_pair(records[row]) for row, records in rows[:most]]
