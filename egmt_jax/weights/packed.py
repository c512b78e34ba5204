"""The released weights; `model_card.md` beside them tells what they were trained on and reach.

    python -m egmt_jax.weights runs/all --out egmt_jax/weights/base

packs the newest checkpoint of a training run in the same way, or the mean of several runs.
"""

import hashlib
import io
import json
import os
import pathlib
import typing
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from egmt_jax.errors import UserError
from egmt_jax.io.images import write_atomically
from egmt_jax.models import EGMT

FOLDER = pathlib.Path(__file__).parent / "base"
WEIGHTS, SETTINGS = "weights.npz", "settings.json"


class Packed(typing.NamedTuple):
    """What `load_packed` finds.

    Attributes:
      model: with its weights.
      vocabulary: names of its entities, in order.
      text_features: the name of the table that it was trained with.
    """

    model: EGMT
    vocabulary: tuple[str, ...]
    text_features: str


def load_packed(folder: str | os.PathLike = FOLDER) -> Packed:
    """The model that a folder holds.

    Args:
      folder: holds `weights.npz` and `settings.json`; the released weights by default.

    Raises:
      UserError: a file is missing, or the weights are not those that the settings tell of.
    """
    folder = pathlib.Path(folder)
    own = folder == FOLDER
    cure = "install the package again" if own else "name another folder, or pack the run again"
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        packed = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no weights to load ({error}); {cure}") from error
    if hashlib.sha256(packed).hexdigest() != settings.get("sha256"):
        raise UserError(
            f"{folder / WEIGHTS}: damaged, its SHA-256 is not the one in {SETTINGS}; {cure}"
        )
    try:
        return _unpack(packed, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: {SETTINGS} and {WEIGHTS} are not of this version ({error}); {cure}"
        ) from error


def _unpack(packed: bytes, settings: dict[str, Any]) -> Packed:
    """The model of the two files of `load_packed`; raises what it stumbles over."""
    with np.load(io.BytesIO(packed)) as arrays:
        read = dict(arrays)
    entities, dimension = len(settings["vocabulary"]), settings["text_dimension"]
    model = nnx.eval_shape(
        lambda: EGMT(
            np.zeros((entities, dimension), np.float32),
            **settings["model"],
            rngs=nnx.Rngs(0),
        )
    )
    graphdef, state = nnx.split(model)
    template = nnx.to_pure_dict(state)
    paths, structure = jax.tree_util.tree_flatten_with_path(template)
    leaves = jax.device_put([read[_name(path)] for path, _ in paths])
    model = nnx.merge(graphdef, jax.tree.unflatten(structure, leaves))
    return Packed(model, tuple(settings["vocabulary"]), settings["text_features"])


def save_packed(workdirs: Sequence[str | os.PathLike], folder: str | os.PathLike) -> None:
    """Packs the newest checkpoint of a training run as `load_packed` reads it.

    Of several runs the mean of the parameters is taken. Where one run began with the parameters of
    another, that is a model between the two (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022).

    Args:
      workdirs: of the runs; their models have one structure and one vocabulary.
      folder: gets `weights.npz` (float32) and `settings.json`.

    Raises:
      UserError: no checkpoint, models that differ, or the folder cannot be written.
    """
    from egmt_jax.weights.checkpoint import load_model  # Orbax is slow to import

    runs = [load_model(workdir) for workdir in workdirs]
    model, vocabulary, config = runs[0]
    for workdir, other in zip(workdirs, runs, strict=True):
        same = vocabulary, config.model, config.text_features
        if (other[1], other[2].model, other[2].text_features) != same:
            raise UserError(
                f"{workdir}: another model, vocabulary or text features than {workdirs[0]}; no mean"
            )
    states = [nnx.to_pure_dict(nnx.state(run[0])) for run in runs]
    state = jax.tree.map(lambda *leaves: np.mean(leaves, axis=0, dtype=np.float32), *states)
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    packed = io.BytesIO()
    np.savez(packed, **{_name(path): leaf for path, leaf in leaves})
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
    """Of a leaf in the archive: the keys that lead to it, joined by slashes."""
    return "/".join(str(key.key) for key in path)
