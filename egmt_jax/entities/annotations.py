"""Annotation files: one JSON object per line with captions of a pair and lists of entities."""

import json
import os
import pathlib
from collections.abc import Sequence

from egmt_jax.errors import UserError

FIELDS = ("id", "caption_visible", "caption_infrared")
LISTS = ("entities", "present")
PROBLEMS_SHOWN = 20


def read_captions(path: str | os.PathLike) -> list[dict]:
    """Reads and checks a file of UTF-8 JSON lines; empty lines are skipped.

    Returns:
      One dict per line, in order: `id`, `caption_visible` and `caption_infrared` are text;
      `entities` (salient first) and `present` (everything visible), if given, are lists of text;
      other fields, such as `regions` (see `egmt_jax.io.outlines.check`), are not checked.

    Raises:
      UserError: the file cannot be read or is empty; or lists all wrong lines.
    """
    numbered, problems = read_lines(path, FIELDS)
    if problems:
        if len(problems) > PROBLEMS_SHOWN:
            problems[PROBLEMS_SHOWN:] = [f"and {len(problems) - PROBLEMS_SHOWN} lines more"]
        raise UserError(f"{path}: {'; '.join(problems)}")
    if not numbered:
        raise UserError(f"{path}: no captions in it; it needs lines with {', '.join(FIELDS)}")
    return list(numbered.values())


def read_lines(
    path: str | os.PathLike, required: Sequence[str]
) -> tuple[dict[int, dict], list[str]]:
    """Correct records of an annotation file by line number, and a message for each wrong line.

    `required` are the `FIELDS` that a line needs, including `id`. Raises UserError if the file
    cannot be read.
    """
    try:
        lines = pathlib.Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    records: dict[int, dict] = {}
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _parse(line, required)
        except UserError as error:
            problems.append(f"line {number}: {error}")
            continue
        if (first := first_line.setdefault(record["id"], number)) == number:
            records[number] = record
        else:
            problems.append(f"line {number}: id {record['id']!r} again, first on line {first}")
    return records, problems


def to_lines(records: Sequence[dict]) -> bytes:
    """JSON lines of records, UTF-8."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _parse(line: bytes, required: Sequence[str]) -> dict:
    """The record of one line; raises UserError if the line is wrong."""
    try:
        record = json.loads(line.decode())
        json.dumps(record, ensure_ascii=False).encode()  # fails for lone surrogates
    except json.JSONDecodeError as error:
        raise UserError(f"invalid JSON at column {error.colno} ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"invalid text or JSON ({error})") from error
    if not isinstance(record, dict):
        raise UserError("not a JSON object")
    if missing := [field for field in required if field not in record]:
        raise UserError(f"no {', '.join(missing)}")
    if wrong := [field for field in FIELDS if not isinstance(record.get(field, ""), str)]:
        raise UserError(f"{', '.join(wrong)} must be text")
    if not record["id"]:
        raise UserError("id is empty")
    for field in LISTS:
        names = record.get(field, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{field} must be a list of text")
    return record
