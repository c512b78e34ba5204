"""What the extra [annotate] brings: torch and transformers, imported when first needed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from egmt_jax.errors import UserError


def import_transformers(purpose: str) -> tuple[ModuleType, ModuleType, str]:
    """Imports torch and transformers.

    Args:
      purpose: what needs them, for the error.

    Returns:
      torch, transformers, and the device to use: "cuda" where there is a GPU, else "cpu".

    Raises:
      UserError: one of the two is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise UserError(
            f"{purpose} needs torch and transformers: in the clone, pip install -e '.[annotate]'"
        )
    import torch
    import transformers

    return torch, transformers, "cuda" if torch.cuda.is_available() else "cpu"


def load_model(
    purpose: str, model: str, kind: str, reader: str, network: str
) -> tuple[ModuleType, Any, Any]:
    """Loads a model that generates text; on a GPU where there is one, then in bfloat16.

    Args:
      purpose: what it is for, for errors.
      model: hub id or local path.
      kind: the `model_type` that it must have.
      reader: class of `transformers` that prepares what the network reads.
      network: likewise of the network.

    Returns:
      torch, the reader, and the network, whose `device` and `dtype` its inputs must have.

    Raises:
      UserError: the extra [annotate] is not installed, or the model does not load.
    """
    torch, transformers, device = import_transformers(f"the {purpose}")
    with loading(purpose, model):
        check_kind(transformers.AutoConfig.from_pretrained(model), (kind,))
        read = getattr(transformers, reader).from_pretrained(model)
        loaded = getattr(transformers, network).from_pretrained(model).eval()
        return torch, read, loaded.to(device, torch.bfloat16 if device == "cuda" else torch.float32)


@contextlib.contextmanager
def loading(purpose: str, model: str) -> Iterator[None]:
    """Turns what `from_pretrained` raises into a UserError that names the model.

    Raises:
      UserError: the model is not there, is of another kind, or a package it needs is missing.
    """
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise UserError(
            f"{purpose} {model}: does not load ({reason}); give a hub id or a local snapshot"
        ) from error


def check_kind(config: object, kinds: tuple[str, ...]) -> None:
    """Refuses a model of another kind: transformers would fill it with random weights.

    Raises:
      ValueError: the model's type is none of `kinds`; `loading` makes a UserError of it.
    """
    if config.model_type not in kinds:
        raise ValueError(f"it is a {config.model_type} model, not {' or '.join(kinds)}")
