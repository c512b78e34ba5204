"""Fusion metrics in JAX: one function per metric, all of them for one pair, tables over sets.

Metrics take `fused`, and most `visible` and `infrared`: uint8 or float [H, W] of one shape, with
8-bit grey values. Where arrays are padded, `size` is the true (height, width) of the image in their
top left corner. They return a float32 scalar, work under `jax.jit`, `jax.vmap` and `jax.grad`, and
raise ValueError for shapes that differ. Docstrings have the definition, unit, range and source of
each, with F the fused image and A, B the infrared and visible image; `METRICS` has the direction.
"""

from egmt_jax.metrics.edges import edge_preservation
from egmt_jax.metrics.information import entropy, mutual_information, normalised_mutual_information
from egmt_jax.metrics.plot import write_plot
from egmt_jax.metrics.report import (
    manifest,
    mean_ranks,
    summary,
    to_markdown,
    write_csv,
    write_manifest,
)
from egmt_jax.metrics.scoring import iterate_scores, score_pairs
from egmt_jax.metrics.statistics import (
    average_gradient,
    correlation_coefficient,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    spatial_frequency,
    standard_deviation,
    sum_of_correlations_of_differences,
)
from egmt_jax.metrics.structure import structural_similarity, visual_information_fidelity
from egmt_jax.metrics.table import FIELD_METRICS, METRICS, fusion_metrics

__all__ = [
    "FIELD_METRICS",
    "METRICS",
    "average_gradient",
    "correlation_coefficient",
    "edge_preservation",
    "entropy",
    "fusion_metrics",
    "iterate_scores",
    "manifest",
    "mean_ranks",
    "mean_squared_error",
    "mutual_information",
    "normalised_mutual_information",
    "peak_signal_to_noise_ratio",
    "score_pairs",
    "spatial_frequency",
    "standard_deviation",
    "structural_similarity",
    "sum_of_correlations_of_differences",
    "summary",
    "to_markdown",
    "visual_information_fidelity",
    "write_csv",
    "write_manifest",
    "write_plot",
]
