"""Features of captions: embedded once, by the encoder of the table, kept in a file."""

import importlib.util

import numpy as np
import pytest

from egmt_jax.entities import load_text_features
from egmt_jax.entities.encoders import TextEncoder, unit_rows
from egmt_jax.entities.sentences import caption_features, check_encoder
from egmt_jax.errors import UserError

DIMENSION = load_text_features("minilm").dimension


@pytest.fixture
def embedded(monkeypatch):
    """Puts a random encoder in place of MiniLM; holds the texts that were given to it."""
    texts = []

    def encode(captions):
        texts.extend(captions)
        rows = [
            np.random.default_rng(list(text.encode())).normal(size=DIMENSION) for text in captions
        ]
        return unit_rows(np.stack(rows))

    monkeypatch.setattr(
        "egmt_jax.entities.sentences.load_encoder",
        lambda kind, model: TextEncoder(kind, model, encode),
    )
    return texts


def test_each_caption_is_embedded_once_and_kept(embedded, tmp_path):
    path = tmp_path / "sentences.npz"
    first = caption_features(["a car", "a dog", "a car", ""], "minilm", path)
    assert embedded == ["a car", "a dog"]
    assert set(first) == {"a car", "a dog", ""}
    for caption, row in first.items():
        assert row.dtype == np.float32
        assert row.shape == (DIMENSION,)
        np.testing.assert_allclose(np.linalg.norm(row), 1.0 if caption else 0.0, atol=1e-6)
    second = caption_features(["a cat", "a dog"], "minilm", path)
    assert embedded == ["a car", "a dog", "a cat"]
    third = caption_features([], "minilm", path)
    assert set(third) == set(second) == {"a car", "a dog", "a cat", ""}
    for caption, row in first.items():
        np.testing.assert_array_equal(third[caption], row)
    assert [file.name for file in tmp_path.iterdir()] == ["sentences.npz"]


def test_a_file_of_another_encoder_or_a_damaged_one_is_made_anew(embedded, tmp_path):
    path = tmp_path / "sentences.npz"
    for content in (b"", b"PK\x03\x04 cut short"):
        path.write_bytes(content)
        caption_features(["a car"], "minilm", path)
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **content | {"model": np.array("another")})
    caption_features(["a car"], "minilm", path)
    assert embedded == ["a car"] * 3


def test_without_the_extra_the_file_is_enough(monkeypatch, embedded, tmp_path):
    path = tmp_path / "sentences.npz"
    caption_features(["a car"], "minilm", path)
    monkeypatch.undo()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    check_encoder("minilm", path)
    assert set(caption_features(["a car"], "minilm", path)) == {"a car", ""}
    with pytest.raises(UserError, match=r"pip install -e '\.\[annotate\]'"):
        caption_features(["a bus"], "minilm", path)
    with pytest.raises(UserError, match=r"pip install -e '\.\[annotate\]'"):
        check_encoder("minilm", tmp_path / "none.npz")
