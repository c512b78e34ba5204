"""Scenes: sound, repeatable, and with reasons to look at both modalities."""

import collections

import cv2
import numpy as np
import pytest

from egmt_jax.entities.extraction import extract
from tfds_builders.entity_scenes.captions import mentioned
from tfds_builders.entity_scenes.scene import KINDS, render_scene


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(np.random.default_rng([11, k]), 96, 80) for k in range(200)]


def luma(scene):
    return cv2.cvtColor(scene.visible, cv2.COLOR_RGB2GRAY).astype(np.float64)


def contrast(image, mask):
    """Difference of means between a mask and a ring three pixels wide."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    return abs(image[mask].mean() - image[wide & ~mask].mean())


def test_equal_generators_give_equal_scenes():
    first, again, other = (render_scene(np.random.default_rng(seed), 96, 80) for seed in (1, 1, 2))
    for name in ("visible", "infrared", "masks"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.entities, first.caption_visible) == (again.entities, again.caption_visible)
    assert first.caption_infrared == again.caption_infrared
    assert not np.array_equal(first.visible, other.visible)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (161, 32), (40, 200), (320, 256)])
def test_every_size_gives_arrays_of_that_size(size):
    width, height = size
    for seed in range(3):
        scene = render_scene(np.random.default_rng(seed), width, height)
        assert scene.visible.shape == (height, width, 3)
        assert scene.infrared.shape == (height, width, 1)
        assert scene.masks.shape == (len(scene.entities), height, width)
        assert scene.visible.dtype == scene.infrared.dtype == np.uint8
        assert scene.masks.dtype == bool
        assert scene.infrared.std() > 2


def test_masks_are_disjoint_and_not_empty(scenes):
    for scene in scenes:
        assert scene.masks.sum(0).max() <= 1
        assert (scene.masks.sum((1, 2)) >= 6).all()


def test_two_to_eight_different_known_entities(scenes):
    for scene in scenes:
        assert 2 <= len(scene.entities) <= 8
        assert len(set(scene.entities)) == len(scene.entities)
        assert set(scene.entities) <= set(KINDS)


def test_masks_lie_where_things_are_drawn(scenes):
    """A sky is at the top, a road in the lower part, and both are coloured as such by day."""
    rows = np.arange(80)[:, None] / 80.0
    blue, count = [], 0
    for scene in scenes:
        masks = dict(zip(scene.entities, scene.masks, strict=True))
        if {"sky", "road"} <= masks.keys():
            count += 1
            sky, road = ((rows * masks[kind]).sum() / masks[kind].sum() for kind in ("sky", "road"))
            assert sky < 0.45 < road
            if scene.time == "day":
                red, _, other = scene.visible[masks["sky"]].mean(0)
                blue.append(other - red)
    assert count > 50
    assert np.mean(np.array(blue) > 5) > 0.9


def test_captions_name_all_entities_and_nothing_else(scenes):
    for scene in scenes:
        named = mentioned(scene.caption_visible) | mentioned(scene.caption_infrared)
        assert named == set(scene.entities)


def test_the_extractor_finds_the_entities_in_the_captions(scenes):
    for scene in scenes:
        found = extract(scene.caption_visible, scene.caption_infrared)
        assert set(found) == set(scene.entities), scene


def test_captions_are_sentences_and_vary(scenes):
    captions = [c for s in scenes for c in (s.caption_visible, s.caption_infrared)]
    for caption in captions:
        assert caption[0].isupper()
        assert caption.endswith(".")
        assert "  " not in caption
        assert " ," not in caption
    assert len(set(captions)) > 0.9 * len(captions)


def test_prevalence_leaves_something_to_classify(scenes):
    share = collections.Counter(kind for scene in scenes for kind in scene.entities)
    share = {kind: share[kind] / len(scenes) for kind in KINDS}
    common = {kind for kind in KINDS if share[kind] > 0.5}
    assert common <= {"sky", "road", "grass", "building", "window"}
    assert sum(0.05 <= s <= 0.5 for s in share.values()) >= 25
    assert min(share.values()) > 0.01


def test_some_entities_are_told_from_one_modality_only(scenes):
    visible_only = infrared_only = 0
    for scene in scenes:
        visible = mentioned(scene.caption_visible)
        infrared_only += len(set(scene.entities) - visible)
        visible_only += "lane marking" in visible - mentioned(scene.caption_infrared)
    assert visible_only > 10
    assert infrared_only > 50


def test_nights_are_darker_than_dusk_and_dusk_than_day(scenes):
    mean = {
        time: np.median([luma(s).mean() for s in scenes if s.time == time])
        for time in ("day", "dusk", "night")
    }
    assert mean["night"] < 0.7 * mean["dusk"] < mean["dusk"] < 0.9 * mean["day"]
    assert 70 < mean["day"] < 190


def test_the_clear_sky_is_dark_in_the_infrared(scenes):
    darker = []
    for scene in scenes:
        if "sky" in scene.entities:
            sky = scene.masks[scene.entities.index("sky")]
            darker.append(scene.infrared[sky].mean() < scene.infrared[~sky].mean())
    assert np.mean(darker) > 0.9


def test_people_at_night_stand_out_more_in_the_infrared():
    wins = []
    for seed in range(25):
        scene = render_scene(np.random.default_rng(seed), 128, 96, "night", ["person"])
        mask = scene.masks[scene.entities.index("person")]
        wins.append(contrast(scene.infrared[..., 0], mask) > contrast(luma(scene), mask))
    assert np.mean(wins) > 0.7


def test_people_are_not_always_the_brightest_in_the_infrared():
    brightest = []
    for seed in range(25):
        scene = render_scene(np.random.default_rng(seed), 96, 80, "day", ["person"])
        means = [scene.infrared[mask].mean() for mask in scene.masks]
        brightest.append(scene.entities[int(np.argmax(means))] == "person")
    assert 0.05 < np.mean(brightest) < 0.85


def test_crosswalks_show_in_the_visible_rather_than_the_infrared():
    wins = []
    for seed in range(15):
        scene = render_scene(np.random.default_rng(seed), 96, 80, "day", ["crosswalk"])
        mask = scene.masks[scene.entities.index("crosswalk")]
        wins.append(contrast(luma(scene), mask) > contrast(scene.infrared[..., 0], mask))
    assert np.mean(wins) > 0.8


def test_required_entities_and_time_are_met():
    for kind in KINDS:
        assert kind in render_scene(np.random.default_rng(3), 64, 48, require=[kind]).entities
    scene = render_scene(np.random.default_rng(3), 96, 80, "dusk", ["dog", "bench"])
    assert scene.time == "dusk"
    assert {"dog", "bench"} <= set(scene.entities)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 64), "32x32"),
        ((64, 64, "noon"), "noon"),
        ((64, 64, None, ["unicorn"]), "unicorn"),
        ((64, 64, None, ["bus", "bench"]), "bench, bus"),
    ],
)
def test_what_cannot_be_rendered_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_scene(np.random.default_rng(0), *arguments)
