"""Examples and batches: bounds, labels that follow the crop, one order for one seed."""

import numpy as np
import pytest

from egmt_jax.data import pipeline
from egmt_jax.entities import load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.testing import made_up_pair

VOCABULARY = load_vocabulary()


def record(number, height=60, width=80, entities=("person", "car"), masks=False):
    visible, infrared = made_up_pair(height, width, number)
    example = {
        "id": f"{number:03d}".encode(),
        "visible": visible,
        "infrared": infrared,
        "entities": [entity.encode() for entity in entities],
    }
    if masks:  # the first on the left half, the second on the right
        example["masks"] = [np.zeros((height, width, 1), np.uint8) for _ in entities]
        example["masks"][0][:, : width // 2] = 255
        example["masks"][1][:, width // 2 :] = 255
    return example


def transform(**arguments):
    return pipeline.CropAndAugment(
        **(dict(size=32, whole=0.5, jitter=0.1, vocabulary=VOCABULARY) | arguments)
    )


def batches_of(source, transform, *arguments):
    return pipeline.training_batches([pipeline.Part(source, transform)], *arguments)


def ids(*names):
    return [VOCABULARY.id_of(name) for name in names]


@pytest.mark.parametrize("size", [(60, 80), (20, 90), (33, 32)])
def test_an_example_has_the_shapes_and_bounds_of_the_contract(size):
    example = transform().random_map(record(0, *size), np.random.default_rng(0))
    for name in ("visible", "infrared"):
        assert example[name].shape == (32, 32, 1)
        assert example[name].dtype == np.float32
        assert 0.0 <= example[name].min() <= example[name].max() <= 1.0
    assert example["entity_ids"].dtype == np.int32
    assert example["entity_ids"].tolist() == [*ids("person", "car"), -1, -1, -1, -1, -1, -1]
    assert example["labels"].shape == (len(VOCABULARY),)
    assert np.flatnonzero(example["labels"]).tolist() == sorted(ids("person", "car"))
    assert not example["masked"]
    assert not example["masks"].any()


def test_a_record_without_masks_is_a_pair_whose_masks_are_not_known():
    unknown = record(0) | {"masks": []}
    assert pipeline.to_pair(unknown).masks is None
    assert not transform().random_map(unknown, np.random.default_rng(0))["masked"]
    assert transform().random_map(record(0, masks=True), np.random.default_rng(0))["masked"]


def test_labels_of_a_pair_hold_for_the_whole_of_it_but_not_for_a_small_crop():
    whole = transform(whole=1.0).random_map(record(0), np.random.default_rng(0))
    crop = transform(whole=0.0).random_map(record(0), np.random.default_rng(0))
    assert whole["labelled"]
    assert not crop["labelled"]


def test_the_largest_square_of_a_wide_pair_is_labelled_and_a_crop_of_that_share_is_not():
    wide = record(0, 90, 160)  # 16:9: the largest square shows 56 % of it
    rng = np.random.default_rng(0)
    assert transform(whole=1.0).random_map(wide, rng)["labelled"]
    assert not transform(whole=0.0, size=90).random_map(wide, rng)["labelled"]
    assert not transform(whole=1.0).random_map(record(0, 90, 160, ()), rng)["labelled"]


def test_of_many_entities_the_first_eight_and_their_masks_are_kept():
    many = record(0, entities=VOCABULARY.names[:10], masks=True)
    pair = pipeline.to_pair(many)
    assert pair.entities == VOCABULARY.names[:8]
    assert pair.masks.shape == (8, 60, 80)
    example = transform(whole=1.0).random_map(many, np.random.default_rng(0))
    assert set(np.flatnonzero(example["labels"])) <= set(range(8))
    labels = pipeline.check_entities([many], VOCABULARY)
    assert np.flatnonzero(labels[0]).tolist() == list(range(8))


def test_captions_of_both_images_are_one_text_whose_feature_is_given_where_asked_for():
    captioned = record(0) | {"caption_visible": b"A car.", "caption_infrared": b"A warm car."}
    half = record(0) | {"caption_visible": b"A car.", "caption_infrared": b""}
    assert pipeline.to_pair(captioned).caption == "A car. A warm car."
    assert pipeline.to_pair(half).caption == "A car."
    assert pipeline.to_pair(record(0)).caption == ""
    assert "sentence" not in transform().random_map(captioned, np.random.default_rng(0))
    feature, nothing = np.ones(3, np.float32), np.zeros(3, np.float32)
    asking = transform(sentences={"A car. A warm car.": feature, "": nothing})
    for given, expected in ((captioned, feature), (record(0), nothing)):
        example = asking.random_map(given, np.random.default_rng(0))
        np.testing.assert_array_equal(example["sentence"], expected)


def test_a_pair_without_entities_is_unlabelled():
    example = transform(whole=1.0).random_map(record(0, entities=()), np.random.default_rng(0))
    assert not example["labelled"]
    assert not example["labels"].any()


def test_masks_decide_which_entities_are_in_a_crop():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        example = transform(whole=0.0).random_map(record(0, masks=True), rng)
        assert example["labelled"]
        assert example["masked"]
        shares = example["masks"][..., :2].mean(axis=(0, 1))
        present = [k for k in range(2) if shares[k] >= pipeline.PRESENT_SHARE]
        seen.add(tuple(present))
        assert set(np.flatnonzero(example["labels"])) == {ids("person", "car")[k] for k in present}
        # Where an entity is not, is known as well.
        assert example["entity_ids"][:2].tolist() == ids("person", "car")
        assert not shares[[k for k in range(2) if k not in present]].any()
    assert seen == {(0,), (1,), (0, 1)}


def test_a_sliver_of_an_entity_is_neither_here_nor_elsewhere():
    pair = record(0, 32, 32, masks=True)
    pair["masks"][1][:] = 0
    pair["masks"][1][5, 7] = 255
    example = transform(whole=1.0).random_map(pair, np.random.default_rng(0))
    assert example["entity_ids"][:2].tolist() == [*ids("person"), -1]
    assert not example["masks"][..., 1].any()
    assert set(np.flatnonzero(example["labels"])) == set(ids("person"))


def test_an_entity_that_was_looked_for_in_vain_is_in_the_pair_but_nowhere():
    pair = record(0, masks=True)
    pair["masks"][1][:] = 0
    whole = transform(whole=1.0).random_map(pair, np.random.default_rng(0))
    crop = transform(whole=0.0).random_map(pair, np.random.default_rng(0))
    for example in (whole, crop):
        assert example["entity_ids"][1] == -1
        assert example["labels"][ids("car")] == 1.0
    assert (whole["labelled"], crop["labelled"]) == (True, False)


def test_image_and_mask_are_flipped_together():
    pair = record(0, 32, 32, masks=True)
    pair["visible"][:, :16], pair["visible"][:, 16:] = 0, 255
    for seed in range(8):
        example = transform(jitter=0.0).random_map(pair, np.random.default_rng(seed))
        bright = example["visible"][..., 0] > 0.5
        np.testing.assert_array_equal(bright, example["masks"][..., 1] > 0.5)


def first_batches(workers=0, count=4, seed=3, batch_size=4):
    source = [record(k) for k in range(10)]
    batches = iter(batches_of(source, transform(), batch_size, seed, workers))
    return [next(batches) for _ in range(count)]


def test_one_seed_gives_one_order_and_another_another():
    one, two, other = first_batches(), first_batches(), first_batches(seed=4)
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    assert any((a["visible"] != b["visible"]).any() for a, b in zip(one, other, strict=True))


def test_every_pair_is_seen_once_in_each_pass():
    source = [record(k, 32, 32) for k in range(8)]
    for k in range(8):
        source[k]["visible"][:], source[k]["infrared"][:] = 10 * k, 0
    batches = iter(batches_of(source, transform(jitter=0.0), 4, 0))
    for _ in range(3):
        levels = np.concatenate([next(batches)["visible"].mean(axis=(1, 2, 3)) for _ in range(2)])
        assert sorted(np.rint(levels * 255 / 10).astype(int)) == list(range(8))


def test_entities_are_read_and_checked_before_training():
    labels = pipeline.check_entities([record(0), record(1, entities=())], VOCABULARY)
    assert labels.shape == (2, len(VOCABULARY))
    assert labels.sum(axis=1).tolist() == [2.0, 0.0]
    with pytest.raises(UserError, match=r"pair 007: entity 'zebra' is not in the vocabulary"):
        pipeline.check_entities([record(0), record(7, entities=("zebra",))], VOCABULARY)


def test_all_records_with_unknown_entities_are_listed_up_to_twenty():
    records = [record(number, 20, 20, entities=("zebra",)) for number in range(23)]
    with pytest.raises(UserError) as error:
        pipeline.check_entities(records, VOCABULARY)
    lines = str(error.value).splitlines()
    assert [line[:9] for line in lines[:-1]] == [f"pair {number:03d}:"[:9] for number in range(20)]
    assert lines[-1] == "and 3 more"


def test_images_of_two_sizes_are_refused_by_name():
    broken = record(5)
    broken["infrared"] = broken["infrared"][:-1]
    with pytest.raises(UserError, match=r"^005: visible \(60, 80\) and infrared \(59, 80\)"):
        pipeline.to_pair(broken)
