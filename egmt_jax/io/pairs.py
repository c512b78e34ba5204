"""Pairs of image files: of two names, of two folders by stem, or by patterns."""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from egmt_jax.errors import UserError
from egmt_jax.io.images import SUFFIXES, match_stems, summarise


class PairFiles(NamedTuple):
    """The files of a pair.

    Attributes:
      name: what both have in common, with folders below the given ones; no suffix.
      visible: the visible image.
      infrared: the infrared image.
    """

    name: str
    visible: pathlib.Path
    infrared: pathlib.Path


def is_many(path: pathlib.Path) -> bool:
    """Whether a path names a folder, or files by a pattern, rather than a file."""
    return path.is_dir() or ("*" in path.name and not path.exists())


def find_pairs(
    visible: pathlib.Path, infrared: pathlib.Path, recursive: bool = False
) -> list[PairFiles]:
    """The pairs of two folders.

    Args:
      visible: a folder, whose images match by stem; or a folder and a pattern with one `*`, such as
        `street/*_rgb.jpg`: files match by what stands for it.
      infrared: likewise; may be the same folder with another pattern.
      recursive: look in folders below as well; files match within folders of the same name.

    Raises:
      UserError: no images, two of one name, one without a counterpart (some are named), or a folder
        that cannot be read.
    """
    if visible == infrared:
        raise UserError(f"{visible}: given as both visible and infrared; name two")
    found = {str(path): _images(path, recursive) for path in (visible, infrared)}
    return [
        PairFiles(name, found[str(visible)][name], found[str(infrared)][name])
        for name in match_stems(found)
    ]


def _images(path: pathlib.Path, recursive: bool) -> dict[str, pathlib.Path]:
    """Image files by what they are called without suffix, or by what the pattern's `*` is."""
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    if pattern.count("*") != 1:
        raise UserError(f"{path}: give one * in the pattern, for what visible and infrared share")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    before, after = map(re.escape, pattern.split("*"))
    expression = re.compile(f"{before}(.+){after}", re.DOTALL)
    found: dict[str, pathlib.Path] = {}
    doubled: list[str] = []
    for file in sorted(_files(folder, recursive)):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        match = expression.fullmatch(file.stem if pattern == "*" else file.name)
        if match is None:
            continue
        # A pattern that leaves the suffix open would make two names of what differs in it alone.
        name = match[1].removesuffix(file.suffix) if pattern.endswith("*") else match[1]
        name = (file.parent.relative_to(folder) / name).as_posix()
        if name in found:
            doubled.append(f"{file} has the same name as {found[name].name}")
        found.setdefault(name, file)
    if doubled:
        raise UserError(f"{path}: keep one file of a name: {summarise(doubled, 20)}")
    if not found:
        raise UserError(f"{path}: no images in it ({', '.join(sorted(SUFFIXES))})")
    return found


def _files(folder: pathlib.Path, recursive: bool) -> Iterator[pathlib.Path]:
    """Files of a folder; links to folders are not followed, since they may lead in circles."""

    def fail(error: OSError):  # what cannot be looked into would be left out in silence
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        yield from (pathlib.Path(parent, name) for name in names)
        if not recursive:
            folders.clear()
