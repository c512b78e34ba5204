"""Compares the speed of the fusion metrics with NumPy and SciPy in one run; prints JSON.

    python benchmarks/metrics.py [--height 480] [--width 640] [--pairs 40] [--repeats 5]

The reference is tests/metrics/reference_metrics.py: the same definitions with two-dimensional
windows and `scipy.signal.convolve2d`, as in common evaluation scripts, on float32 images. Images
are made up and in memory. Times are medians; compilation is reported separately.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import jax
import numpy as np
import scipy

import egmt_jax.metrics

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "metrics"))

import metric_images  # noqa: E402
import reference_metrics  # noqa: E402

FUNCTIONS = {
    "EN": "entropy",
    "SD": "standard_deviation",
    "SF": "spatial_frequency",
    "AG": "average_gradient",
    "MI": "mutual_information",
    "NMI": "normalised_mutual_information",
    "CC": "correlation_coefficient",
    "SCD": "sum_of_correlations_of_differences",
    "PSNR": "peak_signal_to_noise_ratio",
    "MSE": "mean_squared_error",
    "VIF": "visual_information_fidelity",
    "Qabf": "edge_preservation",
    "SSIM": "structural_similarity",
}
OF_FUSED = ("EN", "SD", "SF", "AG")


def seconds(function, *arguments):
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def median_seconds(function, *arguments, repeats):
    return statistics.median(seconds(function, *arguments) for _ in range(repeats))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    shape = (arguments.height, arguments.width)
    triples = [metric_images.made_up_triple(seed, shape) for seed in range(8)]
    triple = triples[0]
    as_float = [image.astype(np.float32) for image in triple]
    stream = [(str(k), *triples[k % len(triples)]) for k in range(arguments.pairs)]

    def score_all():
        return egmt_jax.metrics.score_pairs(stream, progress=False)

    compile_single = seconds(egmt_jax.metrics.fusion_metrics, *triple)
    compile_stream = seconds(egmt_jax.metrics.score_pairs, stream[:1])
    reference, single, streamed = [], [], []
    for _ in range(arguments.repeats):  # interleaved, so that all see the same load
        reference.append(seconds(reference_metrics.fusion_metrics, *as_float))
        single += [seconds(egmt_jax.metrics.fusion_metrics, *triple) for _ in range(5)]
        streamed.append(seconds(score_all) / arguments.pairs)
    reference, single, streamed = map(statistics.median, (reference, single, streamed))

    split = {}
    for name, function in FUNCTIONS.items():
        count = 1 if name in OF_FUSED else 3
        ours = getattr(egmt_jax.metrics, function)
        theirs = getattr(reference_metrics, function)
        on_device = [jax.device_put(image) for image in triple[:count]]
        jax.block_until_ready(ours(*on_device))
        split[name] = {
            "ours_ms": 1e3 * median_seconds(ours, *on_device, repeats=15),
            "reference_ms": 1e3 * median_seconds(theirs, *as_float[:count], repeats=3),
        }
    values = egmt_jax.metrics.fusion_metrics(*triple)
    exact = reference_metrics.fusion_metrics(*(image.astype(np.float64) for image in triple))
    report = {
        "pixels": f"{arguments.width}x{arguments.height}",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "scipy": scipy.__version__,
        "reference_ms": 1e3 * reference,
        "single_ms": 1e3 * single,
        "single_times_faster": reference / single,
        "streamed_ms_per_pair": 1e3 * streamed,
        "streamed_times_faster": reference / streamed,
        "compile_s": {"single": compile_single, "stream": compile_stream},
        "largest_relative_difference_from_float64": max(
            abs(float(values[name]) / exact[name] - 1) for name in exact
        ),
        "by_metric": split,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
