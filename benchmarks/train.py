"""Measures the speed of the training step of a config; prints JSON.

    python benchmarks/train.py --config=configs/demo.py [--batch_sizes=8,16]
        [--dtypes=float32,bfloat16] [--steps=20]

Per batch size and dtype: examples (a view and its crops) per second of the whole loop, of the step
alone and of the input pipeline alone, the share of the loop spent waiting for a batch, compile
time, memory, floating-point operations per example (as XLA counts them before optimisation) of the
step and of the network alone (forward and backward pass), and the share of the matrix peak that
both reach. The peak is that of a product of square matrices of the same dtype. The cost of losses
and optimizer are differences between three programs: the network, network and losses, the whole
step. All programs take turns, so that they run under the same load; times are medians.
"""

import json
import os
import pathlib
import resource
import statistics
import sys
import time

import jax
import jax.numpy as jnp
from absl import app, flags
from flax import nnx
from ml_collections import config_flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # for `configs`

import tfds_builders  # noqa: F401  (registers the data sets with TFDS)
from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.models import Guidance
from egmt_jax.training.loop import positive_weights, setup
from egmt_jax.training.sharding import data_share, global_batch, make_mesh
from egmt_jax.training.step import Objective, loss_terms
from egmt_jax.training.validate_config import validate_config

_CONFIG = config_flags.DEFINE_config_file("config", "configs/demo.py", lock_config=True)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", [], "Batch sizes; default: the config's.")
_DTYPES = flags.DEFINE_list("dtypes", [], "float32 and/or bfloat16; default: the config's.")
_STEPS = flags.DEFINE_integer("steps", 20, "Timed steps.")


def seconds(function, *arguments):
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def matrix_product(dtype):
    """A product of two large matrices, and its floating-point operations."""
    side = 2048 if jax.default_backend() == "cpu" else 8192
    matrix = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(matrix, matrix))
    return lambda: product(matrix, matrix), 2.0 * side**3


def network_alone(ready, batch):
    """Forward and backward pass without losses: the gradient of the mean of all outputs."""

    def outputs(params, constants, batch):
        model = nnx.merge(ready.graphdef, params, constants)
        visual = model.visual(batch["view"])
        context = model.guide(visual, Guidance(weight=batch["labels"]))
        crops = batch["visible"].shape[1]
        context = jax.tree.map(lambda x: jnp.repeat(x, crops, axis=0), context)
        visible, infrared = (
            batch[name].reshape(-1, *batch[name].shape[2:]).astype(jnp.float32) / 255.0
            for name in ("visible", "infrared")
        )
        fused = model.render(visible, infrared, context)
        return jnp.mean(fused) + jnp.mean(visual.entity_logits) + jnp.mean(visual.similarity)

    return jax.jit(jax.grad(outputs)).lower(ready.state.params, ready.constants, batch)


def network_and_losses(ready, objective, weights, batch):
    """The gradient of the loss, without the optimizer."""

    def loss(params, constants, batch, weights):
        key = jax.random.key(0)
        return loss_terms(ready.graphdef, params, constants, batch, weights, key, objective)[0]

    return jax.jit(jax.grad(loss)).lower(ready.state.params, ready.constants, batch, weights)


def memory(compiled):
    """MiB: XLA's plan for the step, the peaks of the device (if it counts) and of the process."""
    plan = compiled.memory_analysis()
    used = plan.temp_size_in_bytes + plan.argument_size_in_bytes + plan.output_size_in_bytes
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "planned_mib": (used - plan.alias_size_in_bytes) / 2**20,
        "device_peak_mib": peak and peak / 2**20,
        "process_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def measure(config, parts, labels, shares):
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    size, steps = config.data.batch_size, range(_STEPS.value)
    weights = positive_weights(labels, shares)
    ready = setup(config, mesh, load_text_features(config.text_features).features, weights)
    seed, workers = config.seed, config.data.workers
    batches = iter(pipeline.training_batches(parts, size, seed, workers, share=data_share(mesh)))
    batch = global_batch(next(batches), mesh)
    start = time.perf_counter()
    lowered = ready.step.func.lower(*ready.step.args, ready.state, batch)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    network_lowered = network_alone(ready, batch)
    network = network_lowered.compile()
    objective = Objective(weights=config.loss.to_dict(), **config.guidance)
    gradient = network_and_losses(ready, objective, weights, batch).compile()
    product, product_flops = matrix_product(config.model.dtype)
    params, state = jax.tree.map(jnp.copy, ready.state.params), ready.state

    def step(state, batch):
        return compiled(*ready.step.args, state, batch)

    programs = {
        "gradient": lambda: gradient(params, ready.constants, batch, weights),
        "network": lambda: network(params, ready.constants, batch),
        "product": product,
    }
    times = {name: [] for name in ("step", *programs)}
    for count in range(_STEPS.value + 1):
        begin = time.perf_counter()
        state, scalars = step(state, batch)
        jax.block_until_ready(scalars)
        spent = {"step": time.perf_counter() - begin}
        spent |= {name: seconds(program) for name, program in programs.items()}
        for name in times if count else ():  # the first round warms up
            times[name].append(spent[name])
    waits, loop, previous = [], [], scalars
    for _ in steps:
        begin = time.perf_counter()
        fresh = next(batches)
        waits.append(time.perf_counter() - begin)
        state, scalars = step(state, global_batch(fresh, mesh))
        jax.block_until_ready(previous)
        previous = scalars
        loop.append(time.perf_counter() - begin)
    jax.block_until_ready(scalars)
    for _ in range(8):  # prepared while the steps ran
        next(batches)
    data = [seconds(lambda: next(batches)) for _ in steps]
    batches.close()

    spent = {name: statistics.median(values) for name, values in times.items()}
    peak = product_flops / spent["product"] * jax.device_count()
    flops, network_flops = (x.cost_analysis()["flops"] for x in (lowered, network_lowered))
    return {
        "batch_size": size,
        "crop": config.data.crop,
        "dtype": config.model.dtype,
        "examples_per_s": size / statistics.median(loop),
        "examples_per_s_step_alone": size / spent["step"],
        "examples_per_s_data_alone": size * len(data) / sum(data),
        "waiting_for_data": sum(waits) / sum(loop),
        "compile_s": {"trace": traced - start, "compile": done - traced},
        "memory": memory(compiled),
        "gflop_per_example": {"step": flops / size / 1e9, "network": network_flops / size / 1e9},
        "ms": {
            "step": 1e3 * spent["step"],
            "network": 1e3 * spent["network"],
            "losses": 1e3 * (spent["gradient"] - spent["network"]),
            "optimizer": 1e3 * (spent["step"] - spent["gradient"]),
        },
        "matrix_peak_gflop_per_s": peak / 1e9,
        "share_of_peak": {
            "step": flops / spent["step"] / peak,
            "network": network_flops / spent["network"] / peak,
        },
    }


def main(arguments):
    del arguments
    config = _CONFIG.value
    validate_config(config)
    vocabulary = load_vocabulary()
    mixture = mixtures.open_mixture(config.data)
    labels, shares = mixtures.read_labels(mixture, config.data.train_split, vocabulary)
    parts = mixtures.training_parts(mixture, config.data, vocabulary)
    rows = []
    for dtype in _DTYPES.value or [config.model.dtype]:
        for size in _BATCH_SIZES.value or [config.data.batch_size]:
            config.model.dtype, config.data.batch_size = dtype, int(size)
            rows.append(measure(config, parts, labels, shares))
    report = {
        "data": config.data.name,
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "jax": jax.__version__,
        "rows": rows,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    try:
        app.run(main)
    except UserError as error:
        sys.exit(f"train.py: {error}")
