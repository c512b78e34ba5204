"""Speed and memory of fusing, beside the bare network, a PyTorch network and a plain average.

    python benchmarks/fuse.py [--checkpoint WORKDIR] [--rounds 9] [--large 8192]

Prints JSON. Per size, milliseconds per pair, median and 95th percentile over rounds that take
turns: `fuser` (arrays to a colour picture), `network` (the jitted model alone on arrays of that
size), `average` (numpy, the floor) and, where torch is installed, `torch_as_large_as_sdnet`: dense
3x3 convolutions at full size with as many parameters (28.7 thousand) and operations (17.6 GFLOP at
640x480) as SDNet. `folder`: pairs per second of PNG files to PNG files, and as a share of the rate
of calls of the `Fuser` alone. `second_process_seconds`: of a process that finds everything
compiled, from its start to its first picture, in three parts. With `--large`, seconds and peak
resident memory of one pair of so many pixels each way, in tiles.

The released weights are measured unless a checkpoint is named.
"""

import argparse
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
from flax import nnx

from egmt_jax.inference.files import Job, Settings, fuse_files
from egmt_jax.inference.fuser import Fuser, load_fuser
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair

SIZES = (480, 640), (768, 1024)
FILES = 16


def torch_network():
    """Luma and infrared float32 [1, 2, H, W] -> fused, in PyTorch; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    widths = [2, *[16] * 13, 1]
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [torch.nn.Conv2d(inputs, outputs, 3, padding=1), torch.nn.LeakyReLU(0.2)]
    network = torch.nn.Sequential(*layers[:-1], torch.nn.Tanh()).eval()

    def call(pair):
        with torch.inference_mode():
            return network(torch.from_numpy(pair))

    return call


def milliseconds(call) -> float:
    start = time.perf_counter()
    call()
    return 1000.0 * (time.perf_counter() - start)


def summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
    }


def pairs(fuser: Fuser, rounds: int) -> dict:
    graphdef, state = nnx.split(fuser.model)
    network = jax.jit(lambda state, v, i: nnx.merge(graphdef, state)(v, i).fused)
    other = torch_network()
    results = {}
    for height, width in SIZES:
        visible, infrared = made_up_pair(height, width)
        luma = images.to_grey(visible)
        batch = [image.reshape(1, height, width, 1) / np.float32(255) for image in (luma, infrared)]
        calls = {
            "fuser": lambda v=visible, i=infrared: fuser(v, i).image,
            "network": lambda b=batch: network(state, *b).block_until_ready(),
            "average": lambda v=luma, i=infrared[..., 0]: (v.astype(np.uint16) + i) // 2,
        }
        if other:
            stacked = np.concatenate(batch, axis=-1).transpose(0, 3, 1, 2).copy()
            calls["torch_as_large_as_sdnet"] = lambda pair=stacked: other(pair)
        first = {name: milliseconds(call) for name, call in calls.items()}
        times = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(milliseconds(call))
        results[f"{width}x{height}"] = {name: summary(values) for name, values in times.items()}
        results[f"{width}x{height}"]["first_call_of_the_fuser"] = round(first["fuser"], 1)
    return results


def folder(fuser: Fuser) -> dict:
    height, width = SIZES[0]
    visible, infrared = made_up_pair(height, width)
    with tempfile.TemporaryDirectory() as temporary:
        jobs = []
        for k in range(FILES):
            job = Job(*(pathlib.Path(temporary, kind, f"{k}.png") for kind in "vio"))
            images.write_png(job.visible, visible)
            images.write_png(job.infrared, infrared)
            jobs.append(job)
        fuser(visible, infrared)
        rates = {"files": [], "arrays": []}
        for _ in range(3):
            start = time.perf_counter()
            failures, _ = fuse_files(fuser, jobs, Settings())
            rates["files"].append(FILES / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in jobs:
                fuser(visible, infrared)
            rates["arrays"].append(FILES / (time.perf_counter() - start))
            if failures:
                raise RuntimeError(failures[0])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "pairs_per_second": round(medians["files"], 2),
        "share_of_the_fuser_alone": round(medians["files"] / medians["arrays"], 3),
    }


def second_process(checkpoint: str | None) -> dict[str, float]:
    """Seconds of a process that finds everything compiled; the one before it fills the cache."""
    code = (
        "import sys, time; start = time.perf_counter(); import jax, flax.nnx; "
        "imported = time.perf_counter(); "
        "from egmt_jax.compile_cache import keep_compiled; keep_compiled(); "
        "from egmt_jax.inference.fuser import load_fuser; "
        "from egmt_jax.testing import made_up_pair; "
        "fuser = load_fuser(sys.argv[1] or None); visible, infrared = made_up_pair(480, 640); "
        "loaded = time.perf_counter(); fuser(visible, infrared); end = time.perf_counter(); "
        "print(imported - start, loaded - imported, end - loaded)"
    )
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            command = [sys.executable, "-c", code, checkpoint or ""]
            environment = os.environ | {"XDG_CACHE_HOME": cache}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )
    names = "import_jax_and_flax", "load_the_model", "first_picture"
    seconds = [round(float(value), 2) for value in done.stdout.split()]
    return dict(zip(names, seconds, strict=True))


def large(fuser: Fuser, side: int) -> dict:
    visible, infrared = (
        np.tile(image, (-(-side // 512), -(-side // 512), 1))[:side, :side]
        for image in made_up_pair(512, 512)
    )
    start = time.perf_counter()
    fuser(visible, infrared).image  # noqa: B018
    return {
        "side": side,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", help="workdir of a training run")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--large", type=int, metavar="SIDE", help="only this: peaks are of it alone"
    )
    arguments = parser.parse_args()
    fuser = load_fuser(arguments.checkpoint)
    if arguments.large:
        results = {"large": large(fuser, arguments.large)}
    else:
        results = {
            "pairs_in_milliseconds": pairs(fuser, arguments.rounds),
            "folder": folder(fuser),
            "second_process_seconds": second_process(arguments.checkpoint),
        }
    print(json.dumps({"device": jax.devices()[0].device_kind} | results, indent=2))


if __name__ == "__main__":
    main()
