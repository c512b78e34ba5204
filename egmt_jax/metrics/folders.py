"""Folders of fused results against folders of sources: matching, checking, resuming."""

import concurrent.futures
import csv
import dataclasses
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
from tqdm import tqdm

from egmt_jax import __version__
from egmt_jax.errors import UserError
from egmt_jax.io.images import decode_image, list_images, to_grey, write_atomically
from egmt_jax.metrics.report import Row, read_bytes
from egmt_jax.metrics.scoring import SMALLEST_SIDE, in_order, iterate_scores
from egmt_jax.metrics.table import CONVENTIONS, METRICS

SOURCES = ("visible", "infrared")
# Mean distance of the largest from the smallest channel: JPEG leaves below 2 in a grey picture.
COLOURFUL = 3.0


@dataclasses.dataclass(frozen=True)
class CheckedFile:
    """An image file that can be read.

    Attributes:
      path: where it is.
      sha256: of its bytes.
      shape: (height, width).
      colourful: whether its channels differ.
    """

    path: pathlib.Path
    sha256: str
    shape: tuple[int, int]
    colourful: bool


@dataclasses.dataclass(frozen=True)
class FileSet:
    """Files that were matched and checked.

    Attributes:
      ids: the stems, sorted.
      files: `visible`, `infrared` and each method's name, to id to file.
      methods: the methods' names, in the order given.
      warnings: what a reader of the scores should know, one line each.
    """

    ids: list[str]
    files: dict[str, dict[str, CheckedFile]]
    methods: list[str]
    warnings: list[str]


def check_folders(
    fused: Mapping[str, str | os.PathLike],
    visible: str | os.PathLike,
    infrared: str | os.PathLike,
    *,
    progress: bool = True,
) -> tuple[FileSet, list[str]]:
    """Matches the files of all folders by stem and reads every one.

    Sources that no method has a result for are left out with a warning; everything else that lacks
    a partner is a problem.

    Args:
      fused: method to folder of its results.
      visible: folder of visible images.
      infrared: folder of infrared images.
      progress: whether to show a progress bar.

    Returns:
      The files, and the problems: one line for each missing, unreadable, mis-sized or too small
      file. Where there are problems, the files are incomplete.

    Raises:
      UserError: folders are missing, empty, or have one stem twice, a line for each; or a method is
        called like a source.
    """
    reserved = set(SOURCES) & set(fused)
    if reserved:
        raise UserError(f"--fused {min(reserved)}=...: that name is a source's; choose another")
    folders = {"visible": visible, "infrared": infrared, **fused}
    listed, unusable = {}, []
    for role, folder in folders.items():
        try:
            listed[role] = list_images(folder)
        except UserError as error:
            unusable.append(str(error))
    if unusable:
        raise UserError("\n".join(unusable))
    ids = sorted(set().union(*(listed[method] for method in fused)))
    problems = [
        f"{folders[role]}: no {role} image with the stem {name}"
        for role, found in listed.items()
        for name in ids
        if name not in found
    ]
    jobs = [
        (role, name, found[name]) for role, found in listed.items() for name in ids if name in found
    ]
    files: dict[str, dict[str, CheckedFile]] = {role: {} for role in listed}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        checked = in_order(pool, _check_file, (path for _, _, path in jobs))
        checked = tqdm(
            checked,
            total=len(jobs),
            desc="checking",
            unit="file",
            disable=None if progress else True,
        )
        for (role, name, _), result in zip(jobs, checked, strict=True):
            if isinstance(result, UserError):
                problems.append(str(result))
            else:
                files[role][name] = result
    problems += _size_problems(ids, files)
    unused = (set(listed["visible"]) | set(listed["infrared"])) - set(ids)
    warnings = (
        [f"{_count(len(unused), 'source')} without any fused result left out"] if unused else []
    )
    warnings += _colour_warnings(files, list(fused))
    return FileSet(ids, files, list(fused), warnings), problems


def _check_file(path: pathlib.Path) -> CheckedFile | UserError:
    try:
        encoded = read_bytes(path)
        image = decode_image(encoded, str(path))
    except UserError as error:
        return error
    spread = image.max(axis=2) - image.min(axis=2) if image.shape[2] > 1 else np.zeros(1)
    return CheckedFile(
        path,
        hashlib.sha256(encoded).hexdigest(),
        image.shape[:2],
        bool(spread.mean() > COLOURFUL),
    )


def _size_problems(ids: list[str], files: Mapping[str, Mapping[str, CheckedFile]]) -> list[str]:
    problems = []
    for name in ids:
        reference = files["visible"].get(name)
        if reference is None:
            continue
        if min(reference.shape) < SMALLEST_SIDE:
            problems.append(
                f"{reference.path}: {_size(reference)} pixels; "
                f"VIF needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE}"
            )
        for group in files.values():
            file = group.get(name)
            if file is not None and file.shape != reference.shape:
                problems.append(
                    f"{file.path}: {_size(file)} pixels, but {reference.path} has "
                    f"{_size(reference)}; bring them to one size"
                )
    return problems


def _size(file: CheckedFile) -> str:
    return f"{file.shape[1]}x{file.shape[0]}"


def _colour_warnings(
    files: Mapping[str, Mapping[str, CheckedFile]], methods: list[str]
) -> list[str]:
    warnings = []
    colourful = {
        role: {name for name, file in group.items() if file.colourful}
        for role, group in files.items()
    }
    for method in methods:
        if colourful[method]:
            warnings.append(
                f"{_count(len(colourful[method]), 'result')} of {method} in colour: "
                "the luma (BT.601) is scored"
            )
    odd = colourful["infrared"]
    swapped = odd - colourful["visible"]
    if 2 * len(swapped) > len(files["infrared"]):
        warnings.append(
            f"{_count(len(swapped), 'infrared image')} in colour, with the visible one grey: "
            "are --visible and --infrared swapped?"
        )
    elif odd:
        warnings.append(
            f"{_count(len(odd), 'infrared image')} in colour (a palette?): "
            "the luma (BT.601) is scored"
        )
    return warnings


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def score_files(
    checked: FileSet,
    method: str,
    journal: str | os.PathLike | None = None,
    *,
    progress: bool = True,
) -> list[Row]:
    """Scores one method's results.

    Args:
      checked: files without problems, from `check_folders`.
      method: one of its methods.
      journal: a CSV file of scores by content: rows found in it are not computed again, new ones
        are added as soon as they are there. It may be shared by methods and by runs; a changed
        file, or another version of this package, is scored anew.
      progress: whether to show a progress bar.

    Returns:
      The rows, as `score_pairs` gives them, in the order of `checked.ids`.

    Raises:
      UserError: the journal cannot be written, or a file has vanished or changed since it was
        checked.
    """
    triples = {
        name: [checked.files[role][name] for role in (method, *SOURCES)] for name in checked.ids
    }
    keys = {name: _content_key(files) for name, files in triples.items()}
    known = {} if journal is None else _open_journal(pathlib.Path(journal))
    rows = {name: known[keys[name]] for name in checked.ids if keys[name] in known}
    todo = [name for name in checked.ids if name not in rows]
    bar = tqdm(
        total=len(triples),
        initial=len(rows),
        desc=method,
        unit="image",
        disable=None if progress else True,
    )
    with bar:
        for row in iterate_scores(_decoded(todo, triples)):
            name = row["id"]
            rows[name] = {metric: row[metric] for metric in METRICS}
            if journal is not None:
                _append(pathlib.Path(journal), keys[name], rows[name])
            bar.update()
    return [{"id": name, **rows[name]} for name in checked.ids]


def _decoded(
    names: list[str], triples: Mapping[str, list[CheckedFile]]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    def decode(name: str) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
        return name, *(to_grey(_decode_unchanged(file)) for file in triples[name])

    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield from in_order(pool, decode, names)


def _decode_unchanged(file: CheckedFile) -> np.ndarray:
    encoded = read_bytes(file.path)
    if hashlib.sha256(encoded).hexdigest() != file.sha256:
        raise UserError(f"{file.path}: has changed since it was checked; run again")
    return decode_image(encoded, str(file.path))


def _content_key(files: list[CheckedFile]) -> str:
    content = [__version__, CONVENTIONS, [file.sha256 for file in files]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _open_journal(path: pathlib.Path) -> dict[str, dict[str, float]]:
    """Complete rows of the journal by key; what an interrupted run left half written is cut off."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it to start anew") from error
    known = {}
    for row in csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])):
        try:
            known[row["key"]] = {name: float(row[name]) for name in METRICS}
        except (KeyError, TypeError, ValueError):
            continue  # a line of another version or a damaged one: scored anew
    lines = [_line(["key", *METRICS]), *(_line([key, *row.values()]) for key, row in known.items())]
    write_atomically(path, "".join(lines).encode())
    return known


def _append(path: pathlib.Path, key: str, row: Mapping[str, float]) -> None:
    try:
        with path.open("a") as file:
            file.write(_line([key, *row.values()]))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _line(cells: list[str | float]) -> str:
    return ",".join(str(cell) for cell in cells) + "\n"
