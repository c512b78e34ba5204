"""Annotates folders of pairs with captions and entities, one JSON line per pair, resumable."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from egmt_jax.entities.annotations import FIELDS, read_captions, to_lines
from egmt_jax.entities.answers import merge_entities, parse_answer
from egmt_jax.errors import UserError
from egmt_jax.io.images import check_writable, read_image, summarise, to_rgb
from egmt_jax.io.pairs import find_pairs, raise_problems

QUESTION = "Question: list every kind of object visible in this image. Answer:"

Captioner = Callable[[Sequence[np.ndarray], str | None], list[str]]
Detector = Callable[[Sequence[str]], list[str]]


def annotate_folders(
    visible: str | os.PathLike,
    infrared: str | os.PathLike,
    out: str | os.PathLike,
    load_models: Callable[[], tuple[Captioner, Detector]],
    *,
    models: Mapping[str, str],
    batch_size: int = 8,
) -> dict[str, str]:
    """Appends a line for each pair of two folders that `out` does not have yet.

    Lines are written batch by batch, so an interrupted run continues where it stopped. A line holds
    `id`, `caption_visible`, `caption_infrared`, `entities` (most salient first), `present` (the
    entities and everything else of the vocabulary that the captioner lists for either image),
    `outside_vocabulary` (the detector's other phrases) and the entries of `models`.

    Args:
      visible: folder of visible images.
      infrared: folder of infrared images of the same names.
      out: the .jsonl file to write or to continue.
      load_models: returns what `load_captioner` and `load_detector` return; called only if there is
        work to do.
      models: names of the models; a file of other models is not continued.
      batch_size: pairs per batch.

    Returns:
      The pairs that could not be annotated: id -> reason.

    Raises:
      UserError: the folders do not match, or `out` is damaged, was made with other models, has
        ids that the folders lack, or cannot be written.
    """
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: must be 1 or more")
    pairs, problems = find_pairs(pathlib.Path(visible), pathlib.Path(infrared))
    raise_problems("pairs to annotate:", problems)
    out = pathlib.Path(out)
    finished = _resume(out, [pair.id for pair in pairs], models)
    todo = [pair for pair in pairs if pair.id not in finished]
    failed: dict[str, str] = {}
    if not todo:
        return failed
    check_writable(out)
    captioner, detector = load_models()
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        out.open("ab") as file,
        tqdm(total=len(pairs), initial=len(finished), unit="pair", desc="annotate") as progress,
    ):
        for start in range(0, len(todo), batch_size):
            images: dict[str, list[np.ndarray]] = {}
            for pair in todo[start : start + batch_size]:
                try:
                    files = (pair.visible, pair.infrared)
                    images[pair.id] = [to_rgb(read_image(path)) for path in files]
                except UserError as error:
                    failed[pair.id] = str(error)
            if images:
                file.write(to_lines(_annotate(images, captioner, detector, models)))
                file.flush()
                os.fsync(file.fileno())
            progress.update(len(images))
    return failed


def _annotate(
    pairs: Mapping[str, list[np.ndarray]],
    captioner: Captioner,
    detector: Detector,
    models: Mapping[str, str],
) -> list[dict]:
    """The records of a batch of images by id; both images of a pair are in one batch."""
    images = [image for pair in pairs.values() for image in pair]
    captions, listed = captioner(images, None), captioner(images, QUESTION)
    answers = detector(captions)
    records = []
    for index, identity in enumerate(pairs):
        both = slice(2 * index, 2 * index + 2)
        entities, outside = merge_entities(answers[both], *captions[both])
        present = list(dict.fromkeys([*entities, *parse_answer("\n".join(listed[both]))[0]]))
        records.append(
            dict(zip(FIELDS, (identity, *captions[both]), strict=True))
            | {"entities": entities, "present": present, "outside_vocabulary": outside}
            | models
        )
    return records


def _resume(out: pathlib.Path, ids: Sequence[str], models: Mapping[str, str]) -> set[str]:
    """The ids that a file of an earlier run has; removes an incomplete last line from it."""
    if not out.is_file() or not _drop_incomplete_line(out):
        return set()
    records = read_captions(out)
    for record in records:
        for kind, model in models.items():
            if record.get(kind) != model:
                raise UserError(
                    f"{out}: {record['id']} was annotated with {kind} {record.get(kind)}, not "
                    f"{model}; give another --out or the same models"
                )
    finished = {record["id"] for record in records}
    if unknown := finished.difference(ids):
        raise UserError(
            f"{out}: has {summarise(unknown)}, which the folders lack; give another --out"
        )
    return finished


def _drop_incomplete_line(out: pathlib.Path) -> bool:
    """Truncates a file that a crash cut short; returns whether any lines are left."""
    content = out.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with contextlib.suppress(ValueError):  # perhaps only the line end is missing
            json.loads(content[end:])
            with out.open("ab") as file:
                file.write(b"\n")
            return True
        os.truncate(out, end)
    return end > 0
