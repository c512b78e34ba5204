"""Examples and batches: ranges, labels that follow the crop, one order per seed."""

import numpy as np
import pytest

from egmt_jax.data import pipeline
from egmt_jax.data.examples import Targets
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


def example_of(record, seed=0, view=128, crop=16, crops=3):
    """With the default view, which shows all of a record; 32 shows less than half of it."""
    augment = pipeline.Augment(view, crop, crops, VOCABULARY, Targets(1.0))
    return augment.random_map(record, np.random.default_rng(seed))


def names(multi_hot):
    return {VOCABULARY.names[k] for k in np.flatnonzero(multi_hot)}


def ids(*entities):
    return [VOCABULARY.id_of(name) for name in entities]


@pytest.mark.parametrize("size", [(60, 80), (20, 90), (33, 32), (10, 40)])
def test_an_example_has_the_documented_shapes_and_ranges(size):
    example = example_of(record(0, *size))
    for name in ("visible", "infrared", "target"):
        assert example[name].shape == (3, 16, 16, 1)
        assert example[name].dtype == np.uint8
    view, (rows, columns) = example["view"], example["extent"]
    assert view.shape == (128, 128, 5)
    assert view.dtype == np.float32
    assert np.abs(view).max() <= 1.0
    assert (view[:rows, :columns, 4] == 1.0).all()
    assert not view[rows:].any()
    assert not view[:, columns:].any()
    assert example["entity_ids"].tolist() == [-1] * 8
    assert names(example["labels"]) == {"person", "car"}
    assert not example["masked"]
    assert not example["masks"].any()


def test_crops_lie_at_their_origin_in_the_view():
    for seed in range(6):
        example = example_of(record(masks=halves()), seed)
        rows, columns = example["extent"]
        luma = example["view"][:rows, :columns, 0]
        for crop, (top, left) in zip(example["visible"], example["origin"], strict=True):
            middle = (np.array([top, left]) + 8) / example["factor"]
            half = 8 / example["factor"]
            window = [slice(round(m - half), round(m + half)) for m in middle]
            assert luma[tuple(window)].mean() == pytest.approx(crop.mean() / 255, abs=0.06)


def test_the_target_of_a_pair_does_not_depend_on_the_crop():
    pair, targets = record(), Targets(1.0)
    augment = pipeline.Augment(128, 16, 3, VOCABULARY, targets)
    whole, _ = targets.of(pipeline.to_pair(pair))
    for seed in range(4):
        example = augment.random_map(pair, np.random.default_rng(seed))
        windows = np.lib.stride_tricks.sliding_window_view(whole, (16, 16))
        for crop in example["target"][..., 0]:
            found = (windows == crop).all(axis=(2, 3)) | (windows == crop[:, ::-1]).all(axis=(2, 3))
            assert found.any()


def test_some_views_lose_their_chroma():
    pair = record()
    coloured = [example_of(pair, seed)["view"][..., 1:3].any() for seed in range(40)]
    assert 20 < sum(coloured) < 40
    pair["visible"] = pair["visible"][..., :1].repeat(3, axis=2)
    assert np.abs(example_of(pair)["view"][..., 1:3]).max() < 1e-6


def test_labels_are_present_and_guides_are_entities():
    example = example_of(record(present=("person", "car", "tree"), masks=halves()))
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
def test_of_a_small_view_without_masks_only_absences_are_known_and_nothing_guides(present):
    example = example_of(record(present=present), view=32)
    assert example["labelled"].dtype == bool
    assert names(~example["labelled"]) == {"person", "car"}
    assert not example["labels"].any()
    assert not example["guide"].any()
    assert (example["entity_ids"] == -1).all()


def test_masks_decide_which_entities_are_in_a_small_view():
    pair, seen = record(masks=halves()), set()
    for seed in range(60):
        example = example_of(pair, seed, view=32)
        assert example["masked"]
        found = {VOCABULARY.names[k] for k in example["entity_ids"] if k >= 0}
        assert names(example["guide"]) == found
        assert names(example["labels"]) <= found
        assert found - names(example["labels"]) == names(~example["labelled"])
        covered = example["coverage"].sum(axis=(0, 1))
        assert (covered[: len(found)] > 0.0).all()
        seen.add(frozenset(names(example["labels"])))
    assert {frozenset(["person"]), frozenset(["car"])} <= seen


def test_most_crops_show_an_entity_though_it_is_small():
    masks = {"person": np.zeros((60, 80), bool)}
    masks["person"][5:8, 70:73] = True
    examples = [example_of(record(masks=masks), seed) for seed in range(20)]
    shown = np.mean([example["masks"].any(axis=(1, 2, 3)) for example in examples])
    assert 0.4 < shown < 0.8


def test_an_entity_that_was_not_found_has_no_slot():
    masks = halves() | {"car": np.zeros((60, 80), bool)}
    full, small = (example_of(record(masks=masks), view=view) for view in (128, 32))
    assert ids("car")[0] not in [*full["entity_ids"], *small["entity_ids"]]
    assert "car" in names(full["labels"])
    assert full["labelled"].all()
    assert "car" in names(~small["labelled"])


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
        example = example_of(pair, seed)
        slot = example["entity_ids"].tolist().index(*ids("car"))
        np.testing.assert_array_equal(example["visible"][..., 0], example["masks"][..., slot])


def test_the_infrared_image_continues_into_its_black_borders():
    pair = record(0, 60, 80)
    pair["infrared"] = np.maximum(pair["infrared"], 40)
    assert pipeline.to_pair(pair).has_infrared is None
    pair["infrared"][:, :8] = 0
    found = pipeline.to_pair(pair).has_infrared
    assert not found[:, :8].any()
    assert found[:, 10:].all()
    for seed in range(4):
        example = example_of(pair, seed)
        rows, columns = example["extent"]
        view = example["view"][:rows, :columns]
        assert 0.05 < 1.0 - view[..., 4].mean() < 0.15
        assert (view[..., 3] > 0.1).all()
        assert (example["infrared"] > 30).all()


def batches(records, batch_size=4, seed=3, **arguments):
    part = pipeline.Part(records, pipeline.Augment(32, 16, 2, VOCABULARY, Targets(1.0)))
    return iter(pipeline.training_batches([part], batch_size, seed, **arguments))


def test_a_seed_determines_the_batches():
    source = [record(k) for k in range(10)]
    one, two, other = (batches(source, seed=seed) for seed in (3, 3, 4))
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
        levels.append((next(iterator)["visible"][:, 0, 0, 0, 0] // 10).tolist())
    assert all(
        sorted(a + b) == list(range(8)) for a, b in zip(levels[::2], levels[1::2], strict=True)
    )
    resumed = next(batches(source, start=3))["visible"][:, 0, 0, 0, 0]
    assert (resumed // 10).tolist() == levels[3]


def test_images_of_two_sizes_are_refused_by_name():
    broken = record(5)
    broken["infrared"] = broken["infrared"][:-1]
    with pytest.raises(UserError, match=r"^005: visible \(60, 80\) and infrared \(59, 80\)"):
        pipeline.to_pair(broken)
