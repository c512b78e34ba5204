"""Measures speed and memory of fusion, beside the bare network, PyTorch and a plain average.

    python benchmarks/fuse.py [--model tiny] [--checkpoint WORKDIR] [--rounds 9] [--large 8192]

Prints JSON. Per size, milliseconds per pair, median and 95th percentile, of calls that take turns:
`fuser` (arrays to a colour image), `network` (the jitted model alone on arrays of that size),
`average` (NumPy, the floor), `two_convolutions` (jitted, 3x3, 2 -> 4 -> 1 channels at full size,
113 parameters, as the smallest published networks) and, if torch is installed,
`torch_as_large_as_sdnet`: dense 3x3 convolutions at full size with as many parameters (28.7
thousand) and operations (17.6 GFLOP at 640x480) as SDNet. `folder`: pairs per second from PNG files
to PNG files, and their share of the rate of the `Fuser` alone. `video`: frames of 640x480 per
second, from two files to one, compilation not counted. `second_process_seconds`: a process with a
filled compilation cache, from its start to its first image. `--large`: only seconds and peak memory
of one square pair of that side, in tiles. Measures released weights unless a checkpoint is given.
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

from egmt_jax.errors import UserError
from egmt_jax.inference.files import Job, Settings, fuse_files
from egmt_jax.inference.fuser import Fuser, load_fuser
from egmt_jax.inference.video import fuse_video
from egmt_jax.io import images
from egmt_jax.io.pairs import PairFiles
from egmt_jax.io.videos import writing
from egmt_jax.testing import made_up_pair
from egmt_jax.weights import RELEASED

SIZES = (480, 640), (768, 1024)
FILES = 16
FRAMES = 150
SECOND_PROCESS = """
import sys, time
start = time.perf_counter()
import jax, flax.nnx
imported = time.perf_counter()
from egmt_jax.compile_cache import keep_compiled
from egmt_jax.inference.fuser import load_fuser
from egmt_jax.testing import made_up_pair
keep_compiled()
fuser = load_fuser(sys.argv[1] or None, sys.argv[2])
pair = made_up_pair(480, 640)
loaded = time.perf_counter()
fuser(*pair)
print(imported - start, loaded - imported, time.perf_counter() - loaded)
"""


def torch_network():
    """Luma and infrared float32 [1, 2, H, W] -> fused, in PyTorch; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    layers = []
    for inputs, outputs in itertools.pairwise([2, *[16] * 13, 1]):
        layers += [torch.nn.Conv2d(inputs, outputs, 3, padding=1), torch.nn.LeakyReLU(0.2)]
    network = torch.nn.Sequential(*layers[:-1], torch.nn.Tanh()).eval()

    def call(pair):
        with torch.inference_mode():
            return network(torch.from_numpy(pair))

    return call


def two_convolutions():
    """Luma and infrared float32 [1, H, W, 2] -> fused, by a jitted network of 113 parameters."""
    rngs = nnx.Rngs(0)
    first, second = (nnx.Conv(*sides, (3, 3), rngs=rngs) for sides in ((2, 4), (4, 1)))
    network = nnx.Sequential(first, jax.nn.leaky_relu, second, jax.nn.tanh)
    graphdef, state = nnx.split(network)
    call = jax.jit(lambda state, pair: nnx.merge(graphdef, state)(pair))
    return lambda pair: call(state, pair).block_until_ready()


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pairs(fuser: Fuser, rounds: int) -> dict:
    graphdef, state = nnx.split(fuser.model)
    network = jax.jit(lambda state, v, i: nnx.merge(graphdef, state)(v, i).luma)
    smallest, other = two_convolutions(), torch_network()
    results = {}
    for height, width in SIZES:
        visible, infrared = made_up_pair(height, width)
        luma = images.to_grey(visible)
        batch = [image.reshape(1, height, width, 1) / np.float32(255) for image in (luma, infrared)]
        stacked = np.concatenate(batch, axis=-1)
        calls = {
            "fuser": lambda v=visible, i=infrared: fuser(v, i).image,
            "network": lambda b=batch: network(state, *b).block_until_ready(),
            "average": lambda v=luma, i=infrared[..., 0]: (v.astype(np.uint16) + i) // 2,
            "two_convolutions": lambda pair=stacked: smallest(pair),
        }
        if other:
            channels_first = stacked.transpose(0, 3, 1, 2).copy()
            calls["torch_as_large_as_sdnet"] = lambda pair=channels_first: other(pair)
        first = {name: seconds(call) for name, call in calls.items()}
        times = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(1000.0 * seconds(call))
        results[f"{width}x{height}"] = {
            name: {"median": statistics.median(x), "p95": float(np.percentile(x, 95))}
            for name, x in times.items()
        } | {"first_call_of_the_fuser": 1000.0 * first["fuser"]}
    return results


def folder(fuser: Fuser) -> dict:
    visible, infrared = made_up_pair(*SIZES[0])
    with tempfile.TemporaryDirectory() as temporary:
        jobs = []
        for k in range(FILES):
            files = [pathlib.Path(temporary, kind, f"{k}.png") for kind in ("vi", "ir", "fused")]
            images.write_png(files[0], visible)
            images.write_png(files[1], infrared)
            jobs.append(Job(PairFiles(str(k), *files[:2]), files[2]))
        fuser(visible, infrared)
        rates = {"files": [], "arrays": []}
        for _ in range(3):
            start = time.perf_counter()
            failures, _ = fuse_files(fuser, jobs, Settings())
            rates["files"].append(FILES / (time.perf_counter() - start))
            if failures:
                raise UserError(failures[0])
            calls = [seconds(lambda: fuser(visible, infrared)) for _ in jobs]
            rates["arrays"].append(FILES / sum(calls))
    files, arrays = map(statistics.median, rates.values())
    return {"pairs_per_second": files, "share_of_the_fuser_alone": files / arrays}


def video(fuser: Fuser) -> dict[str, float]:
    """Frames per second of a video whose camera moves slowly, and the slowest and fastest run."""
    (height, width), rates = SIZES[0], []
    frames = made_up_pair(height, width + FRAMES)
    with tempfile.TemporaryDirectory() as temporary:
        paths = [pathlib.Path(temporary, name) for name in ("vi.mp4", "ir.mp4", "fused.mp4")]
        for path, frame in zip(paths, frames, strict=False):
            with writing(path, 25.0, (height, width)) as write:
                for k in range(FRAMES):
                    write(frame[:, k : k + width].squeeze())
        for _ in range(4):
            job = Job(PairFiles("video", *paths[:2]), paths[2])
            rates.append(FRAMES / seconds(lambda job=job: fuse_video(fuser, job, Settings())))
    rates = rates[1:]  # the first compiles
    return {"frames_per_second": statistics.median(rates), "least": min(rates), "most": max(rates)}


def second_process(checkpoint: str | None, model: str) -> dict[str, float]:
    """Seconds of a process that finds everything compiled; the one before it fills the cache."""
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            command = [sys.executable, "-c", SECOND_PROCESS, checkpoint or "", model]
            environment = os.environ | {"XDG_CACHE_HOME": cache}
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, env=environment
            )
    names = "import_jax_and_flax", "load_the_model", "first_image"
    return dict(zip(names, map(float, done.stdout.split()), strict=True))


def large(fuser: Fuser, side: int) -> dict:
    repeats = -(-side // 512)
    pair = (np.tile(x, (repeats, repeats, 1))[:side, :side] for x in made_up_pair(512, 512))
    spent = seconds(lambda: fuser(*pair).image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"side": side, "seconds": spent, "peak_gigabytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=RELEASED, default="base", help="released weights")
    parser.add_argument("--checkpoint", help="workdir of a training run, instead")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--large", type=int, metavar="SIDE", help="measure only one large pair")
    arguments = parser.parse_args()
    fuser = load_fuser(arguments.checkpoint, arguments.model)
    results = {"device": jax.devices()[0].device_kind}
    if arguments.large:
        results["large"] = large(fuser, arguments.large)
    else:
        results["pairs_in_milliseconds"] = pairs(fuser, arguments.rounds)
        results["folder"] = folder(fuser)
        results["video"] = video(fuser)
        results["second_process_seconds"] = second_process(arguments.checkpoint, arguments.model)
    rounded = json.loads(json.dumps(results), parse_float=lambda x: round(float(x), 3))
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
