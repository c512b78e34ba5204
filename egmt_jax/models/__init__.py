"""The EGMT network. It knows plain constructor arguments: no data set, file or config object."""

from egmt_jax.models.egmt import EGMT, Context, Fusion, Visual, make_view
from egmt_jax.models.guidance import PREDICTED, UNGUIDED, Guidance

__all__ = ["EGMT", "PREDICTED", "UNGUIDED", "Context", "Fusion", "Guidance", "Visual", "make_view"]
