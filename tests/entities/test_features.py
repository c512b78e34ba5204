"""Text features: the packaged table, damaged and foreign tables, names outside the vocabulary."""

import importlib.resources
import importlib.util
import pathlib

import numpy as np
import pytest

from egmt_jax.entities import embed, load_text_features, load_vocabulary
from egmt_jax.errors import UserError

has_encoders = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def rewrite(path, **changes):
    """A copy of the packaged table with some fields changed (None: left out)."""
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
    content = pathlib.Path(rewrite(tmp_path / "copy.npz")).read_bytes()
    bent = bytearray(content)
    bent[len(bent) // 3] ^= 1  # within the features
    for name, damaged in {"cut.npz": content[:1000], "bent.npz": bytes(bent)}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(UserError, match="no table"):
            load_text_features(str(tmp_path / name))
    with pytest.raises(UserError, match=r"no table .*prompt"):
        load_text_features(rewrite(tmp_path / "less.npz", prompt=None))
    with pytest.raises(UserError, match=r"clip: no table .*No such file"):
        load_text_features("clip")


def test_a_table_of_another_vocabulary_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"made for vocabulary 0, not 2; build"):
        load_text_features(rewrite(tmp_path / "old.npz", vocabulary_version=np.array("0")))
