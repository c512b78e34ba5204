"""The sets a config trains on: one, or several mixed by weight."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from egmt_jax.data import datasets, pipeline
from egmt_jax.entities import Vocabulary
from egmt_jax.errors import UserError

FIELDS = ("name", "weight", "whole", "detail")


@dataclasses.dataclass(frozen=True)
class Component:
    """One set of a mixture, opened.

    Attributes:
      data_set: for `egmt_jax.data.datasets.source`.
      weight: how many examples it gives, relative to the other components.
      whole: share of examples that show the whole pair, see `pipeline.CropAndAugment`.
      detail: weight of its examples in the losses of gradient, structure, information and edges.
    """

    data_set: Any
    weight: float
    whole: float
    detail: float


def open_mixture(data: ConfigDict) -> list[Component]:
    """Opens every set that a config trains on; those of weight 0 are left out.

    Args:
      data: the config's `data` part. `mixture` has an entry per set: `name` and `weight`, and
        where they differ from those of `data`, `whole` and `detail`. Empty, it means `data.name`.

    Raises:
      UserError: an entry is wrong, or sets are missing or broken; the message lists all of them.
    """
    common = {"whole": data.whole, "detail": data.detail}
    entries = {
        f"data.mixture.{label}": common | entry for label, entry in data.mixture.to_dict().items()
    } or {"data": common | {"name": data.name, "weight": 1.0}}
    problems = [problem for field, entry in entries.items() for problem in _check(field, entry)]
    used = [entry for entry in entries.values() if entry.get("weight")]
    if not used:
        problems.append("data.mixture: every weight is 0; give a set a weight")
    if problems:
        raise UserError("; ".join(problems))
    mixture: list[Component] = []
    for entry in used:
        try:
            data_set = datasets.open_set(entry["name"], data)
        except UserError as error:
            problems.append(str(error))
            continue
        mixture.append(Component(data_set, entry["weight"], entry["whole"], entry["detail"]))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return mixture


def _check(where: str, entry: dict[str, Any]) -> list[str]:
    """What is wrong with an entry, by the names of its fields in the config."""
    unknown = sorted(set(entry) - set(FIELDS))
    missing = [field for field in FIELDS if field not in entry]
    problems = [f"{where}.{field}: known are {', '.join(FIELDS)}" for field in unknown]
    problems += [f"{where}.{field} is missing" for field in missing]
    for field, most in (("weight", math.inf), ("whole", 1.0), ("detail", 1.0)):
        value = entry.get(field, 0.0)
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and 0.0 <= value <= most):
            bounds = "0 or more" if most == math.inf else f"0 to {most:g}"
            problems.append(f"{where}.{field}={value!r} must be {bounds}")
    return problems


def describe(mixture: list[Component], split: str) -> list[str]:
    """What decides the order of the examples, a line per set: its version, size and weight.

    Args:
      mixture: from `open_mixture`.
      split: to train on.

    Raises:
      UserError: a set has no such split.
    """
    return [
        f"{datasets.identity(component.data_set)}, "
        f"{len(datasets.source(component.data_set, split, images=False))} pairs in {split}, "
        f"weight {component.weight:g}"
        for component in mixture
    ]


def read_labels(
    mixture: list[Component], split: str, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """The entities of every record that trains, and how often each record is drawn.

    Args:
      mixture: from `open_mixture`.
      split: to train on.
      vocabulary: that the entities must be in.

    Returns:
      labels: float32 [records, K], see `pipeline.check_entities`.
      shares: float64 [records], mean 1: how often a record is drawn, relative to the others.

    Raises:
      UserError: a set has no such split, or entities outside the vocabulary.
    """
    labels, shares = [], []
    for component in mixture:
        source = datasets.source(component.data_set, split, images=False)
        try:
            labels.append(pipeline.check_entities(source, vocabulary))
        except UserError as error:
            raise UserError(
                f"{datasets.identity(component.data_set)}: correct its annotations, or delete "
                f"{datasets.place(component.data_set)} if it was prepared for another vocabulary:\n"
                f"{error}"
            ) from error
        shares.append(np.full(len(source), component.weight / len(source)))
    everything = np.concatenate(shares)
    return np.concatenate(labels), everything / everything.mean()


def read_captions(mixture: list[Component], split: str) -> list[str]:
    """The caption of every pair of a split, see `pipeline.caption_of`.

    Sets without the split give none.
    """
    captions = []
    for component in mixture:
        try:
            source = datasets.source(component.data_set, split, images=False)
        except UserError:  # as in `sample_pairs`
            continue
        captions += [pipeline.caption_of(source[row]) for row in range(len(source))]
    return captions


def training_parts(
    mixture: list[Component],
    data: ConfigDict,
    vocabulary: Vocabulary,
    sentences: Mapping[str, np.ndarray] | None = None,
) -> list[pipeline.Part]:
    """What `pipeline.training_batches` takes.

    Args:
      mixture: from `open_mixture`.
      data: the config's `data` part: `train_split`, `crop` and `jitter` are read.
      vocabulary: of the entity ids.
      sentences: features of the captions, see `pipeline.CropAndAugment`.
    """
    return [
        pipeline.Part(
            datasets.source(component.data_set, data.train_split),
            pipeline.CropAndAugment(
                data.crop,
                component.whole,
                data.jitter,
                vocabulary,
                component.detail,
                sentences,
            ),
            component.weight,
        )
        for component in mixture
    ]


def sample_pairs(mixture: list[Component], split: str, most: int) -> list[pipeline.Pair]:
    """A few pairs to look at, of all sets in turn; those without the split give none."""
    sources = []
    for component in mixture:
        try:
            sources.append(datasets.source(component.data_set, split))
        except UserError:  # a set without held-out pairs can be trained on all the same
            continue
    rows = [(row, source) for row in range(most) for source in sources if row < len(source)]
    return [pipeline.to_pair(source[row]) for row, source in rows[:most]]
