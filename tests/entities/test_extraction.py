"""The lexicon extractor: hard sentences, salience, determinism, agreement with annotated lists."""

import collections
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


def test_there_are_sixty_hard_sentences():
    assert len(HARD) >= 60
    assert len({case["visible"] + case["infrared"] for case in HARD}) == len(HARD)


@pytest.mark.parametrize("name", load_vocabulary().names)
def test_every_name_is_found_in_singular_and_after_an_article(name):
    assert extract(f"There is a {name}.", "") == [name]
    assert extract("", f"The {name} glows.") == [name]


def test_what_both_name_early_comes_first():
    entities = extract(
        "A car is parked on a road before a building with windows under the sky.",
        "A person glows beside the car, and the sky is black.",
    )
    assert entities == ["car", "person", "road", "building", "window", "sky"]


def test_eight_at_most_and_the_sky_goes_first():
    entities = extract(
        "A person, a cyclist, a car, a van, a truck, a bus and a house stand by a road.",
        "People glow under a black sky.",
    )
    assert len(entities) == 8
    assert "sky" not in entities


def test_order_of_captions_matters_for_rank_not_for_membership():
    one = "A tree and a wall."
    other = "A person and a car."
    assert sorted(extract(one, other)) == sorted(extract(other, one))


def test_text_of_any_kind_is_harmless():
    assert extract("…—“”\n\t 12 345 %&/ 人 🚗 no", "without") == []
    assert extract("no " * 1000, ", or " * 1000) == []
    assert extract("car " * 5000, "") == ["car"]


def _scores(records):
    """Micro F1, and per entity (true, false positives, false negatives)."""
    counts = collections.defaultdict(lambda: [0, 0, 0])
    for record in records:
        listed = set(record["entities"])
        found = set(extract(record["caption_visible"], record["caption_infrared"]))
        for entity in listed | found:
            counts[entity][0 if entity in listed & found else 1 if entity in found else 2] += 1
    hits, extra, missed = (sum(column) for column in zip(*counts.values(), strict=True))
    return 2 * hits / (2 * hits + extra + missed), counts


def test_agreement_with_annotated_lists(annotations_dir):
    seen, unseen = [], []
    for name in ("tno", "roadscene", "m3fd", "msrs"):
        for record in read_captions(annotations_dir / f"{name}.jsonl"):
            if "entities" in record:
                (unseen if is_held_out(name, record["id"]) else seen).append(record)
    assert len(unseen) > 100
    for records in (seen, unseen):
        micro, counts = _scores(records)
        per_entity = [
            2 * hits / (2 * hits + extra + missed)
            for hits, extra, missed in counts.values()
            if hits + missed >= 10
        ]
        assert micro >= 0.95
        assert sum(per_entity) / len(per_entity) >= 0.88
