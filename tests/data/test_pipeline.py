"""Examples and batches: ranges, labels that follow the crop, one order per seed."""

import numpy as np
import pytest

from egmt_jax.data import pipeline
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.testing import made_up_pair

VOCABULARY = load_vocabulary()


def record(number=0, height=60, width=80, entities=("person", "car"), present=None, masks=None):
    """A record; `masks` maps names to bool [H, W]."""
    visible, infrared = made_up_pair(height, width, number)
    masks = masks or {}
    return {
        "id": f"{number:03d}".encode(),
        "visible": visible,
        "infrared": infrared,
        "entities": [name.encode() for name in entities],
        "present": [name.encode() for name in present or ()],
        "has_present": present is not None,
        "mask_entities": [name.encode() for name in masks],
        "masks": [np.uint8(255) * mask[..., None] for mask in masks.values()],
        "mask_kind": b"exact" if masks else b"none",
    }


def halves(height=60, width=80):
    left = np.broadcast_to(np.arange(width) < width // 2, (height, width))
    return {"person": left, "car": ~left}


def example_of(record, seed=0, **arguments):
    arguments = dict(size=32, full_frame_probability=1.0, jitter=0.1) | arguments
    transform = pipeline.CropAndAugment(vocabulary=VOCABULARY, **arguments)
    return transform.random_map(record, np.random.default_rng(seed))


def names(multi_hot):
    return {VOCABULARY.names[k] for k in np.flatnonzero(multi_hot)}


def ids(*entities):
    return [VOCABULARY.id_of(name) for name in entities]


@pytest.mark.parametrize("size", [(60, 80), (20, 90), (33, 32)])
def test_an_example_has_the_documented_shapes_and_ranges(size):
    example = example_of(record(0, *size))
    for name in ("visible", "infrared"):
        assert example[name].shape == (32, 32, 1)
        assert example[name].dtype == np.float32
        assert 0.0 <= example[name].min() <= example[name].max() <= 1.0
    assert example["entity_ids"].dtype == np.int32
    assert example["entity_ids"].tolist() == [*ids("person", "car"), *[-1] * 6]
    assert names(example["labels"]) == names(example["guide"]) == {"person", "car"}
    assert not example["masked"]
    assert not example["masks"].any()


def test_labels_are_present_and_guides_are_entities():
    example = example_of(record(present=("person", "car", "tree")))
    assert example["labelled"].all()
    assert names(example["labels"]) == {"person", "car", "tree"}
    assert names(example["guide"]) == {"person", "car"}


def test_without_a_present_list_entities_are_the_labels_and_without_entities_nothing_is_known():
    assert names(example_of(record())["labels"]) == {"person", "car"}
    example = example_of(record(entities=()))
    assert not example["labelled"].any()
    assert not example["labels"].any()
    assert example_of(record(entities=(), present=()))["labelled"].all()


@pytest.mark.parametrize("present", [None, ("person", "car")])
def test_of_a_small_crop_without_masks_only_absences_are_known_and_nothing_guides(present):
    example = example_of(record(present=present), full_frame_probability=0.0)
    assert example["labelled"].dtype == bool
    assert names(~example["labelled"]) == {"person", "car"}
    assert not example["labels"].any()
    assert not example["guide"].any()
    assert (example["entity_ids"] == -1).all()


def test_the_largest_square_of_a_wide_pair_is_labelled_but_a_crop_of_that_share_is_not():
    wide = record(0, 90, 160)  # 16:9: the largest square shows 56 %
    assert example_of(wide)["labelled"].all()
    crop = example_of(wide, full_frame_probability=0.0, size=90)
    assert names(~crop["labelled"]) == {"person", "car"}


def test_masks_decide_which_entities_are_in_a_crop():
    pair, seen = record(masks=halves()), set()
    for seed in range(40):
        example = example_of(pair, seed, full_frame_probability=0.0)
        assert example["masked"]
        shares = example["masks"][..., :2].mean(axis=(0, 1))
        inside = {name for name, share in zip(("person", "car"), shares, strict=True) if share}
        assert names(example["labels"]) == names(example["guide"]) == inside
        assert example["labelled"].all() == (-1 not in example["entity_ids"][:2])
        seen.add(frozenset(inside))
    assert seen == {frozenset(x) for x in (["person"], ["car"], ["person", "car"])}


def test_a_sliver_counts_neither_as_present_nor_as_absent():
    masks = halves(40, 40) | {"car": np.zeros((40, 40), bool)}
    masks["car"][20, 20] = True  # 1 of 900 pixels of a crop that shows it
    for seed in range(20):
        example = example_of(
            record(0, 40, 40, masks=masks), seed, size=30, full_frame_probability=0.0
        )
        assert example["entity_ids"].tolist()[:2] == [*ids("person"), -1]
        assert not example["masks"][..., 1].any()
        assert "car" not in names(example["guide"])
        assert names(~example["labelled"]) == {"car"}


def test_an_entity_that_was_not_found_has_no_slot():
    masks = halves() | {"car": np.zeros((60, 80), bool)}
    full = example_of(record(masks=masks))
    crop = example_of(record(masks=masks), full_frame_probability=0.0)
    assert ids("car")[0] not in [*full["entity_ids"], *crop["entity_ids"]]
    assert "car" in names(full["labels"])
    assert full["labelled"].all()
    assert names(~crop["labelled"]) == {"car"}


def test_entities_come_first_in_the_slots_and_eight_masks_are_kept():
    everything = VOCABULARY.names[:10]
    masks = {name: np.zeros((60, 80), bool) for name in everything}
    for k, name in enumerate(everything):
        masks[name][:, 8 * k : 8 * k + 8] = True
    example = example_of(record(entities=everything[9:], present=everything, masks=masks))
    assert example["entity_ids"].tolist()[0] == 9
    assert len({*example["entity_ids"].tolist()} - {-1}) <= 8
    assert pipeline.to_pair(record(entities=everything)).entities == everything[:8]


def test_image_and_masks_are_flipped_together():
    pair = record(0, 32, 32, masks=halves(32, 32))
    pair["visible"][:, :16], pair["visible"][:, 16:] = 0, 255
    for seed in range(8):
        example = example_of(pair, seed, jitter=0.0)
        np.testing.assert_array_equal(example["visible"][..., 0] > 0.5, example["masks"][..., 1])


def test_black_borders_of_the_infrared_image_hold_no_data():
    pair = record(0, 60, 80)
    pair["infrared"] = np.maximum(pair["infrared"], 40)
    assert pipeline.to_pair(pair).has_infrared is None
    assert example_of(pair)["has_infrared"].all()
    pair["infrared"][:, :8] = 0
    found = pipeline.to_pair(pair).has_infrared
    assert not found[:, :8].any()
    assert found[:, 10:].all()
    for seed in range(8):
        example = example_of(pair, seed, jitter=0.0)
        missing = ~example["has_infrared"]
        assert not missing.any() or missing[:, 0].all() or missing[:, -1].all()
        assert (example["infrared"][..., 0][example["has_infrared"]] > 0.1).all()


def batches(records, batch_size=4, seed=3, jitter=0.0, **arguments):
    transform = pipeline.CropAndAugment(32, 0.5, jitter, VOCABULARY)
    return iter(
        pipeline.training_batches(
            [pipeline.Part(records, transform)], batch_size, seed, **arguments
        )
    )


def test_a_seed_determines_the_batches():
    source = [record(k) for k in range(10)]
    one, two, other = (batches(source, seed=seed, jitter=0.1) for seed in (3, 3, 4))
    differs = False
    for _ in range(4):
        a, b, c = next(one), next(two), next(other)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
        differs |= bool((a["visible"] != c["visible"]).any())
    assert differs


def test_each_pass_contains_every_pair_once_and_start_skips_batches():
    source = [record(k, 32, 32) for k in range(8)]
    for k in range(8):
        source[k]["visible"][:], source[k]["infrared"][:] = 10 * k, 0
    iterator, levels = batches(source), []
    for _ in range(6):
        mean = next(iterator)["visible"].mean(axis=(1, 2, 3))
        levels.append(np.rint(mean * 255 / 10).astype(int).tolist())
    assert all(
        sorted(a + b) == list(range(8)) for a, b in zip(levels[::2], levels[1::2], strict=True)
    )
    resumed = next(batches(source, start=3))["visible"].mean(axis=(1, 2, 3))
    assert np.rint(resumed * 255 / 10).astype(int).tolist() == levels[3]


def test_images_of_two_sizes_are_refused_by_name():
    broken = record(5)
    broken["infrared"] = broken["infrared"][:-1]
    with pytest.raises(UserError, match=r"^005: visible \(60, 80\) and infrared \(59, 80\)"):
        pipeline.to_pair(broken)
