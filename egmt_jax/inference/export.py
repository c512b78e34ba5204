"""Exports a model as StableHLO: a folder that fuses pairs with jax, without this package."""

import contextlib
import io
import json
import os
import pathlib
import tempfile

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax import nnx

from egmt_jax.errors import UserError
from egmt_jax.inference import load_exported
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import check_writable
from egmt_jax.models import Guidance
from egmt_jax.models.egmt import SMALLEST_SIDE

PLATFORMS = ("cpu", "cuda", "tpu")

README = """\
A model that fuses a visible and an infrared picture, as StableHLO written by jax {jax}. It runs
on {platforms} with jax of that version or a later one, numpy and flatbuffers:

    from load import load

    fuse, names = load()
    fused, probabilities = fuse(visible, infrared)    # the classifier guides
    fused, probabilities = fuse(visible, infrared, ["{first}"])    # names of the vocabulary guide
    fused, probabilities = fuse(visible, infrared, [])    # no guidance

visible is luma (BT.601) and infrared is bright where it is warm, registered, float32 [B, H, W, 1]
in [0, 1], any H and W of {smallest} or more. fused is luma too, probabilities are float32
[B, {entities}]; the colours of the visible picture are not used for them. A picture is rendered at
once, without tiles.

    self_guided.jax    jax.export: (params, visible, infrared) -> fused, probabilities
    guided.jax         (params, visible, infrared, weights) -> the same; weights are float32
                       [B, {entities}] in [0, 1] over the vocabulary, all 0 for no guidance
    params.npz         params: a dict of arrays by name
    vocabulary.json    names of the {entities} entities, in order
    load.py            the loader above
"""


def export_model(fuser: Fuser, folder: str | os.PathLike) -> None:
    """Writes a model into a new or empty folder, completely or not at all; see `README`.

    Raises:
      UserError: the folder is not empty, or cannot be written.
    """
    check_writable(folder, folder=True)
    folder = pathlib.Path(folder).resolve()
    files = _files(fuser)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as parent:
            partial = pathlib.Path(parent, "partial")
            partial.mkdir()
            for name, content in files.items():
                (partial / name).write_bytes(content)
            os.replace(partial, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error


def _files(fuser: Fuser) -> dict[str, bytes]:
    """The files of an export by name."""
    graphdef, state = nnx.split(fuser.model)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    order = [name.removesuffix("/value") for name in names]
    params = dict(zip(order, (x for _, x in paths), strict=True))

    def guided(params, visible, infrared, weights=None):
        state = jax.tree.unflatten(structure, [params[name] for name in order])
        fusion = nnx.merge(graphdef, state)(visible, infrared, Guidance(weight=weights))
        return fusion.luma, jax.nn.sigmoid(fusion.entity_logits)

    constraints = [f"{side} >= {SMALLEST_SIDE}" for side in "hw"]
    batch, height, width = jax.export.symbolic_shape("b, h, w", constraints=constraints)
    image = jax.ShapeDtypeStruct((batch, height, width, 1), jnp.float32)
    weights = jax.ShapeDtypeStruct((batch, len(fuser.names)), jnp.float32)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    stream, arrays = io.BytesIO(), jax.tree.map(np.asarray, params)
    np.savez(stream, **arrays)
    with _without_folders():
        export = jax.export.export(jax.jit(guided), platforms=PLATFORMS)
        files = {
            "self_guided.jax": bytes(export(shapes, image, image).serialize()),
            "guided.jax": bytes(export(shapes, image, image, weights).serialize()),
            "params.npz": stream.getvalue(),
            "vocabulary.json": json.dumps(fuser.names, indent=0).encode(),
            "load.py": pathlib.Path(load_exported.__file__).read_bytes(),
        }
    facts = dict(first=fuser.names[0], entities=len(fuser.names), smallest=SMALLEST_SIDE)
    readme = README.format(jax=jax.__version__, platforms=", ".join(PLATFORMS), **facts)
    return files | {"README.txt": readme.encode()}


@contextlib.contextmanager
def _without_folders():
    """Keeps folder names of this machine out of the lowered code, which names source files."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, option)
    jax.config.update(option, ".*/")
    try:
        yield
    finally:
        jax.config.update(option, before)
