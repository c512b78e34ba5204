"""Entity-guided infrared and visible image fusion (EGMT, arXiv 2601.01870) in JAX and Flax.

    import egmt_jax

    image = egmt_jax.fuse(visible, infrared, entities=["person", "car"])

Names are imported on first use, so that `import egmt_jax` is fast.
"""

import importlib

__version__ = "0.2.0"

_MODULES = {
    "Fuser": "egmt_jax.inference.fuser",
    "fuse": "egmt_jax.inference.fuser",
    "load_pretrained": "egmt_jax.inference.fuser",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
