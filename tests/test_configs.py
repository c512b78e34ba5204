"""Every config: a docstring with its command, valid fields, and variants for ablations."""

import importlib
import pathlib

import pytest
from ml_collections import ConfigDict

from configs import base, variants
from egmt_jax.data import mixtures
from egmt_jax.errors import UserError
from egmt_jax.testing import text_features
from egmt_jax.training.validate_config import BOUNDS, CHOICES, validate_config
from egmt_jax.weights.checkpoint import build_model

ROOT = pathlib.Path(__file__).parents[1]
NAMES = sorted({path.stem for path in (ROOT / "configs").glob("[a-z]*.py")} - {"variants"})


def config_of(name, variant=""):
    return importlib.import_module(f"configs.{name}").get_config(variant)


def flat(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("name", NAMES)
def test_a_config_names_its_command_and_is_valid(name, monkeypatch):
    module = importlib.import_module(f"configs.{name}")
    if name != "base":
        assert f"python launch.py --config=configs/{name}.py" in module.__doc__
        assert f"--workdir=runs/{'own' if name == 'folder' else name}" in module.__doc__
    config = config_of(name)
    validate_config(config)
    assert dict(flat(config)).keys() - dict(flat(base.get_config())).keys() <= {
        f"data.mixture.{label}.{field}"
        for label in config.data.mixture
        for field in mixtures.FIELDS
    }
    opened = []
    monkeypatch.setattr(mixtures.datasets, "open_set", lambda name, data: opened.append(name))
    assert len(mixtures.open_mixture(config.data)) == len(opened) > 0
    known = {"folder", "entity_scenes", "m3fd", "msrs", "roadscene", "tno"}
    assert {name.partition("/")[0] for name in opened} <= known
    if name in ("base", "demo"):  # the two sizes
        build_model(config.model, text_features(6, 12))


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_a_variant_changes_values_and_no_fields(variant):
    plain, varied = dict(flat(base.get_config())), dict(flat(base.get_config(variant)))
    assert varied != plain
    assert varied.keys() == plain.keys()
    validate_config(base.get_config(variant))


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="config variant 'no_text': known are no_entities"):
        base.get_config("no_text")


def test_every_number_has_a_bound():
    numbers = {
        field
        for field, value in flat(base.get_config())
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    assert numbers == set(BOUNDS)


@pytest.mark.parametrize("field", BOUNDS)
def test_numbers_out_of_bounds_are_refused(field):
    low, high = BOUNDS[field]
    wrong = [low - 1, float("nan")] + ([high * 2 + 1] if high < float("inf") else [])
    for value in wrong:
        config = base.get_config()
        with config.ignore_type():
            config.update_from_flattened_dict({field: value})
        with pytest.raises(UserError, match=rf"^{field}={value}: must be "):
            validate_config(config)


@pytest.mark.parametrize("field", CHOICES)
def test_unknown_choices_are_refused(field):
    config = base.get_config()
    config.update_from_flattened_dict({field: "unknown"})
    with pytest.raises(UserError, match=rf"^{field}='unknown': must be one of "):
        validate_config(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.batch_size": 8.5}, r"data.batch_size=8.5: must be at least 1"),
        ({"optimizer.speed": 2.0}, r"optimizer.speed: no such field; there are optimizer.clip, "),
        ({"loss.contrat": 2.0}, r"loss.contrat: no such field; there are loss.classification, "),
        ({"data.view": 40}, "data.view: must be a multiple of 16"),
        ({"model.patch": 3}, "model.patch=3: must be 2 or 4"),
        ({"model.heads": 5}, "model.heads=5: must divide twice the width, 64"),
        ({"guidance.self_guided": 0.9}, r"self_guided \+ guidance.unguided: must be at most 1"),
        ({"guidance.source": "shuffled", "data.batch_size": 1}, "needs data.batch_size of at"),
        ({"seed": -1, "log.every": -1}, "log.every=-1: must be at least 0; seed=-1: must be 0 to"),
    ],
)
def test_wrong_fields_are_listed_in_one_line(changes, message):
    config = base.get_config()
    with config.ignore_type():
        config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message) as error:
        validate_config(config)
    assert "\n" not in str(error.value)
    config = base.get_config()
    del config.optimizer["clip"]
    with pytest.raises(UserError, match=r"^optimizer\.clip is missing$"):
        validate_config(config)
