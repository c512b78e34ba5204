"""Rendered scenes: repeatable, exact masks, and content that differs between the two images."""

import collections

import cv2
import numpy as np
import pytest

from egmt_jax.entities import load_vocabulary
from egmt_jax.entities.extraction import extract
from tfds_builders.entity_scenes import KINDS, render_scene


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(np.random.default_rng([11, k]), 96, 80) for k in range(100)]


def luma(scene):
    return cv2.cvtColor(scene.visible, cv2.COLOR_RGB2GRAY).astype(np.float64)


def contrast(image, mask):
    """Difference of means between a mask and a ring three pixels wide."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    return abs(image[mask].mean() - image[wide & ~mask].mean())


def test_scene_is_a_function_of_the_generator():
    first, again, other = (render_scene(np.random.default_rng(seed), 96, 80) for seed in (1, 1, 2))
    for name in ("visible", "infrared", "masks", "present", "caption_visible", "caption_infrared"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.visible, other.visible)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (161, 32), (40, 200), (320, 256)])
def test_arrays_have_the_requested_size(size):
    width, height = size
    scene = render_scene(np.random.default_rng(0), width, height)
    assert scene.visible.shape == (height, width, 3)
    assert scene.infrared.shape == (height, width, 1)
    assert scene.masks.shape == (len(scene.present), height, width)
    assert scene.visible.dtype == scene.infrared.dtype == np.uint8
    assert scene.masks.dtype == bool


def test_masks_are_disjoint_and_belong_to_known_things(scenes):
    known = load_vocabulary()
    for scene in scenes:
        assert 2 <= len(scene.entities) <= 8
        assert scene.entities == scene.present[:8]
        assert len(set(scene.present)) == len(scene.present) == len(scene.masks)
        assert all(name in known for name in scene.present)
        assert scene.masks.sum(0).max() <= 1
        assert (scene.masks.sum((1, 2)) >= 6).all()


def test_masks_are_where_things_are_drawn(scenes):
    rows = np.arange(80)[:, None] / 80.0
    for scene in scenes:
        masks = dict(zip(scene.present, scene.masks, strict=True))
        middle = {kind: (rows * mask).sum() / mask.sum() for kind, mask in masks.items()}
        assert middle.get("sky", 0.0) < 0.45 < middle.get("road", 1.0)


def test_extractor_finds_exactly_the_entities_in_the_captions(scenes):
    for scene in scenes:
        found = extract(scene.caption_visible, scene.caption_infrared)
        assert set(found) == set(scene.entities), scene
        for caption in (scene.caption_visible, scene.caption_infrared):
            assert caption[0].isupper()
            assert caption.endswith(".")


def test_every_kind_appears_and_few_kinds_are_everywhere(scenes):
    counts = collections.Counter(kind for scene in scenes for kind in scene.present)
    assert len(KINDS) >= 20
    assert set(counts) == set(KINDS)
    assert {kind for kind in KINDS if counts[kind] > 60} <= {"sky", "road", "tree", "grass"}
    assert sum(count >= 5 for count in counts.values()) >= 25


def test_nights_are_darker_than_dusk_and_dusk_than_day(scenes):
    day, dusk, night = (
        np.median([luma(s).mean() for s in scenes if s.time == time])
        for time in ("day", "dusk", "night")
    )
    assert night < 0.7 * dusk < dusk < 0.9 * day


@pytest.mark.parametrize(
    ("kind", "time", "infrared"), [("person", "night", True), ("crosswalk", "day", False)]
)
def test_images_show_complementary_content(kind, time, infrared):
    """People stand out in the infrared image at night, crosswalks in the visible one by day."""
    wins = []
    for seed in range(20):
        scene = render_scene(np.random.default_rng(seed), 96, 80, time, [kind])
        mask = scene.masks[scene.entities.index(kind)]
        rise = contrast(scene.infrared[..., 0], mask) - contrast(luma(scene), mask)
        wins.append(rise > 0 if infrared else rise < 0)
    assert np.mean(wins) >= 0.75


def test_people_are_not_always_the_brightest_in_the_infrared():
    brightest = []
    for seed in range(20):
        scene = render_scene(np.random.default_rng(seed), 96, 80, "day", ["person"])
        means = [scene.infrared[mask].mean() for mask in scene.masks]
        brightest.append(scene.present[int(np.argmax(means))] == "person")
    assert 0.05 < np.mean(brightest) < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_required_things_are_entities(kind):
    scene = render_scene(np.random.default_rng(3), 64, 48, "dusk", [kind])
    assert scene.time == "dusk"
    assert kind in scene.entities


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 64), "32x32"),
        ((64, 64, "noon"), "noon"),
        ((64, 64, None, ["unicorn"]), "unicorn"),
        ((64, 64, None, ["bus", "path"]), "bus, path"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_scene(np.random.default_rng(0), *arguments)
