"""Annotation files: what is read, and that everything wrong is listed; `egmt extract`."""

import argparse
import json

import pytest

from egmt_jax.cli import extract as command
from egmt_jax.entities import extract, read_captions
from egmt_jax.errors import UserError

GOOD = {"id": "1", "caption_visible": "A car on a road.", "caption_infrared": "People glow."}


def write(path, *lines):
    lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return path


def test_reads_lines_in_order_and_keeps_other_fields(tmp_path):
    lists = {"entities": ["car"], "present": ["car", "road"], "regions": {"car": []}}
    second = GOOD | lists | {"id": "ü", "note": 3}
    path = write(tmp_path / "captions.jsonl", GOOD, "", second)
    assert read_captions(path) == [GOOD, second]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    assert read_captions(path) == [GOOD]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "2",', "invalid JSON at column"),
        ({"id": "3", "caption_visible": "x"}, "no caption_infrared"),
        ("[1]", "not a JSON object"),
        (GOOD, "id '1' again, first on line 1"),
        (GOOD | {"id": 7}, "id must be text"),
        (GOOD | {"id": ""}, "id is empty"),
        (GOOD | {"id": "8", "entities": "car"}, "entities must be a list of text"),
        (GOOD | {"id": "8", "present": ["car", 1]}, "present must be a list of text"),
        (b"\xff\xfe", "can't decode byte 0xff in position 0"),
        ('{"id": ' + "1" * 5000 + "}", "invalid text or JSON (Exceeds the limit"),
        ("[" * 100_000 + "]" * 100_000, "maximum recursion depth exceeded"),
        (r'{"id": "\ud800"}', "surrogates not allowed"),
    ],
)
def test_wrong_lines_are_listed_with_their_numbers(tmp_path, line, message):
    path = write(tmp_path / "captions.jsonl", GOOD, "{")
    if not isinstance(line, bytes):
        line = (line if isinstance(line, str) else json.dumps(line)).encode()
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UserError) as caught:
        read_captions(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: line 2: invalid JSON at column")
    assert message in text.partition("; line 3: ")[2]
    assert "\n" not in text


def test_many_errors_are_counted_and_empty_or_missing_files_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"line 20: .*; and 30 lines more"):
        read_captions(write(tmp_path / "wrong.jsonl", *["nonsense"] * 50))
    with pytest.raises(UserError, match="cannot be read"):
        read_captions(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="no captions in it"):
        read_captions(write(tmp_path / "empty.jsonl", ""))


def run(source, out):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["--captions", str(source), "--out", str(out)]))


def test_extract_replaces_the_entities_of_every_line(tmp_path, capsys):
    other = {"id": "2", "caption_visible": "Dim.", "caption_infrared": "Cold.", "entities": ["car"]}
    source = write(tmp_path / "in.jsonl", GOOD | {"extra": [1]}, other)
    out = tmp_path / "new" / "out.jsonl"
    assert run(source, out) == 0
    first, second = read_captions(out)
    assert first == GOOD | {"extra": [1], "entities": ["person", "car", "road"]}
    assert first["entities"] == extract(GOOD["caption_visible"], GOOD["caption_infrared"])
    assert second["entities"] == []
    assert "2 pairs, 1 with entities" in capsys.readouterr().out
    once = out.read_bytes()
    run(out, out)  # may write to its input
    assert out.read_bytes() == once


def test_extract_writes_nothing_when_the_input_is_wrong(tmp_path):
    out = tmp_path / "out.jsonl"
    with pytest.raises(UserError, match="line 2"):
        run(write(tmp_path / "in.jsonl", GOOD, "{"), out)
    assert not out.exists()
