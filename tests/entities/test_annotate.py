"""`egmt annotate`: answers to entities, resuming, and the real code path on tiny random models."""

import argparse
import importlib.util
import json

import numpy as np
import pytest

from egmt_jax.cli import annotate as command
from egmt_jax.entities import load_vocabulary, read_captions
from egmt_jax.entities.annotate import QUESTION, annotate_folders, merge_entities, parse_answer
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


@pytest.fixture
def arguments(tmp_path):
    """Arguments of `annotate_folders` for five pairs: visible 20, infrared 18 pixels high."""
    rng = np.random.default_rng(0)
    for index in range(5):
        write_png(tmp_path / "vi" / f"{index}.png", rng.integers(0, 256, (20, 24, 3), np.uint8))
        write_png(tmp_path / "ir" / f"{index}.png", rng.integers(0, 256, (18, 24), np.uint8))
    return {
        "visible": tmp_path / "vi",
        "infrared": tmp_path / "ir",
        "out": tmp_path / "annotations.jsonl",
        "models": MODELS,
    }


class Models:
    """Names a thing by the height of an image; is interrupted after `limit` images."""

    def __init__(self, limit=10**6):
        self.seen, self.limit = 0, limit

    def __call__(self):
        return self.describe, lambda captions: captions

    def describe(self, images, prompt):
        assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images)
        if prompt is not None:
            assert prompt == QUESTION
            return ["cars, road and trees" if len(image) == 20 else "zeppelin" for image in images]
        self.seen += len(images)
        if self.seen > self.limit:
            raise KeyboardInterrupt
        return ["A car." if len(image) == 20 else "A dog." for image in images]


def no_models():
    pytest.fail("models were loaded")


def test_every_pair_gets_a_line(arguments):
    assert annotate_folders(**arguments, load_models=Models(), batch_size=2) == {}
    records = read_captions(arguments["out"])
    assert [record["id"] for record in records] == list("01234")
    assert records[3] == {
        "id": "3",
        "caption_visible": "A car.",
        "caption_infrared": "A dog.",
        "entities": ["car", "dog"],
        "present": ["car", "dog", "road", "tree"],
        "outside_vocabulary": [],
        **MODELS,
    }


def test_an_interrupted_run_continues_and_gives_the_same_file(arguments):
    out = arguments["out"]
    annotate_folders(**arguments, load_models=Models(), batch_size=2)
    complete = out.read_bytes()
    out.unlink()
    with pytest.raises(KeyboardInterrupt):
        annotate_folders(**arguments, load_models=Models(limit=4), batch_size=2)
    assert len(read_captions(out)) == 2
    models = Models()
    annotate_folders(**arguments, load_models=models, batch_size=2)
    assert models.seen == 6  # three pairs were left
    assert out.read_bytes() == complete


def test_nothing_loads_when_all_is_done_even_without_present_or_the_last_line_end(arguments):
    annotate_folders(**arguments, load_models=Models())
    records = read_captions(arguments["out"])
    for record in records:
        del record["present"]  # as written by version 0.1
    text = "\n".join(json.dumps(record) for record in records)
    arguments["out"].write_text(text, "utf-8")
    annotate_folders(**arguments, load_models=no_models)
    assert read_captions(arguments["out"]) == records


def test_a_file_of_other_models_or_other_pairs_or_with_damage_is_refused(arguments):
    out = arguments["out"]
    annotate_folders(**arguments, load_models=Models())
    content = out.read_bytes()
    other = arguments | {"models": MODELS | {"detector": "another"}}
    with pytest.raises(UserError, match=r"0 was made with .*'made up too'"):
        annotate_folders(**other, load_models=no_models)
    for side in ("visible", "infrared"):
        (arguments[side] / "4.png").unlink()
    with pytest.raises(UserError, match="has 4, which the folders lack"):
        annotate_folders(**arguments, load_models=no_models)
    assert out.read_bytes() == content
    lines = content.splitlines(keepends=True)
    out.write_bytes(b"".join([lines[0], b"{torn\n", *lines[2:]]))
    with pytest.raises(UserError, match="line 2: invalid JSON"):
        annotate_folders(**arguments, load_models=no_models)


def test_unreadable_images_are_left_out_and_reported(arguments):
    (arguments["infrared"] / "1.png").write_bytes(b"not a picture")
    failed = annotate_folders(**arguments, load_models=Models(), batch_size=2)
    assert list(failed) == ["1"]
    assert "1.png" in failed["1"]
    assert [record["id"] for record in read_captions(arguments["out"])] == list("0234")


def test_wrong_folders_and_batch_sizes_are_found_before_models_load(arguments):
    (arguments["infrared"] / "1.png").unlink()
    with pytest.raises(UserError, match="ir lacks 1"):
        annotate_folders(**arguments, load_models=no_models)
    with pytest.raises(UserError, match="batch size 0"):
        annotate_folders(**arguments, load_models=no_models, batch_size=0)
    assert not arguments["out"].exists()


def run(arguments, **options):
    flags = [f"--{name}={arguments[name]}" for name in ("visible", "infrared", "out")]
    flags += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(flags))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_command_on_tiny_blip2_and_t5(arguments, tmp_path, capsys):
    pytest.importorskip("torch", reason="needs the extra [annotate]")
    pytest.importorskip("transformers", reason="needs the extra [annotate]")
    from tiny_text_models import save_tiny_blip2, save_tiny_t5

    from egmt_jax.entities.torch_models import load_captioner, load_detector
    from egmt_jax.io.images import read_image, to_rgb

    blip2, t5 = save_tiny_blip2(tmp_path / "blip2"), save_tiny_t5(tmp_path / "t5")
    (tmp_path / "vi" / "4.png").write_bytes(b"")
    assert run(arguments, captioner=blip2, detector=t5, batch_size=3) == 1
    assert "4.png" in capsys.readouterr().err
    records = read_captions(arguments["out"])
    assert [record["id"] for record in records] == list("0123")
    captions = [
        record[key] for record in records for key in ("caption_visible", "caption_infrared")
    ]
    assert all(captions)
    assert len(set(captions)) > 1  # the images are seen
    assert not any("<" in caption for caption in captions)  # no special tokens
    images = [
        to_rgb(read_image(tmp_path / kind / f"{index}.png"))
        for index in range(4)
        for kind in ("vi", "ir")
    ]
    listed, answers = load_captioner(blip2)(images, QUESTION), load_detector(t5)(captions)
    assert not any("list" in text.split()[:2] for text in listed)  # the question is not repeated
    for index, record in enumerate(records):
        both = slice(2 * index, 2 * index + 2)
        expected = merge_entities(answers[both], *captions[both])
        assert (record["entities"], record["outside_vocabulary"]) == expected
        assert set(record["present"]) == {*expected[0], *parse_answer(", ".join(listed[both]))[0]}
        assert (record["captioner"], record["detector"]) == (blip2, t5)
    # a batch of one pair gives what a batch of three gave
    other = arguments | {"out": tmp_path / "other.jsonl"}
    run(other, captioner=blip2, detector=t5, batch_size=1)
    assert other["out"].read_bytes() == arguments["out"].read_bytes()
    with pytest.raises(UserError, match=r"captioner .*t5: does not load \(it is a t5 model"):
        load_captioner(t5)
    with pytest.raises(UserError, match=r"entity detector .*none: does not load"):
        load_detector(str(tmp_path / "none"))


def test_without_the_extra_the_command_says_what_to_install(arguments, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    with pytest.raises(UserError, match=r"pip install -e '\.\[annotate\]'"):
        run(arguments)
    assert not arguments["out"].exists()
