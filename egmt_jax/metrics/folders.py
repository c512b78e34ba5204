"""Scores folders of fused images against folders of sources: matching, checking, scoring."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping

from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io.images import decode_image, is_colourful, read_bytes, to_grey
from egmt_jax.io.lookahead import futures_ahead, map_ahead
from egmt_jax.io.pairs import list_files
from egmt_jax.metrics.scoring import SMALLEST_SIDE, Row, Triple, iterate_scores

SOURCES = ("visible", "infrared")
READERS = os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class CheckedFile:
    """A readable image file: SHA-256 of its bytes, (height, width), and whether it has colour."""

    path: pathlib.Path
    sha256: str
    shape: tuple[int, int]
    colourful: bool

    @property
    def size(self) -> str:
        """Width x height, for messages."""
        return f"{self.shape[1]}x{self.shape[0]}"


Files = dict[str, dict[str, CheckedFile]]
"""Files by id, by role: a method, `visible` or `infrared`."""


def check_folders(
    fused: Mapping[str, str | os.PathLike],
    visible: str | os.PathLike,
    infrared: str | os.PathLike,
) -> tuple[Files, list[str], list[str]]:
    """Matches the files of all folders by stem and reads every file.

    Args:
      fused: folder of results by method.
      visible: folder of visible images.
      infrared: folder of infrared images.

    Returns:
      The files; warnings, such as of sources without any fused result, which are left out; and
      problems, one line per file that is missing, not readable, too small or of a wrong size. With
      problems, the files are incomplete.

    Raises:
      UserError: folders are missing, empty, or have two files of one stem (one line each); or a
        method has the name of a source.
    """
    reserved = set(SOURCES) & set(fused)
    if reserved:
        raise UserError(f"--fused {min(reserved)}=...: this names a source; choose another name")
    folders = {"visible": visible, "infrared": infrared, **fused}
    listed, unusable = {}, []
    for role, folder in folders.items():
        listed[role], reasons = list_files(pathlib.Path(folder))
        unusable += reasons
    if unusable:
        raise UserError("\n".join(unusable))
    ids = sorted(set().union(*(listed[method] for method in fused)))
    expected = [(role, name) for role in listed for name in ids]
    present = [(role, name) for role, name in expected if name in listed[role]]
    problems = [
        f"{folders[role]}: no {role} image with the stem {name}"
        for role, name in expected
        if name not in listed[role]
    ]
    files: Files = {role: {} for role in listed}
    paths = (listed[role][name] for role, name in present)
    checks = futures_ahead(_check_file, paths, READERS, 2 * READERS)
    checks = tqdm(checks, "checking", len(present), unit="file", disable=None)
    for (role, name), check in zip(present, checks, strict=True):
        try:
            files[role][name] = check.result()
        except UserError as error:
            problems.append(str(error))
    problems += _size_problems(ids, files)
    unused = (set(listed["visible"]) | set(listed["infrared"])) - set(ids)
    warnings = [f"{_count(unused, 'source')} without any fused result left out"] if unused else []
    warnings += _colour_warnings(files, list(fused))
    return files, warnings, problems


def _check_file(path: pathlib.Path) -> CheckedFile:
    encoded = read_bytes(path)
    image = decode_image(encoded, str(path))
    digest = hashlib.sha256(encoded).hexdigest()
    return CheckedFile(path, digest, image.shape[:2], is_colourful(image))


def _size_problems(ids: list[str], files: Files) -> list[str]:
    problems = []
    for name in ids:
        reference = files["visible"].get(name)
        if reference is None:
            continue
        if min(reference.shape) < SMALLEST_SIDE:
            problems.append(
                f"{reference.path}: {reference.size} pixels; "
                f"VIF needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE}"
            )
        problems += [
            f"{group[name].path}: {group[name].size} pixels, but {reference.path} has "
            f"{reference.size}; bring them to one size"
            for group in files.values()
            if name in group and group[name].shape != reference.shape
        ]
    return problems


def _colour_warnings(files: Files, methods: list[str]) -> list[str]:
    colourful = {
        role: {name for name, file in group.items() if file.colourful}
        for role, group in files.items()
    }
    warnings = [
        f"{_count(colourful[method], 'result')} of {method} in colour: the luma (BT.601) is scored"
        for method in methods
        if colourful[method]
    ]
    swapped = colourful["infrared"] - colourful["visible"]
    if 2 * len(swapped) > len(files["infrared"]):
        warnings.append(
            f"{_count(swapped, 'infrared image')} in colour, but the visible image is grey: "
            "are --visible and --infrared swapped?"
        )
    elif colourful["infrared"]:
        warnings.append(
            f"{_count(colourful['infrared'], 'infrared image')} in colour (a palette?): "
            "the luma (BT.601) is scored"
        )
    return warnings


def _count(names: set[str], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def score_files(files: Files, method: str) -> list[Row]:
    """Scores the results of one method.

    Args:
      files: from `check_folders`, without problems.
      method: one of its methods.

    Returns:
      Rows as in `score_pairs`, sorted by id.

    Raises:
      UserError: a file has vanished or changed since the check.
    """

    def read(name: str) -> Triple:
        images = []
        for file in (files[role][name] for role in (method, *SOURCES)):
            encoded = read_bytes(file.path)
            if hashlib.sha256(encoded).hexdigest() != file.sha256:
                raise UserError(f"{file.path}: changed while being scored; run the command again")
            images.append(to_grey(decode_image(encoded, str(file.path))))
        fused, visible, infrared = images
        return name, fused, visible, infrared

    ids = list(files[method])
    with contextlib.closing(map_ahead(read, ids, READERS, 2 * READERS)) as triples:
        return list(tqdm(iterate_scores(triples), method, len(ids), unit="image", disable=None))
