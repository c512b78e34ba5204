"""Speed of the training step of a config on this machine; prints JSON.

    python benchmarks/train.py --config=configs/demo.py [--batch_sizes=8,16] [--crop=128]
        [--dtypes=float32,bfloat16] [--steps=20] [--operations]

Per batch size and dtype: images per second of the whole loop (batches prepared as in training) and
of the step alone, the share of the loop's time spent waiting for a batch, compile time, memory,
floating-point operations per image (as XLA counts them before optimisation) of the step and of the
network alone (forward and backward, without losses and optimizer), and the share of the machine's
matrix peak that both reach. Three programs are timed: the network alone, network and losses, and
the whole step; what losses and optimizer cost are the differences. The peak is that of a product of
square matrices of the same dtype. All are timed in turn, so that they meet the same load; times are
medians.
"""

import glob
import gzip
import json
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from flax import nnx
from ml_collections import config_flags

from egmt_jax.data import mixtures, pipeline
from egmt_jax.entities import load_text_features, load_vocabulary
from egmt_jax.errors import UserError
from egmt_jax.training.loop import make_objective, make_ready, positive_weights
from egmt_jax.training.sharding import data_share, global_batch, make_mesh
from egmt_jax.training.step import loss_terms

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # for `configs`

_CONFIG = config_flags.DEFINE_config_file("config", "configs/demo.py", lock_config=True)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", [], "Batch sizes; the config's by default.")
_DTYPES = flags.DEFINE_list("dtypes", [], "float32 and/or bfloat16; the config's by default.")
_CROP = flags.DEFINE_integer("crop", None, "Side of the crops; the config's by default.")
_STEPS = flags.DEFINE_integer("steps", 20, "Steps that are timed.")
_MATRIX = flags.DEFINE_integer("matrix", None, "Side of the matrices; 2048 on CPU, else 8192.")
_OPERATIONS = flags.DEFINE_bool("operations", False, "Trace a few steps: the costliest operations.")
COSTLIEST = 5


def seconds(function, *arguments):
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def matrix_product(dtype):
    """A product of two large matrices, and its floating-point operations."""
    side = _MATRIX.value or (2048 if jax.default_backend() == "cpu" else 8192)
    matrix = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(matrix, matrix))
    return lambda: product(matrix, matrix), 2.0 * side**3


def network_alone(ready, batch):
    """Forward and backward pass without losses: the gradient of the mean of all outputs."""

    def outputs(params, constants, batch):
        model = nnx.merge(ready.graphdef, params, constants)
        visual = model.visual(batch["visible"], batch["infrared"])
        context = model.guide(visual, model.whole_vocabulary(batch["labels"]))
        fused = model.render(batch["visible"], batch["infrared"], context)
        return jnp.mean(fused) + jnp.mean(visual.entity_logits) + jnp.mean(visual.similarity)

    return jax.jit(jax.grad(outputs)).lower(ready.state.params, ready.constants, batch)


def network_and_losses(ready, aim, weights, batch):
    """The gradient of the loss, without the optimizer."""

    def loss(params, constants, batch, weights):
        key = jax.random.key(0)
        return loss_terms(ready.graphdef, params, constants, batch, weights, key, aim)[0]

    return jax.jit(jax.grad(loss)).lower(ready.state.params, ready.constants, batch, weights)


def memory(compiled):
    """MiB: the step's by XLA's plan, the device's own peak where it counts, this process's peak."""
    plan = compiled.memory_analysis()
    used = (
        plan.temp_size_in_bytes
        + plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        - plan.alias_size_in_bytes
    )
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "planned_mib": used / 2**20,
        "device_peak_mib": peak and peak / 2**20,
        "process_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def costliest(step, state, batch):
    """Share of device time of the costliest operations over a few steps, by name."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(3):
                state, scalars = step(state, batch)
            jax.block_until_ready(scalars)
        path = glob.glob(f"{folder}/plugins/profile/*/*.trace.json.gz")[0]
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
    spent = {}
    for event in events:
        name = event.get("args", {}).get("hlo_op")
        if name and event.get("ph") == "X":
            spent[name] = spent.get(name, 0.0) + event["dur"]
    total = sum(spent.values())
    most = sorted(spent, key=lambda name: -spent[name])[:COSTLIEST]
    return {name: spent[name] / total for name in most}, state


def measure(config, parts, labels, shares):
    mesh = make_mesh(config.mesh.data, config.mesh.model)
    size, devices = config.data.batch_size, jax.device_count()
    table = load_text_features(config.text_features).features
    weights = positive_weights(labels, shares)
    ready = make_ready(config, mesh, table, weights)
    batches = iter(
        pipeline.training_batches(
            parts, size, config.seed, config.data.workers, share=data_share(mesh)
        )
    )
    batch = global_batch(next(batches), mesh)
    start = time.perf_counter()
    lowered = ready.step.func.lower(*ready.step.args, ready.state, batch)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    network_lowered = network_alone(ready, batch)
    network = network_lowered.compile()
    gradient = network_and_losses(ready, make_objective(config), weights, batch).compile()

    def step(state, batch):
        return compiled(*ready.step.args, state, batch)

    product, product_flops = matrix_product(config.model.dtype)
    params = jax.tree.map(jnp.copy, ready.state.params)
    state, _ = step(ready.state, batch)
    jax.block_until_ready(network(params, ready.constants, batch))
    jax.block_until_ready(gradient(params, ready.constants, batch, weights))
    step_times, gradient_times, network_times, product_times = [], [], [], []
    for _ in range(_STEPS.value):  # in turn, so that all meet the same load
        begin = time.perf_counter()
        state, scalars = step(state, batch)
        jax.block_until_ready(scalars)
        step_times.append(time.perf_counter() - begin)
        gradient_times.append(seconds(gradient, params, ready.constants, batch, weights))
        network_times.append(seconds(network, params, ready.constants, batch))
        product_times.append(seconds(product))

    waited, loop_times = 0.0, []
    previous = None
    for _ in range(_STEPS.value):
        begin = time.perf_counter()
        fresh = next(batches)
        waited += time.perf_counter() - begin
        state, scalars = step(state, global_batch(fresh, mesh))
        if previous is not None:
            jax.block_until_ready(previous)
        previous = scalars
        loop_times.append(time.perf_counter() - begin)
    batches.close()

    step_time, gradient_time, network_time = map(
        statistics.median, (step_times, gradient_times, network_times)
    )
    peak = product_flops / statistics.median(product_times) * devices
    flops, network_flops = (x.cost_analysis()["flops"] for x in (lowered, network_lowered))
    result = {
        "batch_size": size,
        "crop": config.data.crop,
        "dtype": config.model.dtype,
        "images_per_s": size / statistics.median(loop_times),
        "images_per_s_step_alone": size / step_time,
        "waiting_for_data": waited / sum(loop_times),
        "compile_s": {"trace": traced - start, "compile": done - traced},
        "memory": memory(compiled),
        "gflop_per_image": {"step": flops / size / 1e9, "network": network_flops / size / 1e9},
        "ms": {
            "step": 1e3 * step_time,
            "network": 1e3 * network_time,
            "losses": 1e3 * (gradient_time - network_time),
            "optimizer": 1e3 * (step_time - gradient_time),
        },
        "matrix_peak_gflop_per_s": peak / 1e9,
        "share_of_peak": {
            "step": flops / step_time / peak,
            "network": network_flops / network_time / peak,
        },
    }
    if _OPERATIONS.value:
        result["costliest_operations"], state = costliest(step, state, batch)
    return result


def main(arguments):
    del arguments
    config = _CONFIG.value
    if config.guidance.given == "sentence":
        sys.exit("train.py: guidance by sentence is not measured; take another variant")
    if _CROP.value:
        config.data.crop = _CROP.value
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
        "numpy": np.__version__,
        "rows": rows,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    try:
        app.run(main)
    except UserError as error:
        sys.exit(f"train.py: {error}")
