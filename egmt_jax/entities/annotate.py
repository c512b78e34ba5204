"""Annotates folders of pairs: captions, then entities, one JSON line a pair, resumable."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from egmt_jax.entities.annotations import FIELDS, read_captions, to_lines
from egmt_jax.entities.detector import merge_entities
from egmt_jax.errors import UserError
from egmt_jax.io.images import list_images, match_stems, read_image, summarise, to_rgb


def annotate_folders(
    visible: str | os.PathLike,
    infrared: str | os.PathLike,
    out: str | os.PathLike,
    load_models: Callable[[], tuple[Callable, Callable]],
    *,
    models: Mapping[str, str],
    batch_size: int = 8,
) -> dict[str, str]:
    """Writes `id`, two captions and entities of every pair of two folders.

    Lines are appended batch by batch, so that an interrupted run goes on where it stopped: pairs
    that the file has are skipped, and a last line cut short by a crash is dropped. A line holds
    `id` (file name without extension), `caption_visible`, `caption_infrared`, `entities` (of the
    vocabulary), `outside_vocabulary` (the detector's other words) and what `models` holds.

    Args:
      visible: folder of visible images.
      infrared: folder of infrared images of the same names.
      out: the .jsonl file to write or to go on with.
      load_models: gives the captioner, images -> captions, and the detector, captions -> answers;
        called only if there is work to do.
      models: names of the models, written to each line and compared with those of the lines there.
      batch_size: pairs at a time.

    Returns:
      The pairs that could not be annotated: id -> reason.

    Raises:
      UserError: the folders do not match, or `out` is damaged, was made with other models, or has
        ids that the folders lack.
    """
    from tqdm import tqdm

    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: must be 1 or more")
    files = {"visible": list_images(visible), "infrared": list_images(infrared)}
    stems = match_stems(files)
    out = pathlib.Path(out)
    finished = _resume(out, stems, models)
    todo = [stem for stem in stems if stem not in finished]
    failed: dict[str, str] = {}
    if not todo:
        return failed
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from error
    try:
        captioner, detector = load_models()
    except UserError:
        if not out.stat().st_size:
            out.unlink()  # nothing was written: leave no trace
        raise
    with (
        out.open("ab") as file,
        tqdm(total=len(stems), initial=len(finished), unit="pair", desc="annotate") as progress,
    ):
        for start in range(0, len(todo), batch_size):
            pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
            for stem in todo[start : start + batch_size]:
                try:
                    pairs[stem] = tuple(
                        to_rgb(read_image(files[side][stem])) for side in ("visible", "infrared")
                    )
                except UserError as error:
                    failed[stem] = str(error)
            if pairs:
                records = _annotate(pairs, captioner, detector, models)
                file.write(to_lines(records))
                file.flush()
                os.fsync(file.fileno())
            progress.update(len(pairs))
    return failed


def _annotate(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    captioner: Callable[[Sequence[np.ndarray]], list[str]],
    detector: Callable[[Sequence[str]], list[str]],
    models: Mapping[str, str],
) -> list[dict]:
    """The records of a batch: both images of each pair go through the models together."""
    captions = captioner([image for pair in pairs.values() for image in pair])
    answers = detector(captions)
    records = []
    for index, stem in enumerate(pairs):
        both = slice(2 * index, 2 * index + 2)
        entities, outside = merge_entities(answers[both], *captions[both])
        record = dict(zip(FIELDS, (stem, *captions[both]), strict=True))
        records.append(record | {"entities": entities, "outside_vocabulary": outside, **models})
    return records


def _resume(out: pathlib.Path, stems: Sequence[str], models: Mapping[str, str]) -> set[str]:
    """Ids that a file of an earlier run has, after cutting off a torn last line."""
    if not out.exists() or not out.stat().st_size:
        return set()
    _drop_torn_line(out)
    if not out.stat().st_size:
        return set()
    records = read_captions(out)
    for record in records:
        for kind, model in models.items():
            if record.get(kind) != model:
                raise UserError(
                    f"{out}: {record['id']} was annotated with {kind} {record.get(kind)}, not "
                    f"{model}; give another --out or the same models"
                )
    strangers = {record["id"] for record in records}.difference(stems)
    if strangers:
        raise UserError(
            f"{out}: has {summarise(strangers)}, which the folders lack; give another --out"
        )
    return {record["id"] for record in records}


def _drop_torn_line(out: pathlib.Path) -> None:
    """Truncates a file after its last complete line; a last line that is whole JSON is kept."""
    content = out.read_bytes()
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return
    try:
        json.loads(content[end:])
    except ValueError:
        with out.open("r+b") as file:
            file.truncate(end)
    else:
        with out.open("ab") as file:
            file.write(b"\n")
