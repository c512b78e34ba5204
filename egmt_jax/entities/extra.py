"""What the extra [annotate] brings: torch and transformers, imported when first needed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

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
        raise UserError(f"{purpose} needs torch and transformers: pip install 'egmt-jax[annotate]'")
    import torch
    import transformers

    return torch, transformers, "cuda" if torch.cuda.is_available() else "cpu"


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
