"""Speed of the input pipeline against what the base model's training step consumes.

    python benchmarks/input_pipeline.py [--pairs 64] [--seconds 8] [--config base]

Prints JSON: images per second (two to a pair) through decode, crop, flip and batch of made-up
640x480 PNG pairs, by number of worker processes (0: two threads), and images per second of the
training step of the config on this machine's default device, measured in turns in one run; medians
of three. `ratio` is the first over the second: the promise is 2 or more on two CPU cores, for each
number of workers. Takes a few minutes.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
from absl import flags
from flax import nnx
from tqdm import tqdm

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # configs/ is not installed

from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair
from egmt_jax.training.checkpoints import build_model
from egmt_jax.training.sharding import global_batch, make_mesh, state_shardings
from egmt_jax.training.step import Objective, TrainState, make_optimizer, make_step

ROUNDS = 3
WORKERS = (0, 1, 2)


def write_pairs(root: pathlib.Path, count: int) -> None:
    lines = []
    for number in tqdm(range(count), "Writing pairs", unit="pair"):
        visible, infrared = made_up_pair(480, 640, number)
        images.write_png(root / "vi" / f"{number:04d}.png", visible)
        images.write_png(root / "ir" / f"{number:04d}.png", infrared)
        lines.append(json.dumps({"id": f"{number:04d}", "entities": ["person", "car"]}))
    (root / "annotations.jsonl").write_text("\n".join(lines))


def compiled_step(config, batch):
    """A function without arguments that updates once on a batch and waits for the result."""
    vocabulary, mesh = load_vocabulary(), make_mesh(-1, 1)
    model = build_model(config.model, load_text_features(config.text_features).features)
    graphdef, params, constants = nnx.split(model, nnx.Param, ...)
    params, constants = nnx.to_pure_dict(params), nnx.to_pure_dict(constants)
    optimizer = make_optimizer(1e-3, 2, 1000, 1e-4, 1.0)
    state = TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))
    shardings = state_shardings(state, mesh)
    aim = Objective(weights=config.loss.to_dict(), **config.guidance)
    weights = jnp.ones(len(vocabulary))
    step = make_step(graphdef, constants, optimizer, weights, 0, aim, shardings)
    batch = global_batch(batch, mesh)
    states = [jax.device_put(state, shardings)]

    def once():
        states[0], scalars = step(states[0], batch)
        jax.block_until_ready(scalars)

    once()  # compiles
    return once


def per_second(function, seconds: float) -> float:
    """Calls of a function per second, over at least so many seconds."""
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        function()
        calls += 1
    return calls / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--config", default="base", help="module in configs/")
    arguments = parser.parse_args()
    flags.FLAGS(sys.argv[:1])  # worker processes read absl's flags

    config = importlib.import_module(f"configs.{arguments.config}").get_config()
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(pathlib.Path(folder), arguments.pairs)
        config.data.update(name="folder", root=folder, train_split="all", mixture={})
        mixture = mixtures.open_mixture(config.data)
        parts = mixtures.training_parts(mixture, config.data, load_vocabulary())

        def batches(workers):
            size = config.data.batch_size
            return iter(pipeline.training_batches(parts, size, config.seed, workers))

        step = compiled_step(config, next(batches(0)))
        images_of_batch = 2 * config.data.batch_size
        speeds: dict[str, list[float]] = {}
        for _ in tqdm(range(ROUNDS), "Measuring", unit="round"):
            for workers in WORKERS:
                iterator = batches(workers)
                # What is made while the workers start is not counted.
                for _ in range(8 + 4 * workers):
                    next(iterator)
                speed = per_second(lambda: next(iterator), arguments.seconds)  # noqa: B023
                speeds.setdefault(f"workers_{workers}", []).append(speed * images_of_batch)
                iterator.close()
            speed = per_second(step, arguments.seconds)
            speeds.setdefault("training_step", []).append(speed * images_of_batch)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(
        json.dumps(
            {
                "config": arguments.config,
                "device": jax.devices()[0].device_kind,
                "cpus": os.cpu_count(),
                "load_average": os.getloadavg()[0],
                "batch_size": config.data.batch_size,
                "crop": config.data.crop,
                "images_per_second": {name: round(value, 1) for name, value in medians.items()},
                "ratio": {
                    name: round(value / medians["training_step"], 2)
                    for name, value in medians.items()
                    if name != "training_step"
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
