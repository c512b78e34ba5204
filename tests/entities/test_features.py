"""Text features: the packaged table, damaged and foreign tables, names outside the vocabulary."""

import importlib.resources
import importlib.util

import numpy as np
import pytest

from egmt_jax.entities import embed, features, load_text_features, load_vocabulary
from egmt_jax.errors import UserError

has_encoders = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def rewrite(path, **changes):
    """A copy of the packaged table with some fields changed (None: left out), its hash kept."""
    with (
        importlib.resources.files("egmt_jax.entities")
        .joinpath("minilm.npz")
        .open("rb") as packaged,
        np.load(packaged) as file,
    ):
        content = dict(file) | changes
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return str(path)


def test_the_packaged_table():
    table, vocabulary = load_text_features(), load_vocabulary()
    assert table.features.shape == (len(vocabulary), 384)
    assert table.features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(table.features, axis=1), 1, atol=1e-6)
    assert (table.encoder, table.model) == ("minilm", "sentence-transformers/all-MiniLM-L6-v2")

    def cosine(one, other):
        return table.features[vocabulary.id_of(one)] @ table.features[vocabulary.id_of(other)]

    assert cosine("car", "van") > cosine("car", "sky")
    assert cosine("tree", "palm tree") > cosine("tree", "traffic light")
    assert cosine("cyclist", "bicycle") > cosine("cyclist", "window")


def test_embed_gives_rows_of_the_table_in_the_order_of_the_names(tmp_path):
    vocabulary, table = load_vocabulary(), load_text_features()
    rows = embed(["SUVs", "sky", "car"])
    assert rows.dtype == np.float32
    expected = table.features[[vocabulary.id_of(name) for name in ("car", "sky", "car")]]
    np.testing.assert_array_equal(rows, expected)
    assert embed([]).shape == (0, 384)
    copy = rewrite(tmp_path / "copy.npz")
    np.testing.assert_array_equal(embed(["SUVs", "sky", "car"], copy), expected)


@pytest.mark.skipif(has_encoders, reason="the extra [annotate] is installed")
def test_an_unknown_name_without_the_extra_lists_the_nearest_names():
    with pytest.raises(UserError) as caught:
        embed(["car", "tankk", "zeppelin"])
    message = str(caught.value)
    assert "'tankk' is not in the vocabulary (nearest known: tank" in message
    assert "'zeppelin'" in message
    assert "pip install -e '.[annotate]'" in message


def test_an_empty_name_is_an_error():
    with pytest.raises(UserError, match="must not be empty"):
        embed(["car", " "])


def test_a_damaged_or_missing_table_is_an_error(tmp_path):
    values = load_text_features().features.astype(np.float16)
    values[0, 0] += np.float16(0.5)
    with pytest.raises(UserError, match="damaged"):
        load_text_features(rewrite(tmp_path / "bent.npz", features=values))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "bent.npz").read_bytes()[:1000])
    with pytest.raises(UserError, match="not a table"):
        load_text_features(str(tmp_path / "cut.npz"))
    with pytest.raises(UserError, match="not a table"):
        load_text_features(rewrite(tmp_path / "less.npz", prompt=None))
    with pytest.raises(UserError, match="cannot be read"):
        load_text_features("clip")


def test_a_table_of_another_vocabulary_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_digest", lambda content: "same")
    other = {"vocabulary_version": np.array("0"), "sha256": np.array("same")}
    with pytest.raises(UserError, match=r"made for vocabulary 0, this is 2; build"):
        load_text_features(rewrite(tmp_path / "old.npz", **other))
