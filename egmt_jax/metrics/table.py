"""The table of metrics: names, directions, and all values of one fused pair."""

import jax
import jax.numpy as jnp

from egmt_jax.metrics import edges, information, statistics, structure
from egmt_jax.metrics.regions import Grey, Scalar, Size, extent

GREY = "8-bit; colour becomes BT.601 full-range luma, rounded; nothing is re-normalised"

# for manifests; the docstrings have the full definitions
CONVENTIONS = {
    "EN": "entropy of the 256-bin histogram, bits",
    "SD": "population standard deviation, grey levels",
    "SF": "root of the mean squared horizontal plus the mean squared vertical difference",
    "AG": "mean of sqrt((gx^2 + gy^2) / 2), central differences, one-sided at borders",
    "MI": "I(F;A) + I(F;B), 256 x 256 joint histograms, nats",
    "NMI": "2 [I(F;A) / (H(F) + H(A)) + I(F;B) / (H(F) + H(B))]",
    "CC": "mean of the Pearson correlations with both sources",
    "SCD": "corr(A, F - B) + corr(B, F - A)",
    "PSNR": "10 log10(max(F)^2 / MSE), decibels, at most 100",
    "MSE": "mean of the mean squared errors to both sources, grey levels squared",
    "VIF": "pixel domain, four scales, noise variance 2, sum over both sources",
    "Qabf": "Sobel with zero borders, Gamma .9994 .9879, kappa -15 -22, sigma .5 .8",
    "SSIM": "7 x 7 uniform window, sample covariance, data range 255, sum over both sources",
    "SSIM_legacy": "as SSIM with data range 2, as published tables have it",
}

METRICS = {name: "lower" if name == "MSE" else "higher" for name in CONVENTIONS}
"""Names of the metrics and their better direction."""

FIELD_METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
"""The metrics of published tables, over which methods are ranked: among all of them PSNR and MSE,
MI and NMI, or SSIM and SSIM_legacy would count twice."""


def fusion_metrics(
    fused: Grey, visible: Grey, infrared: Grey, size: Size = None
) -> dict[str, Scalar]:
    """All metrics of one fused pair, by name in the order of `METRICS`.

    On CPU it is fastest outside of `jax.jit`: its parts are compiled one by one, and in one program
    XLA would compute the windows of VIF and SSIM several times. `size` is traced, so images of all
    sizes that fit in [H, W] share the compiled programs. A side needs 17 pixels.
    """
    triple = (fused, visible, infrared)
    moments = structure.similarity_moments(*triple)
    size = extent(jnp.shape(fused), size)
    values = _pixelwise(*triple, size) | {
        "VIF": structure.visual_information_fidelity(*triple, size=size),
        "Qabf": edges.edge_preservation(*triple, size=size),
        "SSIM": structure.similarity_from(moments, 255.0, size),
        "SSIM_legacy": structure.similarity_from(moments, 2.0, size),
    }
    return {name: values[name] for name in METRICS}


@jax.jit
def _pixelwise(fused: Grey, visible: Grey, infrared: Grey, size: Size) -> dict[str, Scalar]:
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
    }
