"""`egmt annotate`: answers to entities, resuming, and the real code path on tiny random models."""

import argparse
import importlib.util

import numpy as np
import pytest

from egmt_jax.cli import annotate as command
from egmt_jax.entities import load_vocabulary, read_captions
from egmt_jax.entities.annotate import annotate_folders
from egmt_jax.entities.detector import merge_entities, parse_answer
from egmt_jax.errors import UserError
from egmt_jax.io.images import write_png

MODELS = {"captioner": "made up", "detector": "made up too"}


@pytest.mark.parametrize(
    ("answer", "known", "unknown"),
    [
        ("person, car, road", ["person", "car", "road"], []),
        ("a car, two people and a palm tree.", ["car", "person", "palm tree"], []),
        ("1. Street lights 2. hedge\n3) a red zeppelin", ["street lamp", "bush"], ["red zeppelin"]),
        ("- cars\n- parked white cars; trucks", ["car", "truck"], []),
        ("the roof of a tall building", ["building"], []),
        ("", [], []),
        (", and , .", [], []),
    ],
)
def test_answers_are_parsed(answer, known, unknown):
    assert parse_answer(answer) == (known, unknown)


def test_answers_about_both_captions_are_merged():
    entities, outside = merge_entities(
        ["tree, zeppelin, road, people", "person, dog, zeppelin"],
        "A road under trees, with no dog.",
        "A person glows.",
    )
    assert entities == ["person", "road", "tree"]  # the dog is denied
    assert outside == ["zeppelin"]


def test_a_short_answer_is_filled_from_the_captions_and_a_long_one_cut():
    assert merge_entities(["", ""], "A car on a road.", "")[0] == ["car", "road"]
    names = load_vocabulary().names
    assert merge_entities([", ".join(names), ""], "", "")[0] == list(names[:8])


def _pairs(folder, count=5):
    rng = np.random.default_rng(0)
    for index in range(count):
        write_png(folder / "vi" / f"{index}.png", rng.integers(0, 256, (20, 24, 3), np.uint8))
        write_png(folder / "ir" / f"{index}.png", rng.integers(0, 256, (18, 24), np.uint8))
    return {
        "visible": folder / "vi",
        "infrared": folder / "ir",
        "out": folder / "annotations.jsonl",
        "models": MODELS,
    }


class _Captioner:
    """Names the shape of an image, and counts; `limit` images, then it is interrupted."""

    def __init__(self, limit=10**6):
        self.seen, self.limit = 0, limit

    def __call__(self, images):
        self.seen += len(images)
        if self.seen > self.limit:
            raise KeyboardInterrupt
        assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images)
        return ["A car." if image.shape[0] == 20 else "A dog." for image in images]


def _load(captioner):
    return lambda: (captioner, lambda captions: captions)


def test_every_pair_gets_a_line_visible_first(tmp_path):
    arguments = _pairs(tmp_path)
    assert annotate_folders(**arguments, load_models=_load(_Captioner()), batch_size=2) == {}
    records = read_captions(arguments["out"])
    assert [record["id"] for record in records] == list("01234")
    assert records[3] == {
        "id": "3",
        "caption_visible": "A car.",
        "caption_infrared": "A dog.",
        "entities": ["car", "dog"],
        "outside_vocabulary": [],
        **MODELS,
    }


def test_an_interrupted_run_goes_on_and_gives_the_same_file(tmp_path):
    whole, parts = _pairs(tmp_path / "whole"), _pairs(tmp_path / "parts")
    annotate_folders(**whole, load_models=_load(_Captioner()), batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        annotate_folders(**parts, load_models=_load(_Captioner(limit=4)), batch_size=2)
    assert len(read_captions(parts["out"])) == 2
    with parts["out"].open("ab") as file:
        file.write(b'{"id": "2", "caption_vis')  # what a crash in mid-line leaves
    captioner = _Captioner()
    annotate_folders(**parts, load_models=_load(captioner), batch_size=2)
    assert captioner.seen == 6  # three pairs were left
    assert parts["out"].read_bytes() == whole["out"].read_bytes()


def test_nothing_loads_when_all_is_done(tmp_path):
    arguments = _pairs(tmp_path)
    annotate_folders(**arguments, load_models=_load(_Captioner()))
    # a last line without its end is whole
    arguments["out"].write_bytes(arguments["out"].read_bytes().rstrip(b"\n"))
    annotate_folders(**arguments, load_models=lambda: pytest.fail("models were loaded"))
    assert len(read_captions(arguments["out"])) == 5


def test_a_file_of_other_models_or_other_pairs_is_refused(tmp_path):
    arguments = _pairs(tmp_path)
    annotate_folders(**arguments, load_models=_load(_Captioner()))
    before = arguments["out"].read_bytes()
    with pytest.raises(UserError, match="annotated with detector made up too, not another"):
        annotate_folders(
            **arguments | {"models": MODELS | {"detector": "another"}},
            load_models=_load(_Captioner()),
        )
    for side in ("vi", "ir"):
        (tmp_path / side / "4.png").unlink()
    with pytest.raises(UserError, match="has 4, which the folders lack"):
        annotate_folders(**arguments, load_models=_load(_Captioner()))
    assert arguments["out"].read_bytes() == before


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path):
    arguments = _pairs(tmp_path)
    annotate_folders(**arguments, load_models=_load(_Captioner()))
    lines = arguments["out"].read_bytes().splitlines(keepends=True)
    arguments["out"].write_bytes(b"".join([lines[0], b"{torn\n", *lines[2:]]))
    with pytest.raises(UserError, match="line 2: invalid JSON"):
        annotate_folders(**arguments, load_models=_load(_Captioner()))


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path):
    arguments = _pairs(tmp_path)
    (tmp_path / "ir" / "1.png").write_bytes(b"not a picture")
    failed = annotate_folders(**arguments, load_models=_load(_Captioner()), batch_size=2)
    assert list(failed) == ["1"]
    assert "1.png" in failed["1"]
    assert [record["id"] for record in read_captions(arguments["out"])] == list("0234")


def test_wrong_folders_and_batch_sizes_are_found_before_models_load(tmp_path):
    arguments = _pairs(tmp_path)
    (tmp_path / "ir" / "1.png").unlink()

    def load():
        pytest.fail("models were loaded")

    with pytest.raises(UserError, match="infrared lacks 1"):
        annotate_folders(**arguments, load_models=load)
    with pytest.raises(UserError, match="batch size 0"):
        annotate_folders(**arguments, load_models=load, batch_size=0)
    assert not arguments["out"].exists()


def _run(*argv):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in argv]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_command_on_tiny_blip2_and_t5(tmp_path, capsys):
    pytest.importorskip("torch", reason="needs the extra [annotate]")
    pytest.importorskip("transformers", reason="needs the extra [annotate]")
    from tiny_text_models import save_tiny_blip2, save_tiny_t5

    from egmt_jax.entities.captioner import load_captioner
    from egmt_jax.entities.detector import load_detector

    blip2, t5 = save_tiny_blip2(tmp_path / "blip2"), save_tiny_t5(tmp_path / "t5")
    arguments = _pairs(tmp_path)
    (tmp_path / "vi" / "4.png").write_bytes(b"")
    flags = ["--visible", arguments["visible"], "--infrared", arguments["infrared"]]
    flags += ["--captioner", blip2, "--detector", t5, "--batch-size", 3]
    assert _run(*flags, "--out", arguments["out"]) == 1
    assert "4.png" in capsys.readouterr().err
    records = read_captions(arguments["out"])
    assert [record["id"] for record in records] == list("0123")
    captions = [
        record[key] for record in records for key in ("caption_visible", "caption_infrared")
    ]
    assert all(captions)
    assert len(set(captions)) > 1  # the images are seen
    assert not any("<" in caption for caption in captions)  # no special tokens
    answers = load_detector(t5)(captions)
    for index, record in enumerate(records):
        expected = merge_entities(answers[2 * index : 2 * index + 2], *captions[2 * index :][:2])
        assert (record["entities"], record["outside_vocabulary"]) == expected
        assert (record["captioner"], record["detector"]) == (blip2, t5)
    # a batch of one pair gives what a batch of three gave
    other = tmp_path / "other.jsonl"
    _run(*flags[:-1], 1, "--out", other)
    assert other.read_bytes() == arguments["out"].read_bytes()
    with pytest.raises(UserError, match=r"captioner .*t5: does not load \(it is a t5 model"):
        load_captioner(t5)
    with pytest.raises(UserError, match=r"entity detector .*does not load \(it is a blip-2 model"):
        load_detector(blip2)
    with pytest.raises(UserError, match=r"entity detector .*none: does not load"):
        load_detector(str(tmp_path / "none"))


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch):
    arguments = _pairs(tmp_path, count=1)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    with pytest.raises(UserError, match=r"pip install -e '\.\[annotate\]'"):
        _run(
            *("--visible", arguments["visible"], "--infrared", arguments["infrared"]),
            *("--out", arguments["out"]),
        )
    assert not arguments["out"].exists()
