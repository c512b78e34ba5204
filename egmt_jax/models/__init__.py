"""The EGMT network: plain constructor arguments; it knows no data set, file or config object."""

from egmt_jax.models.egmt import EGMT, Context, Entities, Fusion, TextFeatures, Visual

__all__ = ["EGMT", "Context", "Entities", "Fusion", "TextFeatures", "Visual"]
