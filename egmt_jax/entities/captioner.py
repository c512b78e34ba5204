"""Captions of images by BLIP-2 (Li et al. 2023, arXiv 2301.12597), as in the paper."""

from collections.abc import Callable, Sequence

import numpy as np

from egmt_jax.entities.extra import check_kind, import_transformers, loading

MODEL = "Salesforce/blip2-opt-2.7b"
_LONGEST = 40  # tokens; BLIP-2's captions are about ten


def load_captioner(model: str = MODEL) -> Callable[[Sequence[np.ndarray]], list[str]]:
    """Loads a BLIP-2 captioner; on a GPU where there is one, then in bfloat16.

    Args:
      model: hub id or local path.

    Returns:
      A function from images, uint8 [H, W, 3] RGB of any sizes, to one caption each. It decodes
      greedily: equal images get equal captions.

    Raises:
      UserError: the extra [annotate] is not installed, or the model does not load.
    """
    torch, transformers, device = import_transformers("the captioner")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with loading("captioner", model):
        check_kind(transformers.AutoConfig.from_pretrained(model), ("blip-2",))
        processor = transformers.AutoProcessor.from_pretrained(model)
        network = transformers.Blip2ForConditionalGeneration.from_pretrained(model)
        network = network.eval().to(device, dtype)

    def caption(images: Sequence[np.ndarray]) -> list[str]:
        inputs = processor(images=list(images), return_tensors="pt").to(device, dtype)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=_LONGEST, do_sample=False)
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    return caption
