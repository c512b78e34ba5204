"""Text features: the table of the vocabulary, and features of other names."""

import dataclasses
import hashlib
import importlib.resources
import io
import os
import pathlib
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from egmt_jax.entities.torch_models import MODELS, PROMPTS, load_encoder, unit_rows
from egmt_jax.entities.vocabulary import Vocabulary, load_vocabulary
from egmt_jax.errors import UserError

PACKAGED = "minilm"  # the table that comes with the package


@dataclasses.dataclass(frozen=True)
class TextFeatures:
    """The features of every name of the vocabulary.

    Attributes:
      features: float32 [K, D], rows of unit norm in the order of the vocabulary.
      encoder: kind of encoder, "clip" or "minilm".
      model: hub id or path of the encoder's model.
      prompt: the text that was embedded, with {name} in it.
    """

    features: np.ndarray
    encoder: str
    model: str
    prompt: str


def build_table(
    vocabulary: Vocabulary, encoder: str, path: str | os.PathLike, *, model: str | None = None
) -> None:
    """Embeds every name of a vocabulary and writes the table as float16, atomically.

    Equal inputs give an equal file. Needs the extra [annotate].

    Args:
      vocabulary: its names are embedded in order, with the encoder's prompt.
      encoder: "clip" or "minilm".
      path: the .npz file to write.
      model: hub id or local path; the encoder's usual model by default.

    Raises:
      UserError: the encoder does not load, or the file cannot be written.
    """
    from egmt_jax.io.images import write_atomically  # it imports OpenCV

    model = model or MODELS.get(encoder, "")
    encode = load_encoder(encoder, model)
    prompt = PROMPTS[encoder]
    texts = [prompt.format(name=name) for name in vocabulary.names]
    content = {
        "features": encode(texts).astype(np.float16),
        "names": np.array(vocabulary.names),
        "vocabulary_version": np.array(vocabulary.version),
        "encoder": np.array(encoder),
        "model": np.array(model),
        "prompt": np.array(prompt),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **content, sha256=np.array(_digest(content)))
    write_atomically(path, file.getvalue())


def load_text_features(name: str = PACKAGED) -> TextFeatures:
    """Loads a text-feature table of the packaged vocabulary.

    Args:
      name: "minilm" for the packaged table (all-MiniLM-L6-v2, 384-d), or the path of an .npz
        written by `build_table`.

    Returns:
      The table; its features are a new array each time.

    Raises:
      UserError: no such table, not a table, damaged (its hash differs), or made for another
        version of the vocabulary.
    """
    try:
        if name == PACKAGED:
            folder = importlib.resources.files(__package__)
            encoded = folder.joinpath(f"{name}.npz").read_bytes()
        else:
            encoded = pathlib.Path(name).read_bytes()
        with np.load(io.BytesIO(encoded), allow_pickle=False) as file:
            content = dict(file)
        stored = str(content.pop("sha256"))
        version, encoder, model, prompt = (
            str(content[key]) for key in ("vocabulary_version", "encoder", "model", "prompt")
        )
        features, names = content["features"], tuple(content["names"].tolist())
    except OSError as error:
        raise UserError(
            f"text features {name}: cannot be read ({error.strerror}); give {PACKAGED}, or the "
            "path of a table"
        ) from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"text features {name}: not a table written by build_table") from error
    if _digest(content) != stored:
        raise UserError(f"text features {name}: damaged (its hash differs); copy or build it again")
    vocabulary = load_vocabulary()
    if version != vocabulary.version or names != vocabulary.names:
        raise UserError(
            f"text features {name}: made for vocabulary {version}, this is {vocabulary.version}; "
            "build the table again"
        )
    return TextFeatures(unit_rows(features), encoder, model, prompt)


def embed(names: Sequence[str], encoder: str = PACKAGED) -> np.ndarray:
    """Features of entity names, in the vocabulary or not.

    Args:
      names: those that the vocabulary knows, under any synonym, get their row of the table; others
        are embedded by the table's own model, if the extra [annotate] is installed.
      encoder: a table, as for `load_text_features`.

    Returns:
      float32 [N, D], rows of unit norm.

    Raises:
      UserError: a name is empty, or it is unknown and the encoder cannot be loaded; the message
        lists the nearest known names.
    """
    if any(not name.strip() for name in names):
        raise UserError("entity names must not be empty")
    vocabulary, table = load_vocabulary(), load_text_features(encoder)
    unknown = [index for index, name in enumerate(names) if name not in vocabulary]
    ids = [vocabulary.id_of(name) if name in vocabulary else 0 for name in names]
    features = table.features[np.array(ids, np.int32)]
    if unknown:
        texts = [table.prompt.format(name=" ".join(names[index].split())) for index in unknown]
        try:
            features[unknown] = load_encoder(table.encoder, table.model)(texts)
        except UserError as error:
            listed = "; ".join(
                f"entity {names[index]!r} is not in the vocabulary (nearest known: "
                f"{', '.join(vocabulary.nearest(names[index]))})"
                for index in unknown
            )
            raise UserError(f"{listed}; to embed it: {error}") from error
    return features


def _digest(content: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(content):
        value = content[key]
        digest.update(f"{key}{value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
