"""The content of the page of `egmt app`; `egmt_jax.cli.page_layout` lays it out."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.evaluation.scoring import average, scored_images
from egmt_jax.inference import drawing
from egmt_jax.inference.files import read_pair
from egmt_jax.inference.fuser import Fused, Fuser, by_names
from egmt_jax.io.images import to_rgb, to_uint8, write_png
from egmt_jax.io.pairs import SMALLEST_SIDE, Pair, PairFiles
from egmt_jax.io.thermal import infrared_to_unit
from egmt_jax.metrics import METRICS, score_pairs

PREDICTED, CHOSEN, NONE = "predicted", "chosen", "none"
EXAMPLES = (  # time and required entities of the made-up scenes
    ("day", ("person", "bicycle")),
    ("dusk", ("person", "car")),
    ("night", ("person", "car")),
    ("night", ("cyclist", "street lamp")),
)
EXAMPLE_SIZE = (480, 384)  # width and height in pixels
Path = str | os.PathLike


class Example(NamedTuple):
    """A made-up pair: its PNG files, and a picture (visible left, infrared right) of its scene."""

    visible: pathlib.Path
    infrared: pathlib.Path
    time: str  # of day
    picture: np.ndarray


class Result(NamedTuple):
    """What the page shows of a fused pair; pictures are uint8 RGB [H, W, 3]."""

    visible: np.ndarray
    infrared: np.ndarray  # grey, as the model sees it
    picture: np.ndarray  # the fused image
    fused: Fused
    scores: list[tuple[str, float, float]]  # metric, of the fused image, of the sources' average
    warnings: list[str]


def write_examples(folder: Path) -> list[Example]:
    """Renders the made-up scenes into a folder, as PNG files."""
    from tfds_builders.entity_scenes.scene import render_scene  # imports TFDS

    examples = []
    for number, (time, required) in enumerate(EXAMPLES):
        scene = render_scene(np.random.default_rng(number), *EXAMPLE_SIZE, time, required)
        visible, infrared = (
            pathlib.Path(folder, f"{number}-{kind}.png") for kind in ("visible", "infrared")
        )
        write_png(visible, scene.visible)
        write_png(infrared, scene.infrared)
        left = np.s_[:, : EXAMPLE_SIZE[0] // 2]
        picture = to_rgb(scene.infrared)
        picture[left] = scene.visible[left]
        examples.append(Example(visible, infrared, time, picture))
    return examples


def fuse_pair(
    fuser: Fuser,
    visible: Path | None,
    infrared: Path | None,
    guidance: str = PREDICTED,
    entities: Sequence[str] = (),
) -> Result:
    """Fuses two image files, guided by `PREDICTED`, `NONE`, or the `entities` of `CHOSEN`."""
    if visible is None or infrared is None:
        raise UserError(f"no {'visible' if visible is None else 'infrared'} image: give one")
    if guidance == CHOSEN and not entities:
        raise UserError("no entity is chosen: choose some, or another guidance")
    names = {PREDICTED: None, CHOSEN: entities, NONE: ()}[guidance]
    files = PairFiles("", pathlib.Path(visible), pathlib.Path(infrared))

    def without_folders(message: str) -> str:  # those of the server are private
        for path in (files.visible, files.infrared):
            message = message.replace(str(path), path.name)
        return message

    try:
        pair, warnings = read_pair(files)
        fused = fuser(pair.visible, pair.infrared, by_names(names))
    except UserError as error:
        raise UserError(without_folders(str(error))) from error
    thermal = infrared_to_unit(pair.infrared)
    thermal = thermal if thermal.dtype == np.uint8 else to_uint8(thermal)
    scores = _scores(dataclasses.replace(pair, infrared=thermal), to_uint8(fused.luma))
    pictures = to_rgb(pair.visible), to_rgb(thermal), to_rgb(fused.image)
    return Result(*pictures, fused, scores, [without_folders(warning) for warning in warnings])


def _scores(pair: Pair, luma: np.ndarray) -> list[tuple[str, float, float]]:
    """Metrics with arrows towards better, to three decimals; none of images below 17 pixels."""
    if min(luma.shape) < SMALLEST_SIDE:
        return []
    triples = (scored_images(pair, image) for image in (luma, average(pair)))
    own, plain = score_pairs(triples, progress=False)
    arrows = {"higher": "↑", "lower": "↓"}
    return [
        (f"{name} {arrows[better]}", round(own[name], 3), round(plain[name], 3))
        for name, better in METRICS.items()
    ]


def choices(fused: Fused) -> list[tuple[str, str]]:
    """(text, name) of the entities to choose from, by decreasing probability."""
    likeliest = sorted(fused.probabilities.items(), key=lambda item: -item[1])
    return [(f"{name} ({value:.0%})", name) for name, value in likeliest]


def preselect(guidance: str, entities: list[str], fused: Fused | None) -> list[str]:
    """The entities, or, if `CHOSEN` is picked and none is chosen yet, at most 8 predicted ones."""
    predicted = fused.predicted if fused and guidance == CHOSEN else ()
    return entities or list(predicted[:MOST_ENTITIES])


def attention_choices(fused: Fused) -> list[tuple[str, str]]:
    """(text, name) of the entities whose attention can be drawn, by decreasing peak."""
    peaks = dict(zip(fused.guides, fused.grid.max(axis=(0, 1)), strict=True))
    return [(f"{name} (up to {peaks[name]:.2f})", name) for name in drawing.strongest(fused)]


def attention_picture(fused: Fused | None, entity: str | None) -> np.ndarray | None:
    """The attention to an entity over the fused image, uint8 RGB; None if nothing can be drawn."""
    if fused is None or entity not in fused.guides:  # the page forgets fusions after some hours
        return None
    return drawing.attention_panel(drawing.as_rgb(fused.image), fused.attention(entity))
