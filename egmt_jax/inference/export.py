"""Exports a model as StableHLO: a folder that fuses pairs with jax, without this package."""

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
from egmt_jax.io.images import check_writable
from egmt_jax.models import EGMT, PREDICTED, Guidance, layers
from egmt_jax.models.egmt import CONTEXT_SIDE, SMALLEST_SIDE

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
in [0, 1], any H and W of {smallest} or more. fused is luma likewise, probabilities are float32
[B, {entities}]. A picture is rendered at once, without tiles.

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


def _files(fuser: Fuser) -> dict[str, bytes]:
    """The files of an export by name."""
    graphdef, state = nnx.split(fuser.model)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    params = {
        jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value"): x
        for path, x in paths
    }
    order = tuple(params)

    def predicted(params, visible, infrared):
        """The classifier guides."""
        return guided(params, visible, infrared, None)

    def guided(params, visible, infrared, weights):
        """The vocabulary guides by weights, float32 [B, K]."""
        state = jax.tree.unflatten(structure, [params[name] for name in order])
        guidance = Guidance(weight=weights)
        return fuse_any_size(nnx.merge(graphdef, state), visible, infrared, guidance)

    batch, height, width = jax.export.symbolic_shape(
        "b, h, w", constraints=[f"{side} >= {SMALLEST_SIDE}" for side in "hw"]
    )
    image = jax.ShapeDtypeStruct((batch, height, width, 1), jnp.float32)
    weights = jax.ShapeDtypeStruct((batch, len(fuser.names)), jnp.float32)
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in params.items()}
    files = {}
    for name, function, more in (
        ("self_guided.jax", predicted, ()),
        ("guided.jax", guided, (weights,)),
    ):
        with _without_folders():
            exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(
                shapes, image, image, *more
            )
        files[name] = bytes(exported.serialize())
    stream = io.BytesIO()
    np.savez(stream, **{name: np.asarray(x) for name, x in params.items()})
    files["params.npz"] = stream.getvalue()
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
    """Keeps folder names of this machine out of the lowered code, which names source files."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, option)
    jax.config.update(option, ".*/")
    try:
        yield
    finally:
        jax.config.update(option, before)


def fuse_any_size(
    model: EGMT,
    visible: Float[Array, "b h w 1"],
    infrared: Float[Array, "b h w 1"],
    guidance: Guidance = PREDICTED,
) -> tuple[Float[Array, "b h w 1"], Float[Array, "b k"]]:
    """Fuses like a call of the model, with operations whose shapes may be symbolic.

    The model reduces a pair to a size that depends on its own, which no symbolic shape can express.
    Here the reduced pair lies in a square of fixed size, with its extent as data, as in a padded
    batch.

    Returns:
      The fused luma in [0, 1], and the probability of each entity.
    """
    pair = jnp.concatenate([visible, infrared], axis=-1)
    batch, rows, columns = pair.shape[:3]
    extents = [
        jnp.broadcast_to(jnp.asarray(x).astype(jnp.int32), (batch,)) for x in (rows, columns)
    ]
    longest = jnp.maximum(jnp.maximum(*extents), CONTEXT_SIDE)
    factor = longest.astype(jnp.float32) / CONTEXT_SIDE
    pair = layers.area_reduce(pair, *extents, factor, (CONTEXT_SIDE, CONTEXT_SIDE))
    reduced = [layers.divide_up(extent * CONTEXT_SIDE, longest) for extent in extents]
    valid = layers.inside(*reduced, (CONTEXT_SIDE, CONTEXT_SIDE))[..., 0] > 0.0
    visual = model.visual(pair[..., :1], pair[..., 1:], valid)
    visual = dataclasses.replace(visual, cell_size=visual.cell_size * factor)
    everything = jnp.ones((batch, rows, columns), bool)
    fused = model.render(visible, infrared, model.guide(visual, guidance), everything)
    return fused, jax.nn.sigmoid(visual.entity_logits)
