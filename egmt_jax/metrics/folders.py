"""Scores folders of fused images against folders of sources: matching, checking, scoring."""

import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io.images import decode_image, is_colourful, read_bytes, summarise, to_grey
from egmt_jax.io.lookahead import map_ahead
from egmt_jax.io.pairs import SMALLEST_SIDE, list_files, raise_problems
from egmt_jax.metrics.scoring import Row, Triple, score_pairs

READERS = os.cpu_count() or 1


class CheckedFile(NamedTuple):
    """A readable image file: SHA-256 of its bytes, (height, width), and whether it has colour."""

    path: pathlib.Path
    sha256: str
    shape: tuple[int, int]
    colourful: bool


Files = dict[str, dict[str, CheckedFile]]  # by role (visible, infrared or a method), by id


def check_folders(
    fused: Mapping[str, pathlib.Path], visible: pathlib.Path, infrared: pathlib.Path
) -> tuple[Files, list[str]]:
    """Matches the files of the sources and of each method by stem, and reads every file.

    Returns:
      The files; and warnings, such as about sources without a fused image, which are left out.

    Raises:
      UserError: lists all unusable folders; or all files that are missing, unreadable, too small or
        of different sizes.
    """
    folders = {"visible": visible, "infrared": infrared, **fused}
    listed = {role: list_files(folder) for role, folder in folders.items()}
    raise_problems("cannot score:", [p for _, problems in listed.values() for p in problems])
    ids = sorted(set().union(*(listed[method][0] for method in fused)))
    files: Files = {role: {} for role in folders}
    problems = []
    for role, (paths, _) in listed.items():
        present = {name: paths[name] for name in ids if name in paths}
        missing = [name for name in ids if name not in paths]
        problems += [f"{folders[role]}: no {role} image with the stem {name}" for name in missing]
        checks = map_ahead(_check_file, present.values(), READERS, 2 * READERS)
        bar = tqdm(checks, f"checking {role}", len(present), unit="file", disable=None)
        for name, check in zip(present, bar, strict=True):
            if isinstance(check, CheckedFile):
                files[role][name] = check
            else:
                problems.append(check)
    for name in ids:
        shapes = {role: group[name].shape for role, group in files.items() if name in group}
        sizes = ", ".join(f"{role} {width}x{height}" for role, (height, width) in shapes.items())
        if len(set(shapes.values())) > 1:
            problems.append(f"{name}: images differ in size ({sizes}); bring them to one size")
        elif any(min(shape) < SMALLEST_SIDE for shape in shapes.values()):
            problems.append(f"{name}: below {SMALLEST_SIDE} pixels, the window of VIF ({sizes})")
    raise_problems("cannot score:", problems)
    unused = (listed["visible"][0].keys() | listed["infrared"][0].keys()) - set(ids)
    warnings = [f"no fused image for {summarise(unused)}; left out"] if unused else []
    return files, warnings + _colour_warnings(files)


def _check_file(path: pathlib.Path) -> CheckedFile | str:
    """The file, or why it cannot be read."""
    try:
        image, digest = _read(path)
    except UserError as error:
        return str(error)
    return CheckedFile(path, digest, image.shape[:2], is_colourful(image))


def _read(path: pathlib.Path) -> tuple[np.ndarray, str]:
    """The image in a file, and the SHA-256 of the file."""
    encoded = read_bytes(path)
    return decode_image(encoded, str(path)), hashlib.sha256(encoded).hexdigest()


def _colour_warnings(files: Files) -> list[str]:
    warnings, coloured = [], {}
    for role, group in files.items():
        coloured[role] = {name for name, file in group.items() if file.colourful}
        if coloured[role] and role != "visible":
            names = summarise(coloured[role])
            warnings.append(f"{role} in colour, scored by its luma (BT.601): {names}")
    if 2 * len(coloured["infrared"] - coloured["visible"]) > len(files["infrared"]):
        warnings.append("only infrared has colour: are --visible and --infrared swapped?")
    return warnings


def score_files(files: Files, method: str) -> list[Row]:
    """Rows of `score_pairs` for one method, by id; raises UserError if a file has changed."""

    def read_grey(file: CheckedFile) -> np.ndarray:
        image, digest = _read(file.path)
        if digest != file.sha256:
            raise UserError(f"{file.path}: changed while being scored; run the command again")
        return to_grey(image)

    def read(name: str) -> Triple:
        fused, visible, infrared = (files[role][name] for role in (method, "visible", "infrared"))
        return name, read_grey(fused), read_grey(visible), read_grey(infrared)

    triples = map_ahead(read, files[method], READERS, 2 * READERS)
    return score_pairs(triples, total=len(files[method]), progress=method)
