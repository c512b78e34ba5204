"""What the page of `egmt app` shows of a pair; `egmt_jax.cli.page_layout` lays it out."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from egmt_jax.errors import UserError
from egmt_jax.inference.files import Job, read_pair
from egmt_jax.inference.fuser import MOST_ENTITIES, Fused, Fuser
from egmt_jax.inference.overlay import LABEL, attention_overlay
from egmt_jax.io.images import to_grey, to_rgb, to_uint8, write_png
from egmt_jax.io.thermal import infrared_to_unit
from egmt_jax.metrics import METRICS, score_pairs
from egmt_jax.metrics.scoring import SMALLEST_SIDE

PREDICTED, CHOSEN, NONE = "predicted", "chosen", "none"
GUIDANCE = (PREDICTED, CHOSEN, NONE)

EXAMPLES = (
    ("day", ("person", "bicycle")),
    ("dusk", ("person", "car")),
    ("night", ("person", "car")),
    ("night", ("cyclist", "street lamp")),
)
"""Time and required entities of the made-up scenes."""

EXAMPLE_SIZE = (480, 384)
"""Width and height of a made-up scene, pixels."""


class Example(NamedTuple):
    """A made-up pair.

    Attributes:
      time: "day", "dusk" or "night".
      visible: PNG file.
      infrared: PNG file.
    """

    time: str
    visible: pathlib.Path
    infrared: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Result:
    """What is shown of a pair that has been fused.

    Attributes:
      visible: uint8 RGB [H, W, 3].
      infrared: uint8 RGB [H, W, 3], grey, as the model saw it.
      picture: uint8 RGB [H, W, 3], the fused picture.
      fused: tells probabilities and attention.
      scores: metric with an arrow towards better, value of the fused picture, value of the plain
        average of the sources, three decimals; empty for pictures of less than 17 pixels.
      warnings: what is suspicious about the pair.
    """

    visible: np.ndarray
    infrared: np.ndarray
    picture: np.ndarray
    fused: Fused
    scores: list[tuple[str, float, float]]
    warnings: tuple[str, ...]


def write_examples(folder: str | os.PathLike) -> list[Example]:
    """Renders the made-up scenes into a folder, as PNG files."""
    from tfds_builders.entity_scenes.scene import render_scene  # which imports TFDS

    examples = []
    for number, (time, required) in enumerate(EXAMPLES):
        scene = render_scene(np.random.default_rng(number), *EXAMPLE_SIZE, time, required)
        example = Example(
            time,
            pathlib.Path(folder, f"{number}-visible.png"),
            pathlib.Path(folder, f"{number}-infrared.png"),
        )
        write_png(example.visible, scene.visible)
        write_png(example.infrared, scene.infrared)
        examples.append(example)
    return examples


def fuse_pair(
    fuser: Fuser,
    visible: str | os.PathLike | None,
    infrared: str | os.PathLike | None,
    guidance: str = PREDICTED,
    entities: Sequence[str] = (),
) -> Result:
    """Fuses two files and tells what is to be shown.

    Args:
      fuser: of a model.
      visible: image file; None: none was given.
      infrared: likewise.
      guidance: one of `GUIDANCE`.
      entities: names, for the guidance "chosen" only.

    Raises:
      UserError: a file is missing or not an image, their shapes differ or are below 16 pixels, or
        no or more than 8 entities are chosen. Files are named without their folders.
    """
    for name, path in (("visible", visible), ("infrared", infrared)):
        if path is None:
            raise UserError(f"no {name} picture: give one")
    if guidance == CHOSEN and not entities:
        raise UserError("no entity is chosen: choose some, or another guidance")
    names = {PREDICTED: None, CHOSEN: list(entities), NONE: []}[guidance]
    job = Job(pathlib.Path(visible), pathlib.Path(infrared), pathlib.Path())
    try:
        pair = read_pair(job)
        fused = fuser(pair.visible, pair.infrared, names)
    except UserError as error:
        raise UserError(_without_folders(str(error), job)) from error
    heat = infrared_to_unit(to_grey(pair.infrared))
    heat = heat if heat.dtype == np.uint8 else to_uint8(heat)
    return Result(
        visible=to_rgb(pair.visible),
        infrared=to_rgb(heat[..., None]),
        picture=to_rgb(fused.image),
        fused=fused,
        scores=_scores(to_uint8(fused.fused), to_grey(pair.visible), heat),
        warnings=tuple(_without_folders(warning, job) for warning in pair.warnings),
    )


def _without_folders(message: str, job: Job) -> str:
    """Names files as their owner does: where a server keeps them is no business of the page."""
    for path in (job.visible, job.infrared):
        message = message.replace(str(path), path.name)
    return message


def _scores(
    fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray
) -> list[tuple[str, float, float]]:
    if min(fused.shape) < SMALLEST_SIDE:
        return []
    average = to_uint8((visible.astype(np.float32) + infrared) / np.float32(510.0))
    triples = [("fused", fused, visible, infrared), ("average", average, visible, infrared)]
    own, plain = score_pairs(triples, progress=False)
    arrows = {"higher": "↑", "lower": "↓"}
    return [
        (f"{name} {arrows[better]}", round(own[name], 3), round(plain[name], 3))
        for name, better in METRICS.items()
    ]


def choices(names: Sequence[str], fused: Fused | None = None) -> list[tuple[str, str]]:
    """What the list of entities offers: (text, name).

    Args:
      names: of the entities of the model.
      fused: of the pair; where there is one, the likeliest come first with their probability.
    """
    if fused is None:
        return [(name, name) for name in names]
    likeliest = sorted(names, key=lambda name: -fused.probabilities[name])
    return [(f"{name} ({fused.probabilities[name]:.0%})", name) for name in likeliest]


def first_choice(fused: Fused | None) -> list[str]:
    """The entities that are chosen until the user has chosen others: those predicted, 8 at most."""
    return list(fused.predicted[:MOST_ENTITIES]) if fused else []


def looked_at(fused: Fused) -> list[tuple[str, str]]:
    """The entities whose attention can be drawn, the strongest first: (text, name)."""
    if not fused.guides:
        return []
    peaks = fused.grid.max(axis=(0, 1))
    return [
        (f"{fused.guides[k]} (up to {peaks[k]:.2f})", fused.guides[k]) for k in np.argsort(-peaks)
    ]


def attention_picture(fused: Fused | None, entity: str | None) -> np.ndarray | None:
    """The attention of an entity drawn over the picture, uint8 RGB; None where nothing guided.

    Without a fusion too: it is forgotten after some hours.
    """
    # Its label, below, is cut: the list of entities tells the same.
    if fused is None or entity not in fused.guides:
        return None
    return attention_overlay(fused, [entity])[:-LABEL]
