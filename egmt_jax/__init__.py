"""Entity-guided infrared and visible image fusion (EGMT, arXiv 2601.01870) in JAX and Flax.

Subpackages are imported on demand, so that `import egmt_jax` costs nothing.
"""

__version__ = "0.1.0"
