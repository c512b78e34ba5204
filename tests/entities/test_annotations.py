"""Caption files: what is read, and that everything wrong is listed at once; `egmt extract`."""

import argparse
import json

import pytest

from egmt_jax.cli import extract as command
from egmt_jax.entities import extract, read_captions
from egmt_jax.errors import UserError

GOOD = {"id": "1", "caption_visible": "A car on a road.", "caption_infrared": "People glow."}


def _write(path, *lines):
    path.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines),
        "utf-8",
    )
    return path


def test_reads_lines_in_order_and_keeps_other_fields(tmp_path):
    second = GOOD | {"id": "ü", "entities": ["car"], "note": 3}
    path = _write(tmp_path / "captions.jsonl", GOOD, "", second)
    assert read_captions(path) == [GOOD, second]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    assert read_captions(path) == [GOOD]


def test_all_that_is_wrong_is_listed_with_line_numbers(tmp_path):
    path = _write(
        tmp_path / "captions.jsonl",
        GOOD,
        '{"id": "2",',
        {"id": "3", "caption_visible": "x"},
        "[1]",
        GOOD,
        GOOD | {"id": 7},
        GOOD | {"id": ""},
        GOOD | {"id": "8", "entities": "car"},
    )
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    with pytest.raises(UserError) as caught:
        read_captions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in (
        "line 2: invalid JSON at column",
        "line 3: no caption_infrared",
        "line 4: not a JSON object",
        "line 5: id '1' again, first on line 1",
        "line 6: id must be text",
        "line 7: id is empty",
        "line 8: entities must be a list of text",
        "line 9: not UTF-8 at byte 1",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("1" * 5000, "a number of thousands of digits"),
        ("[" * 100_000 + "]" * 100_000, "lists within lists too deep"),
        (r'"\ud800"', r"a lone surrogate from \ud800"),
    ],
)
def test_json_that_python_or_utf8_cannot_hold_is_named_by_its_line(tmp_path, field, message):
    line = json.dumps(GOOD)[:-1] + f', "note": {field}}}'
    path = _write(tmp_path / "captions.jsonl", GOOD | {"id": "0"}, line)
    with pytest.raises(UserError) as caught:
        _run("--captions", str(path), "--out", str(tmp_path / "out.jsonl"))
    assert "line 2: " in str(caught.value)
    assert message in str(caught.value)
    assert "line 1" not in str(caught.value)


def test_a_long_list_of_errors_is_counted(tmp_path):
    path = _write(tmp_path / "captions.jsonl", *["nonsense"] * 50)
    with pytest.raises(UserError, match=r"line 20: .*; and 30 lines more"):
        read_captions(path)


def test_no_file_and_no_captions(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_captions(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="no captions in it"):
        read_captions(_write(tmp_path / "captions.jsonl", ""))


def _run(*argv):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(argv))


def test_extract_adds_entities_to_every_line(tmp_path, capsys):
    other = {"id": "2", "caption_visible": "Dim.", "caption_infrared": "Cold.", "entities": ["car"]}
    source = _write(tmp_path / "in.jsonl", GOOD | {"extra": [1]}, other)
    out = tmp_path / "new" / "out.jsonl"
    assert _run("--captions", str(source), "--out", str(out)) == 0
    first, second = read_captions(out)
    assert first == GOOD | {
        "extra": [1],
        "entities": extract(GOOD["caption_visible"], GOOD["caption_infrared"]),
    }
    assert first["entities"] == ["person", "car", "road"]
    assert second["entities"] == []
    assert "2 pairs, 1 with entities" in capsys.readouterr().out


def test_extract_writes_nothing_when_the_input_is_wrong(tmp_path):
    source = _write(tmp_path / "in.jsonl", GOOD, "{")
    out = tmp_path / "out.jsonl"
    with pytest.raises(UserError, match="line 2"):
        _run("--captions", str(source), "--out", str(out))
    assert not out.exists()


def test_extract_can_replace_its_input(tmp_path):
    source = _write(tmp_path / "in.jsonl", GOOD)
    _run("--captions", str(source), "--out", str(source))
    once = source.read_bytes()
    _run("--captions", str(source), "--out", str(source))
    assert source.read_bytes() == once
