"""The content of the page of `egmt app`; `egmt_jax.cli.page_layout` lays it out."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.inference import drawing
from egmt_jax.inference.files import read_pair
from egmt_jax.inference.fuser import Fused, Fuser, by_names
from egmt_jax.io.images import to_rgb, to_uint8, write_png
from egmt_jax.io.pairs import SMALLEST_SIDE, PairFiles
from egmt_jax.io.thermal import infrared_to_unit
from egmt_jax.metrics import METRICS, score_pairs

PREDICTED, CHOSEN, NONE = "predicted", "chosen", "none"

EXAMPLES = (
    ("day", ("person", "bicycle")),
    ("dusk", ("person", "car")),
    ("night", ("person", "car")),
    ("night", ("cyclist", "street lamp")),
)
"""Time and required entities of the made-up scenes."""

EXAMPLE_SIZE = (480, 384)
"""Width and height of a made-up scene in pixels."""


class Example(NamedTuple):
    """A made-up pair: its time of day, and its PNG files."""

    time: str
    visible: pathlib.Path
    infrared: pathlib.Path


class Result(NamedTuple):
    """What the page shows of a fused pair.

    Attributes:
      visible: uint8 RGB [H, W, 3].
      infrared: uint8 RGB [H, W, 3], grey, as the model sees it.
      picture: uint8 RGB [H, W, 3], the fused image.
      fused: has probabilities and attention.
      scores: metric with an arrow towards better, value of the fused image, value of the average of
        the sources, three decimals; empty for images below 17 pixels.
      warnings: about the pair.
    """

    visible: np.ndarray
    infrared: np.ndarray
    picture: np.ndarray
    fused: Fused
    scores: list[tuple[str, float, float]]
    warnings: tuple[str, ...]


def write_examples(folder: str | os.PathLike) -> list[Example]:
    """Renders the made-up scenes into a folder, as PNG files."""
    from tfds_builders.entity_scenes.scene import render_scene  # imports TFDS

    examples = []
    for number, (time, required) in enumerate(EXAMPLES):
        scene = render_scene(np.random.default_rng(number), *EXAMPLE_SIZE, time, required)
        files = [pathlib.Path(folder, f"{number}-{kind}.png") for kind in ("visible", "infrared")]
        write_png(files[0], scene.visible)
        write_png(files[1], scene.infrared)
        examples.append(Example(time, *files))
    return examples


def fuse_pair(
    fuser: Fuser,
    visible: str | os.PathLike | None,
    infrared: str | os.PathLike | None,
    guidance: str = PREDICTED,
    entities: Sequence[str] = (),
) -> Result:
    """Fuses two files.

    Args:
      fuser: a model.
      visible: image file; None: none was given.
      infrared: image file; None: none was given.
      guidance: `PREDICTED`, `CHOSEN` or `NONE`.
      entities: names for `CHOSEN`.

    Raises:
      UserError: about files, named without their folders, or entities.
    """
    if visible is None or infrared is None:
        raise UserError(f"no {'visible' if visible is None else 'infrared'} image: give one")
    if guidance == CHOSEN and not entities:
        raise UserError("no entity is chosen: choose some, or another guidance")
    names = {PREDICTED: None, CHOSEN: entities, NONE: ()}[guidance]
    files = PairFiles("", pathlib.Path(visible), pathlib.Path(infrared))
    try:
        pair, warnings = read_pair(files)
        fused = fuser(pair.visible, pair.infrared, by_names(names))
    except UserError as error:
        raise UserError(_without_folders(str(error), files)) from error
    thermal = infrared_to_unit(pair.infrared[..., 0])
    thermal = thermal if thermal.dtype == np.uint8 else to_uint8(thermal)
    return Result(
        visible=to_rgb(pair.visible),
        infrared=to_rgb(thermal[..., None]),
        picture=to_rgb(fused.image),
        fused=fused,
        scores=_scores(to_uint8(fused.luma), pair.luma, thermal),
        warnings=tuple(_without_folders(warning, files) for warning in warnings),
    )


def _without_folders(message: str, files: PairFiles) -> str:
    """Replaces paths by file names: the server's folders are private."""
    for path in (files.visible, files.infrared):
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
    """(text, name) of the entities to choose from; with a fusion by decreasing probability."""
    if fused is None:
        return [(name, name) for name in names]
    likeliest = sorted(names, key=lambda name: -fused.probabilities[name])
    return [(f"{name} ({fused.probabilities[name]:.0%})", name) for name in likeliest]


def first_choice(fused: Fused | None) -> list[str]:
    """The entities chosen before the user chooses: those predicted, at most 8."""
    return list(fused.predicted[:MOST_ENTITIES]) if fused else []


def attention_choices(fused: Fused) -> list[tuple[str, str]]:
    """(text, name) of the entities whose attention can be drawn, by decreasing peak."""
    return [
        (f"{name} (up to {fused.grid[..., fused.guides.index(name)].max():.2f})", name)
        for name in drawing.strongest(fused)
    ]


def attention_picture(fused: Fused | None, entity: str | None) -> np.ndarray | None:
    """The attention to an entity over the fused image, uint8 RGB; None if it did not guide.

    Also None without a fusion: the page forgets it after some hours.
    """
    if fused is None or entity not in fused.guides:
        return None
    return drawing.attention_panel(drawing.as_rgb(fused.image), fused.attention(entity))
