"""Packed weights: two files per model; `base/` and `tiny/` have the released ones, with cards.

    python -m egmt_jax.weights runs/all --out egmt_jax/weights/base

packs the newest checkpoint of a training run.
"""

import hashlib
import io
import json
import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.models import EGMT

RELEASED = ("base", "tiny")
"""Names of the released models, the better one first."""

FOLDER = pathlib.Path(__file__).parent
WEIGHTS, SETTINGS = "weights.npz", "settings.json"


class Packed(NamedTuple):
    """A packed model, the names of its entities, and the name of its table of text features."""

    model: EGMT
    vocabulary: tuple[str, ...]
    text_features: str


def load_packed(model: str | os.PathLike = "base") -> Packed:
    """Loads packed weights: one of `RELEASED`, or a folder; raises UserError if that fails."""
    released = model in RELEASED
    folder = FOLDER / model if released else pathlib.Path(model)
    fix = "install the package again" if released else "name another folder, or pack the run again"
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        packed = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no weights to load ({error}); {fix}") from error
    if hashlib.sha256(packed).hexdigest() != settings.get("sha256"):
        raise UserError(
            f"{folder / WEIGHTS}: damaged, its SHA-256 is not the one in {SETTINGS}; {fix}"
        )
    try:
        return _unpack(packed, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: {SETTINGS} and {WEIGHTS} are not of this version ({error}); {fix}"
        ) from error


def _unpack(packed: bytes, settings: dict[str, Any]) -> Packed:
    with np.load(io.BytesIO(packed)) as arrays:
        read = dict(arrays)
    table = np.zeros((len(settings["vocabulary"]), settings["text_dimension"]), np.float32)
    model = nnx.eval_shape(lambda: EGMT(table, **settings["model"], rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(model)
    paths, structure = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(state))
    leaves = jax.device_put([read[_name(path)].astype(np.float32) for path, _ in paths])
    model = nnx.merge(graphdef, jax.tree.unflatten(structure, leaves))
    return Packed(model, tuple(settings["vocabulary"]), settings["text_features"])


def save_packed(workdir: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Packs the newest checkpoint of a run into `weights.npz` (float16) and `settings.json`.

    Rounding to float16 changes pictures by less than a grey level. Raises UserError if there is no
    checkpoint, or the folder cannot be written.
    """
    from egmt_jax.weights.checkpoint import load_model  # Orbax is slow to import

    model, vocabulary, config = load_model(workdir)
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(nnx.state(model)))
    packed = io.BytesIO()
    arrays: dict[str, Any] = {_name(path): np.asarray(leaf, np.float16) for path, leaf in leaves}
    np.savez(packed, **arrays)
    settings = {
        "model": {k: v for k, v in config.model.to_dict().items() if k != "dtype"},
        "text_features": config.text_features,
        "text_dimension": int(model.text_features[...].shape[1]),
        "vocabulary": list(vocabulary),
        "sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
    }
    folder = pathlib.Path(folder)
    write_atomically(folder / WEIGHTS, packed.getvalue())
    write_atomically(folder / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode())


def _name(path: tuple) -> str:
    """Name of a leaf in the archive: its keys, joined by slashes."""
    return "/".join(str(key.key) for key in path)
