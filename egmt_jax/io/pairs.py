"""Registered pairs: their files, found in folders or by patterns, and their arrays."""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from egmt_jax.errors import UserError
from egmt_jax.io import images

SMALLEST_SIDE = 17
"""Pixels; the model needs 16, the metric VIF 17."""

PROBLEMS_SHOWN = 50


class PairFiles(NamedTuple):
    """The files of one pair.

    Attributes:
      id: what the file names share, without suffix; with subfolders where `recursive`.
      visible: the visible image.
      infrared: the infrared image.
      labels: a file with the labels of the set's authors; None if there is none.
    """

    id: str
    visible: pathlib.Path
    infrared: pathlib.Path
    labels: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One pair as arrays; all of them have the same height and width.

    Attributes:
      id: of the pair.
      visible: uint8 [H, W, 3] RGB or [H, W, 1].
      infrared: uint8, uint16 or float [H, W, 1].
      entities: names that guide the fusion, most salient first.
      present: names of everything visible in the pair; None if nobody looked.
      masks: uint8 [H, W], 0 or 255, by entity: where it is, black if it was searched for and not
        found; entities without a mask are of unknown place. None if there are no masks at all.
      masks_exact: whether masks follow contours (label maps, renderings), not rough outlines.
      has_infrared: bool [H, W], False where the infrared image holds no data; None: no such
        region is known.
    """

    id: str
    visible: np.ndarray
    infrared: np.ndarray
    entities: tuple[str, ...] = ()
    present: tuple[str, ...] | None = None
    masks: Mapping[str, np.ndarray] | None = None
    masks_exact: bool = False
    has_infrared: np.ndarray | None = None

    @property
    def luma(self) -> np.ndarray:
        """Luma of the visible image, uint8 [H, W]."""
        return images.to_grey(self.visible)


def is_many(path: pathlib.Path) -> bool:
    """Whether a path names a folder, or files by a pattern, rather than one file."""
    return path.is_dir() or ("*" in path.name and not path.exists())


def find_pairs(
    visible: pathlib.Path,
    infrared: pathlib.Path,
    labels: pathlib.Path | None = None,
    *,
    recursive: bool = False,
) -> tuple[list[PairFiles], list[str]]:
    """Finds the pairs of two folders.

    Args:
      visible: a folder, whose images match by stem; or a folder and a pattern with one `*`, such as
        `street/*_rgb.jpg`: files match by the text that `*` stands for.
      infrared: the same; may be the same folder with another pattern.
      labels: a folder with one label file of any type per pair; may not exist.
      recursive: search subfolders too; files match within subfolders of equal names.

    Returns:
      The complete pairs in natural order of id, and all problems, a line each: unreadable or empty
      folders, two files of one id, files without a counterpart.
    """
    if visible == infrared:
        return [], [f"{visible}: given as both visible and infrared; name two"]
    problems: list[str] = []
    found: list[dict[str, pathlib.Path]] = []
    for path in (visible, infrared):
        files, wrong = list_files(path, recursive)
        found.append(files)
        problems += wrong
    if not all(found):
        return [], problems
    ids = sorted(found[0].keys() & found[1].keys(), key=images.natural_key)
    missing = {visible: found[1].keys() - found[0].keys()}
    missing[infrared] = found[0].keys() - found[1].keys()
    label_files: dict[str, pathlib.Path] = {}
    if labels is not None and labels.is_dir():
        label_files = {path.stem: path for path in sorted(labels.iterdir())}
        missing[labels] = set(ids) - label_files.keys()
    problems += [
        f"{path} lacks {images.summarise(names, PROBLEMS_SHOWN)}"
        for path, names in missing.items()
        if names
    ]
    return [PairFiles(i, found[0][i], found[1][i], label_files.get(i)) for i in ids], problems


def list_files(
    path: pathlib.Path, recursive: bool = False
) -> tuple[dict[str, pathlib.Path], list[str]]:
    """Image files of a folder or pattern by id, and what is wrong with them; see `find_pairs`."""
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    if not path.is_dir() and pattern.count("*") != 1:
        problem = "give one * in the pattern, for the text that visible and infrared share"
        return {}, [f"{path}: {problem if '*' in pattern else 'no such folder'}"]
    if not folder.is_dir():
        return {}, [f"{folder}: no such folder"]
    before, after = map(re.escape, pattern.split("*"))
    expression = re.compile(f"{before}(.+){after}", re.DOTALL)
    found: dict[str, pathlib.Path] = {}
    problems: list[str] = []
    for file in sorted(_files(folder, recursive, problems)):
        if file.suffix.lower() not in images.SUFFIXES or file.name.startswith("."):
            continue
        match = expression.fullmatch(file.name)
        if match is None:
            continue
        # A pattern that ends in * would otherwise make ids of the suffixes too.
        name = match[1].removesuffix(file.suffix) if pattern.endswith("*") else match[1]
        name = (file.parent.relative_to(folder) / name).as_posix()
        if name in found:
            problems.append(f"{file} has the same name as {found[name].name}; keep one of them")
        found.setdefault(name, file)
    if not found and not problems:
        problems.append(f"{path}: no images in it ({', '.join(sorted(images.SUFFIXES))})")
    return found, problems


def _files(folder: pathlib.Path, recursive: bool, problems: list[str]) -> Iterator[pathlib.Path]:
    """Files of a folder; symbolic links to folders are not followed, since they may form cycles."""

    def report(error: OSError):
        problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    for parent, folders, names in os.walk(folder, onerror=report):
        yield from (pathlib.Path(parent, name) for name in names)
        if not recursive:
            folders.clear()


def check_images(pair: PairFiles) -> list[str]:
    """Decodes both 8-bit images; returns a line for each one that is unreadable, and for sizes that
    differ or are below `SMALLEST_SIDE`."""
    problems, sizes = [], []
    for path in (pair.visible, pair.infrared):
        try:
            sizes.append(images.read_image(path).shape[:2])
        except UserError as error:
            problems.append(str(error))
    if problems:
        return problems
    (height, width), (infrared_height, infrared_width) = sizes
    if sizes[0] != sizes[1]:
        return [
            f"{pair.id}: visible is {width}x{height}, infrared {infrared_width}x{infrared_height}"
        ]
    if min(height, width) < SMALLEST_SIDE:
        return [
            f"{pair.id}: {width}x{height} pixels; at least {SMALLEST_SIDE}x{SMALLEST_SIDE} needed"
        ]
    return []


def check_all(
    pairs: Sequence[PairFiles], check: Callable[[PairFiles], list[str]] = check_images
) -> list[str]:
    """Problems that `check` finds in any of the pairs, with a progress bar."""
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        checked = tqdm(pool.map(check, pairs), "Checking pairs", len(pairs), leave=False)
        return [problem for problems in checked for problem in problems]


def raise_problems(heading: str, problems: Sequence[str]) -> None:
    """Raises a UserError that lists up to `PROBLEMS_SHOWN` problems after a heading, if any."""
    if len(problems) == 1:
        raise UserError(f"{heading} {problems[0]}")
    if problems:
        lines = [heading, *(f"  {problem}" for problem in problems[:PROBLEMS_SHOWN])]
        if len(problems) > PROBLEMS_SHOWN:
            lines.append(f"  and {len(problems) - PROBLEMS_SHOWN} more")
        raise UserError("\n".join(lines))
