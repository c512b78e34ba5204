"""The vocabulary: names others rely on, ids, synonyms, errors, and how it is built."""

import collections
import dataclasses
import json
import subprocess
import sys

import pytest

from egmt_jax.entities import load_vocabulary, read_captions
from egmt_jax.entities.build import build_vocabulary, is_held_out, vocabulary_json
from egmt_jax.entities.lexicon import load_lexicon, plural, tokenise
from egmt_jax.errors import UserError


def test_names_are_unique_and_most_frequent_first():
    vocabulary = load_vocabulary()
    assert len(set(vocabulary.names)) == len(vocabulary) == len(vocabulary.counts)
    assert list(vocabulary.counts) == sorted(vocabulary.counts, reverse=True)
    assert min(vocabulary.counts) >= 2
    assert all(0 <= rank <= 1 for rank in vocabulary.ranks)
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.version = "0"


def test_every_synonym_and_plural_leads_to_the_index_of_its_name():
    vocabulary = load_vocabulary()
    for index, name in enumerate(vocabulary.names):
        for word in (name, *load_lexicon().synonyms[name]):
            assert vocabulary.id_of(word) == index
            assert vocabulary.id_of(plural(word)) == index
            assert vocabulary.canonical(f"  {word.upper()} ") == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        # MSRS's segmentation classes and M3FD's boxes
        ("bike", "bicycle"),
        ("car stop", "bollard"),
        ("guardrail", "guardrail"),
        ("color cone", "traffic cone"),
        ("bump", "bump"),
        ("People", "person"),
        ("Lamp", "street lamp"),
        ("Motorcycle", "motorcycle"),
        ("SUV", "car"),
        ("sign", "traffic sign"),
    ],
)
def test_labels_of_data_sets_are_known(label, name):
    assert load_vocabulary().canonical(label) == name


def test_an_unknown_name_is_an_error_that_lists_the_nearest():
    vocabulary = load_vocabulary()
    assert "giraffe" not in vocabulary
    with pytest.raises(UserError, match=r"^.*'trafic sing'.*nearest known: traffic sign.*$"):
        vocabulary.id_of("trafic sing")
    assert "(nearest known: bus, " in vocabulary.unknown("buss")
    assert vocabulary.unknown("zzzzzz").count(",") == 2


def test_plurals_and_tokens():
    words = ("bus", "bush", "sky", "car", "day")
    assert [plural(word) for word in words] == ["buses", "bushes", "skies", "cars", "days"]
    tokens = tokenise("The van\N{RIGHT SINGLE QUOTATION MARK}s no-entry SIGN, cyclists' heads.")
    assert tokens == ["the", "van", "no-entry", "sign", ",", "cyclists", "heads", "."]


def test_building_keeps_names_seen_in_two_pairs_and_ranks_them_by_their_position():
    kept = [name for name in map(str, range(60)) if not is_held_out("made_up", name)][:3]
    held_out = next(name for name in map(str, range(60)) if is_held_out("made_up", name))
    present = ["car", "wall", "sky", "zeppelin"]
    records = [{"id": name, "entities": ["car", "wall"], "present": present} for name in kept]
    records += [{"id": held_out, "entities": ["wall", "car"], "present": ["wall", "hill"]}]
    vocabulary = build_vocabulary({"made_up": [*records, {"id": "no lists"}]}, "7")
    assert vocabulary.names == ("wall", "car", "sky")  # the lexicon lacks zeppelin; hill: once
    assert vocabulary.counts == (4, 3, 3)
    assert vocabulary.ranks == (1.0, 0.0, 0.6)  # the held-out list does not count
    content = json.loads(vocabulary_json(vocabulary, {"made_up": 4}))
    assert content["version"] == "7"
    assert [entity["name"] for entity in content["entities"]] == ["wall", "car", "sky"]


def test_about_a_tenth_is_held_out_and_it_never_changes():
    held = [name for name in map(str, range(1000)) if is_held_out("msrs", name)]
    assert 70 < len(held) < 130
    assert held[:5] == ["14", "35", "50", "55", "63"]


def test_the_packaged_vocabulary_is_built_from_the_annotations(annotations_dir):
    annotations = {
        name: read_captions(annotations_dir / f"{name}.jsonl")
        for name in ("tno", "roadscene", "m3fd", "msrs")
    }
    vocabulary = load_vocabulary()
    assert build_vocabulary(annotations, vocabulary.version) == vocabulary
    listed = collections.Counter(
        name
        for records in annotations.values()
        for record in records
        for name in record.get("present", ())
    )
    assert {name for name, count in listed.items() if count >= 3} <= set(vocabulary.names)


def test_importing_needs_neither_jax_nor_torch():
    code = (
        "import sys, egmt_jax.entities as e; e.extract('a car', ''); e.embed(['car']); "
        "print([m for m in ('jax', 'torch', 'cv2', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
