"""Text features of captions as wholes, made once and kept in a file."""

import io
import os
import pathlib
import zipfile
from collections.abc import Iterable

import numpy as np

from egmt_jax.entities.features import TextFeatures, load_text_features
from egmt_jax.entities.torch_models import load_encoder

SENTENCES = "sentences.npz"
"""Name of the file in the workdir of a run."""


def check_encoder(text_features: str, path: str | os.PathLike) -> None:
    """Fails before work starts where `caption_features` would after it.

    Args:
      text_features: as for `caption_features`.
      path: likewise; with a file there the encoder may not be needed, and is not looked for.

    Raises:
      UserError: no such table, or the encoder of its kind cannot be loaded.
    """
    if not pathlib.Path(path).exists():
        table = load_text_features(text_features)
        load_encoder(table.encoder, table.model)


def caption_features(
    captions: Iterable[str], text_features: str, path: str | os.PathLike
) -> dict[str, np.ndarray]:
    """Features of whole captions, in the space of a table of entities.

    Args:
      captions: texts. Those that are not in the file yet are embedded and added to it, atomically.
      text_features: a table, as for `load_text_features`; its own encoder embeds the captions. Only
        that needs the extra [annotate].
      path: the .npz file. One of another encoder, or that cannot be read, is made anew.

    Returns:
      float32 [D] of unit norm by caption, of all captions in the file; zeros for the empty one.

    Raises:
      UserError: no such table, the encoder does not load, or the file cannot be written.
    """
    from egmt_jax.io.images import write_atomically  # it imports OpenCV

    table = load_text_features(text_features)
    known = _read(pathlib.Path(path), table)
    missing = sorted(set(captions) - set(known) - {""})
    if missing:
        rows = load_encoder(table.encoder, table.model).encode(missing)
        known |= dict(zip(missing, rows, strict=True))
        file = io.BytesIO()
        np.savez(
            file,
            captions=np.array(list(known)),
            features=np.stack(list(known.values())),
            encoder=np.array(table.encoder),
            model=np.array(table.model),
        )
        write_atomically(path, file.getvalue())
    return known | {"": np.zeros(table.dimension, np.float32)}


def _read(path: pathlib.Path, table: TextFeatures) -> dict[str, np.ndarray]:
    """What the file holds, if it is of the table's encoder."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            if (str(file["encoder"]), str(file["model"])) != (table.encoder, table.model):
                return {}
            return dict(zip(file["captions"].tolist(), file["features"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
