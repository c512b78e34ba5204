"""Models from training checkpoints and packed files, and the released weights."""

from egmt_jax.weights.packed import RELEASED, Packed, load_packed, save_packed

__all__ = ["RELEASED", "Packed", "load_packed", "save_packed"]
