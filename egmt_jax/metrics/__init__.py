"""Fusion metrics in JAX: one function per metric, all of them for one pair, tables over sets.

Metrics take `fused`, and most `visible` and `infrared`: uint8 or float [H, W] of one shape, with
8-bit grey values; they are symmetric in the sources. Where arrays are padded, `size` is the true
(height, width) of the image in their top left corner. They return a float32 scalar, work under
`jax.jit`, `jax.vmap` and `jax.grad`, and raise ValueError for shapes that differ. In docstrings F
is the fused image, A the infrared and B the visible image.
"""

# ruff: noqa: F401  (these are the public names)
from egmt_jax.metrics.edges import edge_preservation
from egmt_jax.metrics.information import entropy, mutual_information, normalised_mutual_information
from egmt_jax.metrics.plot import write_plot
from egmt_jax.metrics.report import manifest, mean_ranks, summary, to_markdown, write_csv
from egmt_jax.metrics.scoring import score_pairs
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
