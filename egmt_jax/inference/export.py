"""The model as StableHLO: a folder that fuses pairs of any size with jax, without this package."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from egmt_jax.errors import UserError
from egmt_jax.inference import load_exported
from egmt_jax.inference.fuser import Fuser
from egmt_jax.models import EGMT
from egmt_jax.models.egmt import CONTEXT_SIDE, SMALLEST_SIDE
from egmt_jax.models.layers import divide_up

PLATFORMS = ("cpu", "cuda", "tpu")

README = """\
A model that fuses a visible and an infrared picture, as StableHLO written by jax {jax}. It runs
on {platforms} with jax of that version or a later one, numpy and flatbuffers:

    from load import load

    fuse, names = load()
    fused, probabilities = fuse(visible, infrared)    # the model guides itself
    fused, probabilities = fuse(visible, infrared, ["{first}"])    # by names of the vocabulary
    fused, probabilities = fuse(visible, infrared, [])    # no guidance

visible is luma (BT.601) and infrared is bright where it is warm, registered, float32 [B, H, W, 1]
in [0, 1], any H and W of {smallest} or more. fused is luma likewise, probabilities are float32
[B, {entities}]. A picture is rendered whole, without tiles.

    self_guided.jax    jax.export: (params, visible, infrared) -> fused, probabilities
    guided.jax         (params, visible, infrared, weights) -> the same; weights are float32
                       [B, {entities}] in [0, 1] over the vocabulary, all 0 for no guidance
    params.npz         params: a dict of arrays by name
    vocabulary.json    names of the {entities} entities, in order
    load.py            the loader above
"""


def export_model(fuser: Fuser, folder: str | os.PathLike) -> None:
    """Writes a model into a new folder, whole or not at all. See `README` for what is in it.

    Args:
      fuser: of the model.
      folder: new, or empty.

    Raises:
      UserError: the folder holds something, or cannot be written.
    """
    check_folder(folder)
    folder = pathlib.Path(folder).resolve()
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        try:
            partial.mkdir(parents=True)
            for name, content in _files(fuser).items():
                (partial / name).write_bytes(content)
            os.replace(partial, folder)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_folder(folder: str | os.PathLike) -> None:
    """Tells before any work what is wrong with the folder for an export.

    Raises:
      UserError: it is a file, or the current folder, or holds something, or cannot be made or
        written.
    """
    folder = pathlib.Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a new folder")
    if folder == pathlib.Path.cwd():  # it would be replaced under the user's feet
        raise UserError(f"{folder}: is the current folder; name a new one")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there == folder and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new folder")
    there = folder.parent if there == folder else there  # where the folder is put
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "cannot be written to" if there.is_dir() else "is not a folder"
        raise UserError(f"{there}: {reason}; name another output")


def _files(fuser: Fuser) -> dict[str, bytes]:
    """The files of an export by name."""
    graphdef, state = nnx.split(fuser.model)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    params = {
        jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value"): x
        for path, x in paths
    }
    order = tuple(params)

    def self_guided(params, visible, infrared):
        """The model's own probabilities guide."""
        state = jax.tree.unflatten(structure, [params[name] for name in order])
        return fuse_whole(nnx.merge(graphdef, state), visible, infrared)

    def guided(params, visible, infrared, weights):
        """The vocabulary guides by weights, float32 [B, K]."""
        state = jax.tree.unflatten(structure, [params[name] for name in order])
        return fuse_whole(nnx.merge(graphdef, state), visible, infrared, weights)

    batch, height, width = jax.export.symbolic_shape(
        "b, h, w", constraints=[f"{side} >= {SMALLEST_SIDE}" for side in "hw"]
    )
    image = jax.ShapeDtypeStruct((batch, height, width, 1), jnp.float32)
    weights = jax.ShapeDtypeStruct((batch, len(fuser.names)), jnp.float32)
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in params.items()}
    files = {}
    for function, more in ((self_guided, ()), (guided, (weights,))):
        with _without_folders():
            exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(
                shapes, image, image, *more
            )
        files[f"{function.__name__}.jax"] = bytes(exported.serialize())
    files["params.npz"] = _npz({name: np.asarray(x) for name, x in params.items()})
    files["vocabulary.json"] = json.dumps(fuser.names, indent=0).encode()
    files["load.py"] = pathlib.Path(load_exported.__file__).read_bytes()
    readme = README.format(
        jax=jax.__version__,
        platforms=", ".join(PLATFORMS),
        first=fuser.names[0],
        smallest=SMALLEST_SIDE,
        entities=len(fuser.names),
    )
    return files | {"README.txt": readme.encode()}


@contextlib.contextmanager
def _without_folders():
    """Keeps the folders of this machine out of what is lowered: it names source files."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, option)
    jax.config.update(option, ".*/")
    try:
        yield
    finally:
        jax.config.update(option, before)


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def fuse_whole(
    model: EGMT,
    visible: Float[Array, "b h w 1"],
    infrared: Float[Array, "b h w 1"],
    weights: Float[Array, "b k"] | None = None,
) -> tuple[Float[Array, "b h w 1"], Float[Array, "b k"]]:
    """What a call of the model gives, by operations whose shapes may be symbolic.

    The model reduces a pair to a size that depends on its own, which no symbolic shape can express.
    Here the reduced pair lies in a square of fixed size, and its extent is data, as in a padded
    batch.

    Args:
      model: any.
      visible: luma in [0, 1].
      infrared: likewise.
      weights: of the vocabulary's entities, in [0, 1]; None: the model's own probabilities.

    Returns:
      The fused luma in [0, 1], and the probability of each entity.
    """
    pair = jnp.concatenate([visible, infrared], axis=-1)
    batch, rows, columns = pair.shape[:3]
    extents = [jnp.asarray(side).astype(jnp.int32) for side in (rows, columns)]
    longest = jnp.maximum(jnp.maximum(*extents), CONTEXT_SIDE)
    factor = longest.astype(jnp.float32) / CONTEXT_SIDE
    down, across = (_area_weights(side, factor) for side in (rows, columns))
    # Not in the lower precision that accelerators multiply matrices in: this is what is looked at.
    pair = jnp.einsum("yh,bhwc->bywc", down, pair, precision="highest")
    pair = jnp.einsum("xw,bywc->byxc", across, pair, precision="highest")
    place = jnp.arange(CONTEXT_SIDE)
    height, width = (divide_up(extent * CONTEXT_SIDE, longest) for extent in extents)
    valid = (place[:, None] < height) & (place[None, :] < width)
    visual = model.visual(
        pair[..., :1], pair[..., 1:], jnp.broadcast_to(valid[None], (batch, *valid.shape))
    )
    visual = dataclasses.replace(visual, step=visual.step * factor)
    entities = None if weights is None else model.whole_vocabulary(weights)
    context = model.guide(visual, entities)
    everything = jnp.ones((batch, rows, columns), bool)
    fused = model.render(visible, infrared, context, everything)
    return fused, jax.nn.sigmoid(visual.entity_logits)


def _area_weights(pixels, step: Float[Array, ""]) -> Float[Array, "cells pixels"]:
    """Share of each pixel in each of `CONTEXT_SIDE` cells of `step` pixels; 0 beyond the last."""
    start = jnp.arange(CONTEXT_SIDE, dtype=jnp.float32)[:, None] * step
    stop = jnp.minimum(start + step, jnp.asarray(pixels).astype(jnp.float32))
    pixel = jnp.arange(pixels, dtype=jnp.float32)[None, :]
    share = jnp.maximum(jnp.minimum(stop, pixel + 1.0) - jnp.maximum(start, pixel), 0.0)
    return share / jnp.maximum(jnp.sum(share, axis=1, keepdims=True), 1e-6)
