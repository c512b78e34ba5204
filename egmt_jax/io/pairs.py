"""Registered pairs: their files, found in folders or by patterns, and their arrays."""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.io.lookahead import map_ahead

SMALLEST_SIDE = 17  # pixels; the model needs 16, the metric VIF 17
PROBLEMS_SHOWN = 50


class PairFiles(NamedTuple):
    """The files of one pair."""

    id: str  # what the file names share: without suffix, with subfolders
    visible: pathlib.Path
    infrared: pathlib.Path
    labels: pathlib.Path | None = None  # by the authors of the data set


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One pair as arrays of the same height and width.

    A mask is uint8 [H, W], 0 or 255, by entity: black if the entity was searched for and not found.
    The location of an entity without a mask is unknown.
    """

    id: str
    visible: np.ndarray  # uint8, RGB [H, W, 3] or [H, W, 1]
    infrared: np.ndarray  # uint8, uint16 or float [H, W, 1]
    entities: tuple[str, ...] = ()  # names that guide the fusion, most salient first
    present: tuple[str, ...] | None = None  # names of everything visible; None if nobody looked
    masks: Mapping[str, np.ndarray] | None = None  # None: nothing is known of any entity
    masks_exact: bool = False  # whether they follow contours (label maps, renderings)
    has_infrared: np.ndarray | None = None  # bool [H, W], False without data; None: not known

    @property
    def luma(self) -> np.ndarray:
        """Luma of the visible image, uint8 [H, W]."""
        return images.to_grey(self.visible)


def find_pairs(
    visible: pathlib.Path,
    infrared: pathlib.Path,
    labels: pathlib.Path | None = None,
    *,
    recursive: bool = False,
) -> tuple[list[PairFiles], list[str]]:
    """Finds the pairs of two folders, or of two patterns, which may be in one folder.

    Images of folders match by stem; those of patterns with one `*`, such as `street/*_rgb.jpg`, by
    the text that `*` stands for. With `recursive`, files match in subfolders of equal names. The
    folder `labels`, if it exists, has a label file of any type per pair.

    Returns:
      The complete pairs in natural order of id, and all problems, a line each: unreadable or empty
      folders, two files of one id, files without a counterpart.
    """
    if visible == infrared:
        return [], [f"{visible}: given as both visible and infrared; name two"]
    first, problems = list_files(visible, recursive)
    second, more_problems = list_files(infrared, recursive)
    problems += more_problems
    if not first or not second:
        return [], problems
    ids = sorted(first.keys() & second.keys(), key=images.natural_key)
    missing = {visible: second.keys() - first.keys(), infrared: first.keys() - second.keys()}
    label_files: dict[str, pathlib.Path] = {}
    if labels is not None and labels.is_dir():
        label_files = {path.stem: path for path in sorted(labels.iterdir())}
        missing[labels] = set(ids) - label_files.keys()
    problems += [
        f"{path} lacks {images.summarise(names, PROBLEMS_SHOWN)}"
        for path, names in missing.items()
        if names
    ]
    return [PairFiles(i, first[i], second[i], label_files.get(i)) for i in ids], problems


def list_files(
    path: pathlib.Path, recursive: bool = False
) -> tuple[dict[str, pathlib.Path], list[str]]:
    """Image files of a folder or pattern by id, and what is wrong with them; see `find_pairs`."""
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    if pattern.count("*") > 1:
        return {}, [f"{path}: give one * in the pattern, for the text that both files share"]
    if not folder.is_dir() or "*" not in pattern:
        return {}, [f"{path if folder.is_dir() else folder}: no such folder"]
    before, after = map(re.escape, pattern.split("*"))
    expression = re.compile(f"{before}(.+){after}", re.DOTALL)
    errors: list[OSError] = []  # symbolic links to folders may form cycles: they are not followed
    walk = itertools.islice(os.walk(folder, onerror=errors.append), None if recursive else 1)
    files = sorted(pathlib.Path(parent, name) for parent, _, names in walk for name in names)
    problems = [f"{error.filename}: cannot be read ({error.strerror})" for error in errors]
    found: dict[str, pathlib.Path] = {}
    for file in files:
        match = expression.fullmatch(file.name)
        is_image = file.suffix.lower() in images.SUFFIXES and not file.name.startswith(".")
        if match is None or not is_image:
            continue
        # The id has no suffix, also if the pattern ends in *.
        name = match[1].removesuffix(file.suffix) if pattern.endswith("*") else match[1]
        name = (file.parent.relative_to(folder) / name).as_posix()
        if name in found:
            problems.append(f"{file} has the same name as {found[name].name}; keep one of them")
        found.setdefault(name, file)
    if not found and not problems:
        problems.append(f"{path}: no images in it ({', '.join(sorted(images.SUFFIXES))})")
    return found, problems


def check_images(pair: PairFiles) -> list[str]:
    """A line for each 8-bit image that is unreadable, or if sizes differ or are too small."""
    problems, sizes = [], []
    for path in (pair.visible, pair.infrared):
        try:
            height, width, _ = images.read_image(path).shape
            sizes.append(f"{width}x{height}")
        except UserError as error:
            problems.append(str(error))
    if len(set(sizes)) > 1:
        problems.append(f"{pair.id}: visible is {sizes[0]}, infrared {sizes[1]}")
    elif not problems and min(height, width) < SMALLEST_SIDE:
        least = f"at least {SMALLEST_SIDE}x{SMALLEST_SIDE} needed"
        problems.append(f"{pair.id}: {sizes[0]} pixels; {least}")
    return problems


def check_all(
    pairs: Sequence[PairFiles], check: Callable[[PairFiles], list[str]] = check_images
) -> list[str]:
    """Problems that `check` finds in any of the pairs, with a progress bar."""
    checked = map_ahead(check, pairs, workers=4, ahead=8)
    bar = tqdm(checked, "Checking pairs", len(pairs), leave=False)
    return [problem for problems in bar for problem in problems]


def raise_problems(heading: str, problems: Sequence[str]) -> None:
    """Raises a UserError that lists up to `PROBLEMS_SHOWN` problems after a heading, if any."""
    more = len(problems) - PROBLEMS_SHOWN
    lines = [heading, *problems[:PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    if problems:
        raise UserError(("\n  " if len(problems) > 1 else " ").join(lines))
