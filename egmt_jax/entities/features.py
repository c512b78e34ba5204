"""Text features: the table of the vocabulary, and features of other names."""

import dataclasses
import importlib.resources
import io
import os
import pathlib
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from egmt_jax.entities.torch_models import MODELS, PROMPTS, load_encoder, unit_rows
from egmt_jax.entities.vocabulary import Vocabulary, load_vocabulary
from egmt_jax.errors import UserError

PACKAGED = "minilm"  # the table that comes with the package


@dataclasses.dataclass(frozen=True)
class TextFeatures:
    """The features of the vocabulary, float32 [K, D], rows of unit norm, and their origin."""

    features: np.ndarray
    encoder: str
    model: str
    prompt: str  # with {name} in it


def build_table(
    vocabulary: Vocabulary, encoder: str, path: str | os.PathLike, *, model: str | None = None
) -> None:
    """Embeds every name of a vocabulary and writes the .npz table, float16, atomically.

    Equal inputs give equal files. Needs the extra [annotate]. `encoder` is "clip" or "minilm";
    `model` is a hub id or local path, by default that of `MODELS`.
    """
    from egmt_jax.io.images import write_atomically  # it imports OpenCV

    model = model or MODELS.get(encoder, "")
    encode, prompt = load_encoder(encoder, model), PROMPTS[encoder]
    features = encode([prompt.format(name=name) for name in vocabulary.names]).astype(np.float16)
    content: dict[str, Any] = {"encoder": encoder, "model": model, "prompt": prompt}
    content |= {"names": vocabulary.names, "vocabulary_version": vocabulary.version}
    file = io.BytesIO()
    np.savez_compressed(file, features=features, **content)
    write_atomically(path, file.getvalue())


def load_text_features(name: str = PACKAGED) -> TextFeatures:
    """Loads a table: "minilm", the packaged one (384-d), or the path of one of `build_table`.

    Raises:
      UserError: no such table, damaged, or made for another version of the vocabulary.
    """
    folder = importlib.resources.files(__package__)
    path = folder.joinpath(f"{name}.npz") if name == PACKAGED else pathlib.Path(name)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            features, names = file["features"], tuple(file["names"].tolist())
            version, encoder, model, prompt = (
                str(file[key]) for key in ("vocabulary_version", "encoder", "model", "prompt")
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        fix = f"give {PACKAGED} or a file of build_table"
        raise UserError(f"text features {name}: no table ({error}); {fix}") from error
    vocabulary = load_vocabulary()
    if version != vocabulary.version or names != vocabulary.names:
        reason = f"made for vocabulary {version}, not {vocabulary.version}"
        raise UserError(f"text features {name}: {reason}; build the table again")
    return TextFeatures(unit_rows(features), encoder, model, prompt)


def embed(names: Sequence[str], encoder: str = PACKAGED) -> np.ndarray:
    """Features of entity names, float32 [N, D], rows of unit norm.

    Names that the vocabulary knows, under any synonym, get their row of the table `encoder` (see
    `load_text_features`); its model embeds other names, if the extra [annotate] is installed.

    Raises:
      UserError: a name is empty, or unknown and the model cannot be loaded.
    """
    if any(not name.strip() for name in names):
        raise UserError("entity names must not be empty")
    vocabulary, table = load_vocabulary(), load_text_features(encoder)
    ids = [vocabulary.id_of(name) if name in vocabulary else 0 for name in names]
    features = table.features[np.array(ids, np.int32)]
    if unknown := {index: name for index, name in enumerate(names) if name not in vocabulary}:
        texts = [table.prompt.format(name=" ".join(name.split())) for name in unknown.values()]
        try:
            features[list(unknown)] = load_encoder(table.encoder, table.model)(texts)
        except UserError as error:
            listed = "; ".join(map(vocabulary.unknown, unknown.values()))
            raise UserError(f"{listed}; to embed it: {error}") from error
    return features
