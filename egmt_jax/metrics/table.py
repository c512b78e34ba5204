"""The table of metrics: names, directions, and all values of one fused pair."""

import jax
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics import edges, information, statistics, structure
from egmt_jax.metrics.regions import Size

METRICS = {
    "EN": "higher",
    "SD": "higher",
    "SF": "higher",
    "AG": "higher",
    "MI": "higher",
    "NMI": "higher",
    "CC": "higher",
    "SCD": "higher",
    "PSNR": "higher",
    "MSE": "lower",
    "VIF": "higher",
    "Qabf": "higher",
    "SSIM": "higher",
    "SSIM_legacy": "higher",
}


@jax.jit
def fusion_metrics(
    fused: ArrayLike, visible: ArrayLike, infrared: ArrayLike, size: Size = None
) -> dict[str, Array]:
    """All metrics of one fused pair.

    Args:
      fused: uint8 [H, W], or float with 8-bit grey values; H, W >= 17.
      visible: the same shape.
      infrared: the same shape.
      size: true (height, width) where the arrays are padded; they may be traced, so that one compiled program serves
        every image that fits in [H, W].

    Returns:
      float32 scalars by the names of `METRICS`, in that order.

    Raises:
      ValueError: shapes differ, or a side is below 17 pixels.
    """
    triple = (fused, visible, infrared)
    return {
        "EN": information.entropy(fused, size=size),
        "SD": statistics.standard_deviation(fused, size=size),
        "SF": statistics.spatial_frequency(fused, size=size),
        "AG": statistics.average_gradient(fused, size=size),
        "MI": information.mutual_information(*triple, size=size),
        "NMI": information.normalised_mutual_information(*triple, size=size),
        "CC": statistics.correlation_coefficient(*triple, size=size),
        "SCD": statistics.sum_of_correlations_of_differences(*triple, size=size),
        "PSNR": statistics.peak_signal_to_noise_ratio(*triple, size=size),
        "MSE": statistics.mean_squared_error(*triple, size=size),
        "VIF": structure.visual_information_fidelity(*triple, size=size),
        "Qabf": edges.edge_preservation(*triple, size=size),
        "SSIM": structure.structural_similarity(*triple, size=size),
        "SSIM_legacy": structure.structural_similarity(*triple, data_range=2.0, size=size),
    }
