"""The lexicon extractor: hard sentences, salience, agreement with annotated lists."""

import json
import pathlib

import pytest

from egmt_jax.entities import extract, load_vocabulary, read_captions
from egmt_jax.entities.build import is_held_out

HARD = [
    json.loads(line)
    for line in (pathlib.Path(__file__).parent / "hard_sentences.jsonl")
    .read_text("utf-8")
    .splitlines()
]


@pytest.mark.parametrize("case", HARD, ids=[case["why"] for case in HARD])
def test_hard_sentence(case):
    assert sorted(extract(case["visible"], case["infrared"])) == case["entities"]


def test_every_name_is_found_in_singular_and_after_an_article():
    for name in load_vocabulary().names:
        assert extract(f"There is a {name}.", "") == [name]
        assert extract("", f"The {name} glows.") == [name]


def test_what_both_name_early_comes_first():
    entities = extract(
        "A car is parked on a road before a building with windows under the sky.",
        "A person glows beside the car, and the sky is black.",
    )
    assert entities == ["car", "person", "road", "building", "window", "sky"]


def test_eight_at_most_and_the_sky_is_dropped_first():
    entities = extract(
        "A person, a cyclist, a car, a van, a truck, a bus and a house stand by a road.",
        "People glow under a black sky.",
    )
    assert len(entities) == 8
    assert "sky" not in entities


def test_text_of_any_kind_is_harmless():
    assert extract("…—“”\n\t 12 345 %&/ 人 🚗 no", "without") == []
    assert extract("no " * 1000, ", or " * 1000) == []
    assert extract("car " * 5000, "") == ["car"]


@pytest.mark.parametrize("held_out", [False, True])
def test_agreement_with_annotated_lists(annotations_dir, held_out):
    hits = listed = found = seen = 0
    for name in ("tno", "roadscene", "m3fd", "msrs"):
        for record in read_captions(annotations_dir / f"{name}.jsonl"):
            if "entities" in record and is_held_out(name, record["id"]) == held_out:
                entities = extract(record["caption_visible"], record["caption_infrared"])
                hits += len({*entities} & {*record["entities"]})
                seen += len({*entities} & {*record["present"]})
                found += len(entities)
                listed += len(record["entities"])
    assert listed > 500
    assert 2 * hits / (found + listed) >= 0.95
    assert seen / found >= 0.99
