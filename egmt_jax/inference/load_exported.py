"""Loads the fusion model in this folder; needs only jax, numpy and flatbuffers."""

import json
import pathlib

import jax
import jax.export
import numpy as np


def load(folder=pathlib.Path(__file__).parent):
    """Loads the model of a folder written by `egmt export-model`.

    Returns:
      `fuse(visible, infrared, entities=None)` and the names of the entities; see README.txt. Each
      new size is compiled once. An unknown entity raises ValueError.
    """
    folder = pathlib.Path(folder)
    names = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    with np.load(folder / "params.npz") as file:
        params = dict(file)
    self_guided, guided = (
        jax.jit(jax.export.deserialize(bytearray((folder / name).read_bytes())).call)
        for name in ("self_guided.jax", "guided.jax")
    )

    def fuse(visible, infrared, entities=None):
        if entities is None:
            return self_guided(params, visible, infrared)
        weights = np.zeros((len(visible), len(names)), np.float32)
        for entity in [entities] if isinstance(entities, str) else entities:
            if entity not in names:
                raise ValueError(f"entity {entity!r} is not known; known are {', '.join(names)}")
            weights[:, names.index(entity)] = 1.0
        return guided(params, visible, infrared, weights)

    return fuse, names
