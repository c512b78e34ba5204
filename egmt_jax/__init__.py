"""Entity-guided infrared and visible image fusion (EGMT, arXiv 2601.01870) in JAX and Flax.

    import egmt_jax

    picture = egmt_jax.fuse(visible, infrared, entities=["person", "car"], workdir="runs/demo")

Subpackages are imported on demand, so that `import egmt_jax` costs nothing.
"""

import importlib

__version__ = "0.1.0"

__all__ = ["Fuser", "fuse"]


def __getattr__(name: str):
    if name in __all__:
        return getattr(importlib.import_module("egmt_jax.inference.fuser"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
