"""Weights: training checkpoints and packed files read back as models, and the released weights."""

from egmt_jax.weights.packed import Packed, load_packed, save_packed

__all__ = ["Packed", "load_packed", "save_packed"]
