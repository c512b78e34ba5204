"""Caption files: one JSON object a line with `id`, `caption_visible`, `caption_infrared`."""

import json
import os
import pathlib
from collections.abc import Sequence

from egmt_jax.errors import UserError

FIELDS = ("id", "caption_visible", "caption_infrared")
MOST_LISTED = 20


def read_captions(path: str | os.PathLike) -> list[dict]:
    """Reads and checks a caption file.

    Args:
      path: UTF-8 JSON lines; empty lines are skipped, fields beside those named here are kept.

    Returns:
      One dict a line, in order: `id`, `caption_visible`, `caption_infrared` are text, `entities`,
      where there is one, is a list of text.

    Raises:
      UserError: the file cannot be read, or lines are wrong: invalid JSON, a missing field, an id
        that occurs twice. Every wrong line is named, by its number.
    """
    numbered, problems = read_lines(path, FIELDS)
    if problems:
        listed = "; ".join(problems[:MOST_LISTED])
        more = len(problems) - MOST_LISTED
        raise UserError(f"{path}: {listed}" + (f"; and {more} lines more" if more > 0 else ""))
    if not numbered:
        raise UserError(f"{path}: no captions in it; it needs lines with {', '.join(FIELDS)}")
    return list(numbered.values())


def read_lines(
    path: str | os.PathLike, required: Sequence[str]
) -> tuple[dict[int, dict], list[str]]:
    """Reads a caption file of which some lines may be wrong.

    Args:
      path: as for `read_captions`.
      required: those of `FIELDS` that a line must have; `id` is one.

    Returns:
      The records by line number, of the form `read_captions` gives where a field is there, and one
      line of text, beginning with its number, for each line that is wrong.

    Raises:
      UserError: the file cannot be read.
    """
    path = pathlib.Path(path)
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    records: dict[int, dict] = {}
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record, problem = _parse(line, required)
        if record is None:
            problems.append(f"line {number}: {problem}")
            continue
        identity = record["id"]
        if identity in first_line:
            problems.append(
                f"line {number}: id {identity!r} again, first on line {first_line[identity]}"
            )
            continue
        first_line[identity] = number
        records[number] = record
    return records, problems


def _parse(line: bytes, required: Sequence[str]) -> tuple[dict | None, str]:
    """The record of one line, or None and what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8"))
        to_lines([record])  # what JSON can spell but UTF-8 cannot hold
    except json.JSONDecodeError as error:
        return None, f"invalid JSON at column {error.colno} ({error.msg})"
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start + 1}"
    except UnicodeEncodeError:
        return None, "half a character, a lone surrogate from \\ud800 to \\udfff, in its text"
    except (ValueError, RecursionError):
        return None, "a number of thousands of digits, or lists within lists too deep"
    if not isinstance(record, dict):
        return None, "not a JSON object"
    missing = [field for field in required if field not in record]
    if missing:
        return None, f"no {', '.join(missing)}"
    wrong = [field for field in FIELDS if not isinstance(record.get(field, ""), str)]
    if wrong:
        return None, f"{', '.join(wrong)} must be text"
    if not record["id"]:
        return None, "id is empty"
    entities = record.get("entities", [])
    if not isinstance(entities, list) or not all(isinstance(name, str) for name in entities):
        return None, "entities must be a list of text"
    return record, ""


def to_lines(records: list[dict]) -> bytes:
    """JSON lines of records, UTF-8."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
