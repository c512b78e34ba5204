"""Models from training checkpoints and packed files, and the released weights."""

from egmt_jax.weights.packed import Packed, load_packed, save_packed

__all__ = ["Packed", "load_packed", "save_packed"]
