"""Captions of images by BLIP-2 (Li et al. 2023, arXiv 2301.12597), as in the paper."""

from collections.abc import Callable, Sequence

import numpy as np

from egmt_jax.entities.extra import load_model

_LONGEST = 40  # tokens; BLIP-2's captions are about ten


def load_captioner(model: str) -> Callable[[Sequence[np.ndarray]], list[str]]:
    """Loads a BLIP-2 captioner; on a GPU where there is one, then in bfloat16.

    Args:
      model: hub id, such as "Salesforce/blip2-opt-2.7b", or local path.

    Returns:
      A function from images, uint8 [H, W, 3] RGB of any sizes, to one caption each. It decodes
      greedily: equal images get equal captions.

    Raises:
      UserError: the extra [annotate] is not installed, or the model does not load.
    """
    torch, processor, network = load_model(
        "captioner", model, "blip-2", "AutoProcessor", "Blip2ForConditionalGeneration"
    )

    def caption(images: Sequence[np.ndarray]) -> list[str]:
        inputs = processor(images=list(images), return_tensors="pt")
        inputs = inputs.to(network.device, network.dtype)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=_LONGEST, do_sample=False)
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    return caption
