"""The variant guided by whole captions: from training to evaluation, with a stand-in encoder."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from configs import base
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.entities.torch_models import TextEncoder, unit_rows
from egmt_jax.errors import UserError
from egmt_jax.evaluation import splits
from egmt_jax.evaluation.scoring import evaluator, guided
from egmt_jax.inference.fuser import Fuser
from egmt_jax.models import Entities
from egmt_jax.testing import made_up_pair, text_features, tiny_model
from egmt_jax.training.logs import read_history
from egmt_jax.training.loop import train


@pytest.fixture
def varied(config):
    """The tiny config of this folder as the variant."""
    variant = base.get_config("sentence_text")
    config.guidance, config.evaluation.given = variant.guidance, variant.evaluation.given
    config.optimizer.steps = 4
    config.evaluation.update(every=4, most=1)
    config.log.pictures_every = 0
    return config


@pytest.fixture
def with_encoder(monkeypatch):
    """A random encoder in place of MiniLM, until `monkeypatch.undo`."""

    def encode(captions):
        size = load_text_features("minilm").dimension
        rows = [np.random.default_rng(list(text.encode())).normal(size=size) for text in captions]
        return unit_rows(np.stack(rows))

    monkeypatch.setattr(
        "egmt_jax.entities.sentences.load_encoder",
        lambda kind, model: TextEncoder(kind, model, encode),
    )


@pytest.fixture
def without_encoder(monkeypatch):
    """Takes the extra away, and any stand-in for it."""

    def take_away():
        monkeypatch.undo()
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
        )

    return take_away


@pytest.mark.slow
def test_captions_are_embedded_by_training_and_then_serve_resume_evaluation_and_export(
    varied, tmp_path, with_encoder, without_encoder, caplog
):
    train(varied, tmp_path, evaluate=evaluator(varied, tmp_path))
    without_encoder()
    shutil.rmtree(tmp_path / "checkpoints" / "4")
    train(varied, tmp_path, evaluate=evaluator(varied, tmp_path))
    starts = json.loads((tmp_path / "environment.json").read_text())
    assert [start["from_step"] for start in starts] == [0, 2]
    assert [row["step"] for row in read_history(tmp_path) if "validation/VIF" in row] == [4]
    assert "| egmt |" in splits.evaluate(varied, tmp_path)
    assert "trained for" not in caplog.text
    varied.evaluation.given = "own"
    splits.export(varied, tmp_path)
    assert "trained for evaluation.given=sentence, now it is own" in caplog.text


def test_without_the_extra_it_is_told_before_any_work(varied, tmp_path, without_encoder):
    without_encoder()
    varied.data.data_dir = str(tmp_path / "tfds")
    with pytest.raises(UserError, match=r"'minilm' needs torch .*'\.\[annotate\]'") as error:
        train(varied, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "tfds").exists()


def test_pairs_without_any_caption_are_told(varied, tmp_path, with_encoder, monkeypatch):
    monkeypatch.setattr("egmt_jax.data.pipeline.caption_of", lambda record: "")
    with pytest.raises(
        UserError, match=r"no pair of entity_scenes/tiny/1\.0\.0, split train, has a caption"
    ):
        train(varied, tmp_path)


def test_a_pair_without_a_caption_is_fused_without_guidance():
    class Captioned:
        def __init__(self, caption):
            self.caption = caption

    sentences = {"a car": np.ones(3, np.float32), "": np.zeros(3, np.float32)}
    pairs = [Captioned("a car"), Captioned("")]
    given = [entities for _, entities in guided(pairs, "sentence", sentences)]
    np.testing.assert_array_equal(given[0].features, np.ones((1, 1, 3)))
    assert [float(each.weight[0, 0]) for each in given] == [1.0, 0.0]
    with pytest.raises(UserError, match="known are probabilities, own, shuffled, sentence"):
        list(guided(pairs, "all"))


def test_a_feature_guides_like_the_name_it_belongs_to():
    names = load_vocabulary().names
    table = text_features(len(names))
    fuser = Fuser(tiny_model(table), names)
    visible, infrared = made_up_pair(40, 48)
    car = Entities(table[None, [names.index("car")]], np.ones((1, 1), np.float32))
    fused = [fuser(visible, infrared, given).fused for given in (["car"], car, ["road"])]
    np.testing.assert_allclose(fused[1], fused[0], atol=1e-5)
    assert np.abs(fused[2] - fused[0]).max() > 1e-3
