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
    """Reads and checks an annotation file.

    Args:
      path: UTF-8 JSON lines; empty lines are skipped, fields not named here are kept.

    Returns:
      One dict per line, in order: `id`, `caption_visible` and `caption_infrared` are text;
      `entities` (salient first) and `present` (everything visible), if given, are lists of text;
      `regions`, if given, is returned as it is, see `egmt_jax.io.outlines.check`.

    Raises:
      UserError: the file cannot be read, is empty, or has wrong lines, which are all listed.
    """
    numbered, problems = read_lines(path, FIELDS)
    if problems:
        listed = "; ".join(problems[:PROBLEMS_SHOWN])
        more = len(problems) - PROBLEMS_SHOWN
        raise UserError(f"{path}: {listed}" + (f"; and {more} lines more" if more > 0 else ""))
    if not numbered:
        raise UserError(f"{path}: no captions in it; it needs lines with {', '.join(FIELDS)}")
    return list(numbered.values())


def read_lines(
    path: str | os.PathLike, required: Sequence[str]
) -> tuple[dict[int, dict], list[str]]:
    """Reads an annotation file in which some lines may be wrong.

    Args:
      path: as for `read_captions`.
      required: which of `FIELDS` a line must have, `id` among them.

    Returns:
      The records by line number, as `read_captions` returns them, and a message for each wrong
      line, which begins with the line number.

    Raises:
      UserError: the file cannot be read.
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
        record, problem = _parse(line, required)
        if record is not None:
            first = first_line.setdefault(record["id"], number)
            if first != number:
                problem = f"id {record['id']!r} again, first on line {first}"
        if problem:
            problems.append(f"line {number}: {problem}")
        else:
            records[number] = record
    return records, problems


def to_lines(records: Sequence[dict]) -> bytes:
    """JSON lines of records, UTF-8."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _parse(line: bytes, required: Sequence[str]) -> tuple[dict | None, str]:
    """The record of one line and "", or None and what is wrong with the line."""
    try:
        record = json.loads(line.decode("utf-8"))
        json.dumps(record, ensure_ascii=False).encode()  # JSON can hold text that UTF-8 cannot
    except json.JSONDecodeError as error:
        return None, f"invalid JSON at column {error.colno} ({error.msg})"
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start + 1}"
    except UnicodeEncodeError:
        return None, "half a character (a lone surrogate, \\ud800 to \\udfff) in its text"
    except (ValueError, RecursionError):
        return None, "a number of thousands of digits, or too deeply nested lists"
    if not isinstance(record, dict):
        return None, "not a JSON object"
    if missing := [field for field in required if field not in record]:
        return None, f"no {', '.join(missing)}"
    if wrong := [field for field in FIELDS if not isinstance(record.get(field, ""), str)]:
        return None, f"{', '.join(wrong)} must be text"
    if not record["id"]:
        return None, "id is empty"
    for field in LISTS:
        names = record.get(field, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return None, f"{field} must be a list of text"
    return record, ""
