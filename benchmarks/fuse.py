"""Speed and memory of fusing, against the bare network and against a plain average in numpy.

    python benchmarks/fuse.py [--checkpoint WORKDIR] [--tiny] [--rounds 9] [--large 8192]

Prints JSON. Per size, milliseconds per pair, median and 95th percentile over rounds that take
turns: `fuser` (arrays to a colour picture), `network` (the jitted model alone on arrays of that
size) and `average` (numpy, the floor). `folder`: pairs per second of PNG files to PNG files, and
as a share of the rate of calls of the `Fuser` alone. `second_process_seconds`: of a process that
finds everything compiled, from its start to its first picture, in three parts. With
`--large`, seconds and peak resident memory of one pair of so many pixels each way, in tiles.

Without a checkpoint an untrained model of the base size is measured (--tiny: the tests' model).
"""

import argparse
import json
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

from egmt_jax.data import images
from egmt_jax.entities import load_vocabulary
from egmt_jax.inference.files import Job, Settings, fuse_files
from egmt_jax.inference.fuser import Fuser
from egmt_jax.models import EGMT
from egmt_jax.testing import made_up_pair, text_features, tiny_model

SIZES = (480, 640), (768, 1024)
FILES = 16


def load(arguments) -> tuple[EGMT, tuple[str, ...]]:
    if arguments.checkpoint:
        from egmt_jax.training.checkpoints import load_model

        return load_model(arguments.checkpoint)[:2]
    names = load_vocabulary().names
    features = text_features(len(names), 384)
    model = tiny_model(features) if arguments.tiny else EGMT(features, rngs=nnx.Rngs(0))
    return model, names


def milliseconds(call) -> float:
    start = time.perf_counter()
    call()
    return 1000.0 * (time.perf_counter() - start)


def summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
    }


def pairs(model: EGMT, fuser: Fuser, rounds: int) -> dict:
    graphdef, state = nnx.split(model)
    network = jax.jit(lambda state, v, i: nnx.merge(graphdef, state)(v, i).fused)
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


def second_process() -> dict[str, float]:
    """Seconds of a process that finds everything compiled; the one before it fills the cache."""
    code = (
        "import sys, time; start = time.perf_counter(); import jax, flax.nnx; "
        "imported = time.perf_counter(); sys.path.insert(0, sys.argv[2]); "
        "jax.config.update('jax_compilation_cache_dir', sys.argv[1]); "
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0); "
        "sys.argv = sys.argv[3:]; import fuse; model, names = fuse.load(fuse.parse()); "
        "visible, infrared = fuse.made_up_pair(480, 640); loaded = time.perf_counter(); "
        "fuse.Fuser(model, names)(visible, infrared); end = time.perf_counter(); "
        "print(imported - start, loaded - imported, end - loaded)"
    )
    here = str(pathlib.Path(__file__).parent)
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            command = [sys.executable, "-c", code, cache, here, *sys.argv]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
    names = "import_jax_and_flax", "load_or_build_the_model", "first_picture"
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


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", help="workdir of a training run")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--large", type=int, metavar="SIDE", help="only this: peaks are of it alone"
    )
    return parser.parse_args()


def main():
    arguments = parse()
    model, names = load(arguments)
    fuser = Fuser(model, names)
    if arguments.large:
        results = {"large": large(fuser, arguments.large)}
    else:
        results = {
            "pairs_in_milliseconds": pairs(model, fuser, arguments.rounds),
            "folder": folder(fuser),
            "second_process_seconds": second_process(),
        }
    print(json.dumps({"device": jax.devices()[0].device_kind} | results, indent=2))


if __name__ == "__main__":
    main()
