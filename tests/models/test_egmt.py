"""The contracts of the model: bounds, no leakage, padding, tiles, budgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from egmt_jax.models import EGMT, PREDICTED, UNGUIDED, Guidance
from egmt_jax.testing import made_up_pair, text_features, tiny_model


def pair(height, width, seed=0):
    visible, infrared = made_up_pair(height, width, seed)
    return tuple(
        jnp.asarray(image[None, :, :, :1], jnp.float32) / 255.0 for image in (visible, infrared)
    )


@nnx.jit
def fuse(model, visible, infrared, guidance=PREDICTED, valid=None):
    return model(visible, infrared, guidance, valid)


def given(*ids):
    """Guidance by ids of the vocabulary, padded with -1."""
    ids = jnp.asarray([ids])
    features = jnp.asarray(text_features())[jnp.maximum(ids, 0)]
    return Guidance(weight=(ids >= 0).astype(jnp.float32), features=features)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_an_untrained_model_returns_the_sum_of_its_inputs_about_mid_grey():
    model = EGMT(text_features(), width=8, tokens=16, heads=2, dimension=8, rngs=nnx.Rngs(0))
    visible, infrared = pair(33, 47)
    fused = fuse(model, visible, infrared).luma
    expected = jnp.clip(visible + infrared - 0.5, 0.0, 1.0)
    np.testing.assert_allclose(fused, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 48), (300, 40)])
def test_output_has_the_input_size_and_range(model, size):
    visible, infrared = pair(*size)
    fusion = fuse(model, visible, infrared)
    assert fusion.luma.shape == (1, *size, 1)
    assert fusion.luma.dtype == jnp.float32
    assert 0.0 <= float(fusion.luma.min()) <= float(fusion.luma.max()) <= 1.0
    assert fusion.entity_logits.shape == (1, 6)
    assert np.isfinite(fusion.entity_logits).all()


def test_invalid_sizes_raise(model):
    visible, infrared = pair(15, 40)
    with pytest.raises(ValueError, match="at least 16"):
        model(visible, infrared)
    with pytest.raises((ValueError, TypeError), match="visible"):
        model(visible, pair(16, 40)[1])


def test_the_entities_change_the_image_but_not_the_logits(model):
    visible, infrared = pair(48, 64)
    fusions = [fuse(model, visible, infrared, given(*ids)) for ids in ([0, 1], [2, 5], [-1, -1])]
    for other in fusions[1:]:
        np.testing.assert_array_equal(fusions[0].entity_logits, other.entity_logits)
        assert float(jnp.abs(fusions[0].luma - other.luma).max()) > 1e-4


def test_logits_have_no_gradient_from_the_entities(model):
    visible, infrared = pair(32, 32)

    @nnx.jit
    def gradient(model, features):
        def total(features):
            guidance = Guidance(weight=jnp.ones((1, 2)), features=features)
            return jnp.sum(model(visible, infrared, guidance).entity_logits)

        return jax.grad(total)(features)

    np.testing.assert_array_equal(gradient(model, jnp.asarray(text_features()[None, :2])), 0.0)


def test_recognition_has_no_gradient_from_the_image(model):
    visible, infrared = pair(32, 32)

    @nnx.jit
    def gradients(model):
        return nnx.grad(lambda model: jnp.mean(model(visible, infrared, given(0, 1)).luma))(model)

    gradients = nnx.to_pure_dict(gradients(model))
    attention = gradients["entity_attention"]
    unused = {"tokens": gradients["visual_tokens"], "query": attention.pop("query")}
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(unused))
    assert np.any(attention["value"]["kernel"])


def test_padding_entities_have_no_effect(model):
    visible, infrared = pair(32, 48)
    short = fuse(model, visible, infrared, given(3, 1))
    long = fuse(model, visible, infrared, given(3, 1, -1, -1, -1))
    np.testing.assert_allclose(short.luma, long.luma, atol=1e-6)
    np.testing.assert_array_equal(long.context.attention[..., 2:], 0.0)


def test_the_order_of_entities_does_not_matter(model):
    visible, infrared = pair(32, 48)
    one = fuse(model, visible, infrared, given(3, 1, 4)).luma
    two = fuse(model, visible, infrared, given(4, 3, 1)).luma
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_predicted_guidance_weights_the_vocabulary_by_the_probabilities(model):
    visible, infrared = pair(40, 40)
    fusion = fuse(model, visible, infrared)
    guidance = Guidance(weight=jax.nn.sigmoid(fusion.entity_logits))
    np.testing.assert_allclose(
        fusion.luma, fuse(model, visible, infrared, guidance).luma, atol=1e-6
    )


def test_unguided_equals_zero_weights_and_names_need_features(model):
    visible, infrared = pair(32, 32)
    unguided = fuse(model, visible, infrared, UNGUIDED)
    zero = fuse(model, visible, infrared, Guidance(weight=jnp.zeros((1, 6))))
    np.testing.assert_array_equal(unguided.luma, zero.luma)
    np.testing.assert_array_equal(unguided.context.attention, 0.0)
    with pytest.raises(ValueError, match="needs features: person"):
        model(visible, infrared, Guidance(names=("person",)))


def test_attention_sums_to_at_most_one(model):
    visible, infrared = pair(40, 56)
    attention = fuse(model, visible, infrared).context.attention
    assert attention.shape == (1, 6, 8, 6)  # 5 x 7 cells, rounded up to even numbers
    assert float(attention.min()) >= 0.0
    assert float(attention.sum(axis=-1).max()) <= 1.0 + 1e-5


# The last two batches have a pair that is larger than CONTEXT_SIDE.
@pytest.mark.parametrize(
    ("sizes", "canvas"),
    [
        ([(37, 50), (64, 64), (16, 61)], (64, 64)),
        ([(370, 400), (40, 33)], (400, 402)),
        pytest.param([(100, 700), (128, 90)], (128, 700), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("patch", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_padded_batch_equals_single_pairs(sizes, canvas, patch):
    model = tiny_model(patch=patch)
    pairs = [pair(*size, seed=k) for k, size in enumerate(sizes)]
    batch = np.full((2, len(sizes), *canvas, 1), 0.7, np.float32)
    valid = np.zeros((len(sizes), *canvas), bool)
    for k, (h, w) in enumerate(sizes):
        batch[0, k, :h, :w], batch[1, k, :h, :w] = pairs[k][0][0], pairs[k][1][0]
        valid[k, :h, :w] = True
    together = fuse(model, jnp.asarray(batch[0]), jnp.asarray(batch[1]), valid=jnp.asarray(valid))
    for k, (h, w) in enumerate(sizes):
        alone = fuse(model, *pairs[k])
        np.testing.assert_allclose(together.luma[k, :h, :w], alone.luma[0], atol=1e-4)
        np.testing.assert_allclose(together.entity_logits[k], alone.entity_logits[0], atol=1e-4)


@pytest.mark.parametrize("patch", [2, 4])
def test_a_tile_with_the_receptive_field_as_margin_equals_the_full_image(patch):
    model = tiny_model(patch=patch)
    visible, infrared = pair(160, 280)
    context = fuse(model, visible, infrared).context
    render = nnx.jit(EGMT.render)
    full = render(model, visible, infrared, context)
    margin = -(-model.receptive_field // (2 * patch)) * 2 * patch
    top, left, side = 32, 96, 2 * margin + 24
    tile = np.s_[:, top : top + side, left : left + side]
    rendered = render(model, visible[tile], infrared[tile], context, origin=(top, left))
    inner = np.s_[:, margin:-margin, margin:-margin]
    np.testing.assert_allclose(rendered[inner], full[tile][inner], atol=1e-5)


def test_rendering_is_local_to_the_receptive_field(model):
    visible, infrared = pair(128, 128)
    context = fuse(model, visible, infrared).context

    @nnx.jit
    def gradient_of_one_pixel(model, context, visible):
        return jax.grad(lambda v: model.render(v, infrared, context)[0, 64, 64, 0])(visible)

    gradient = gradient_of_one_pixel(model, context, visible)
    rows, columns = np.nonzero(np.asarray(gradient[0, :, :, 0]))
    reach = max(np.abs(rows - 64).max(), np.abs(columns - 64).max())
    assert model.receptive_field // 2 < reach <= model.receptive_field


def test_the_context_sees_colour_and_missing_data_and_rendering_does_not(model):
    visible, infrared = pair(48, 64)
    red = jnp.zeros((1, 48, 64, 2)).at[..., 1].set(0.4)
    missing = jnp.ones_like(visible).at[:, :, :16].set(0.0)
    call = nnx.jit(EGMT.__call__)
    plain = fuse(model, visible, infrared)
    for changed in ({"chroma": red}, {"has_infrared": missing}):
        fusion = call(model, visible, infrared, **changed)
        assert float(jnp.abs(fusion.entity_logits - plain.entity_logits).max()) > 1e-4
    grey = call(model, visible, infrared, chroma=0.0 * red, has_infrared=jnp.ones_like(visible))
    np.testing.assert_array_equal(grey.luma, plain.luma)


def test_each_example_of_a_batch_is_rendered_at_its_own_origin(model):
    visible, infrared = pair(160, 160)
    context = fuse(model, visible, infrared).context
    twice = jax.tree.map(lambda x: jnp.repeat(x, 2, axis=0), context)
    tiles = [np.s_[:, top : top + 64, top : top + 64] for top in (16, 64)]
    images = [jnp.concatenate([image[tile] for tile in tiles]) for image in (visible, infrared)]
    render = nnx.jit(EGMT.render)
    origin = jnp.asarray([16, 64])
    together = render(model, *images, twice, origin=(origin, origin))
    for k, top in enumerate((16, 64)):
        alone = render(
            model, images[0][k : k + 1], images[1][k : k + 1], context, origin=(top, top)
        )
        np.testing.assert_allclose(together[k : k + 1], alone, atol=1e-5)


def test_bfloat16_activations_stay_close_to_float32():
    images = pair(64, 64)
    full, half = (fuse(tiny_model(dtype=d), *images) for d in (jnp.float32, jnp.bfloat16))
    assert half.luma.dtype == jnp.float32
    assert half.entity_logits.dtype == jnp.float32
    assert float(jnp.abs(full.luma - half.luma).mean()) < 1.0 / 255.0


def cost(model):
    graphdef, state = nnx.split(model)
    image = jax.ShapeDtypeStruct((1, 480, 640, 1), jnp.float32)
    call = jax.jit(lambda state, v, i: nnx.merge(graphdef, state)(v, i).luma)
    return call.lower(state, image, image).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_budgets_of_the_two_sizes():
    table = text_features(48, 384)
    base = EGMT(table, rngs=nnx.Rngs(0))
    small = dict(width=28, patch=4, tokens=64, deep_tokens=96, token_blocks=2)
    tiny = EGMT(table, rngs=nnx.Rngs(0), **small)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(base, nnx.Param)))
    assert parameters <= 2.2e6
    assert cost(base) <= 18e9
    assert cost(tiny) <= 6e9


def test_parameters_are_float32_and_exclude_the_text_table(model):
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert "text_features" not in params


def test_invalid_arguments_raise():
    with pytest.raises(ValueError, match="patch is 2 or 4"):
        tiny_model(patch=3)
    with pytest.raises(ValueError, match="heads=3"):
        tiny_model(heads=3)
    with pytest.raises((ValueError, TypeError), match=r"text.features"):
        tiny_model(np.zeros(4, np.float32))
