"""Annotates folders of pairs with captions and entities, by a captioner and an entity detector."""

import pathlib
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from egmt_jax.entities.annotations import FIELDS, read_captions, to_lines
from egmt_jax.entities.extraction import extract, mentions
from egmt_jax.entities.torch_models import Captioner, Detector
from egmt_jax.entities.vocabulary import MOST_ENTITIES, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.io.images import check_writable, read_image, summarise, to_rgb, write_atomically
from egmt_jax.io.pairs import find_pairs, raise_problems

QUESTION = "Question: list every kind of object visible in this image. Answer:"
# Answers come as "a car, two people and a road", as lines, or numbered.
_SEPARATOR = re.compile(r"[,;|/\n•]|\band\b|\b\d+[.)]")
_LEADING = re.compile(r"^(?:(?:a|an|the|some|several|many|one|two|three|\d+)\s+)+")


def annotate_folders(
    visible: pathlib.Path,
    infrared: pathlib.Path,
    out: pathlib.Path,
    models: dict[str, str],
    load_models: Callable[[], tuple[Captioner, Detector]],
    batch_size: int = 8,
) -> dict[str, str]:
    """Adds a JSON line to the file `out` for each pair of two folders that it lacks.

    `out` is written after each batch of pairs, so an interrupted run continues where it stopped. A
    line holds `id`, `caption_visible`, `caption_infrared`, `entities` (most salient first),
    `present` (the entities, and every name of the vocabulary that the captioner lists for either
    image), `outside_vocabulary` (the detector's other phrases) and the entries of `models`.

    `models` has the kinds and names of the models; `load_models` is called if any pair is left.

    Returns:
      The pairs that could not be annotated: id -> reason.

    Raises:
      UserError: the folders do not match, or `out` has other models or pairs or is not writable.
    """
    if batch_size < 1:
        raise UserError(f"batch size {batch_size}: must be 1 or more")
    pairs, problems = find_pairs(visible, infrared)
    raise_problems("pairs to annotate:", problems)
    records = read_captions(out) if out.is_file() and out.stat().st_size else []
    for record in records:
        made_with = {kind: record.get(kind) for kind in models}
        if made_with != models:
            raise UserError(f"{out}: {record['id']} was made with {made_with}; give another --out")
    finished = {record["id"] for record in records}
    if unknown := summarise(finished - {pair.id for pair in pairs}):
        raise UserError(f"{out}: has {unknown}, which the folders lack; give another --out")
    todo = [pair for pair in pairs if pair.id not in finished]
    if not todo:
        return {}
    failed: dict[str, str] = {}
    check_writable(out)
    captioner, detector = load_models()
    for start in tqdm(range(0, len(todo), batch_size), "annotate", unit="batch"):
        images: dict[str, list[np.ndarray]] = {}
        for pair in todo[start : start + batch_size]:
            try:
                images[pair.id] = [to_rgb(read_image(x)) for x in (pair.visible, pair.infrared)]
            except UserError as error:
                failed[pair.id] = str(error)
        if images:
            records += [record | models for record in _annotate(images, captioner, detector)]
            write_atomically(out, to_lines(records))
    return failed


def _annotate(
    pairs: Mapping[str, Sequence[np.ndarray]], captioner: Captioner, detector: Detector
) -> list[dict]:
    """Returns the records of a batch: (visible, infrared) by id."""
    images = [image for pair in pairs.values() for image in pair]
    captions, listed = captioner(images, None), captioner(images, QUESTION)
    answers = detector(captions)
    records = []
    for index, identity in enumerate(pairs):
        both = slice(2 * index, 2 * index + 2)
        record: dict = dict(zip(FIELDS, (identity, *captions[both]), strict=True))
        record["entities"], outside = merge_entities(answers[both], *captions[both])
        seen, _ = parse_answer("\n".join(listed[both]))
        record["present"] = list(dict.fromkeys(record["entities"] + seen))
        record["outside_vocabulary"] = outside
        records.append(record)
    return records


def merge_entities(
    answers: Sequence[str], caption_visible: str, caption_infrared: str
) -> tuple[list[str], list[str]]:
    """Merges a detector's answers about the two captions of a pair into one list of entities.

    Drops names that the captions only deny ("no people"). Names follow the order of `extract`, then
    of the answers; if fewer than two are left, those of `extract` are added. Returns at most 8
    canonical names, most salient first, and the phrases outside the vocabulary.
    """
    known, unknown = parse_answer("\n".join(answers))
    named = mentions(caption_visible) + mentions(caption_infrared)
    present = {name for name, denied in named if not denied}
    detected = [name for name in known if name in present or name not in dict(named)]
    extracted = extract(caption_visible, caption_infrared)
    ordered = [name for name in extracted if name in detected] + detected
    if len(detected) < 2:
        ordered += extracted
    return list(dict.fromkeys(ordered))[:MOST_ENTITIES], unknown


def parse_answer(answer: str) -> tuple[list[str], list[str]]:
    """Parses lists of things that a language model gives, joined by line ends.

    A phrase that is a name or synonym ("people") stands for that entity, any other ("two parked
    cars") for those mentioned in it. Returns canonical names, and phrases outside the vocabulary;
    both in order, without duplicates.
    """
    vocabulary = load_vocabulary()
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for piece in _SEPARATOR.split(answer.lower()):
        phrase = _LEADING.sub("", piece.strip(" \t.:!?-*\"'()[]")).strip()
        if phrase in vocabulary:
            found = [vocabulary.canonical(phrase)]
        else:
            found = [entity for entity, _ in mentions(phrase) if entity in vocabulary]
        known |= dict.fromkeys(found)
        if phrase and not found:
            unknown[phrase] = None
    return list(known), list(unknown)
