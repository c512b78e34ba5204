"""Trains variants of a config with several seeds each and scores them on validation pairs.

    nohup python benchmarks/ablations.py --workdir=DIR --data_dir=DIR --manual_dir=DIR
        [--config=configs/all.py] [--seeds=3] [--variants=full,no_entities,no_scenes]
        [-- --config.optimizer.steps=1500 --config.data.crop=96] > ablations.md &

Trains one run after the other, seed by seed, each in a process of its own and in its own workdir,
DIR/<variant>-<seed>, with the output in `log.txt`. Arguments after `--` go to launch.py. The same
command resumes: it skips finished runs and continues an interrupted one.

Each run is scored on pairs that it was not trained on, with the guidance of its own evaluation:
fusion metrics on the validation pairs of the real sets, the classifier, and steering. At the end
all results are printed, as JSON and as one Markdown table: means over the seeds, their standard
deviation, and in bold what differs from `full` by more than twice that deviation.
"""

import argparse
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from evidence import (
    CLASSIFIED,
    RANKED,
    ROOT,
    SCENES,
    SETS,
    STEERED_SCENES,
    UserError,
    add_data_flags,
    environment,
    held_out,
    markdown_table,
    read_json,
    steering_effect,
    write_json,
)

from configs import variants
from egmt_jax import metrics
from egmt_jax.entities import MOST_ENTITIES
from egmt_jax.evaluation import scoring
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.weights.checkpoint import load_model

FULL = "full"
VARIANTS = {
    FULL: (),
    **dict.fromkeys(variants.VARIANTS, ()),
    "no_scenes": ("--config.data.mixture.entity_scenes.weight=0",),
}
"""Arguments of launch.py by variant; those without any are variants of the config."""

RESULTS = "results.json"
CLEAR = 2.0  # pooled standard deviations between seeds; differences beyond it are bold


def chosen_variants(listed: str | None) -> list[str]:
    """The variants of a comma-separated list, or all; raises UserError for an unknown one."""
    chosen = listed.split(",") if listed else list(VARIANTS)
    for variant in set(chosen) - set(VARIANTS):
        raise UserError(f"--variants: no variant {variant!r}; known are {', '.join(VARIANTS)}")
    return chosen


def launch_arguments(variant: str, seed: int, arguments: argparse.Namespace) -> list[str]:
    """The arguments of launch.py for one run, except its workdir."""
    in_config = variant != FULL and not VARIANTS[variant]
    return [
        f"--config={arguments.config}{f':{variant}' if in_config else ''}",
        f"--config.seed={seed}",
        *_data_flags(arguments, "config.data."),
        *VARIANTS[variant],
        *arguments.launch,
    ]


def _data_flags(arguments: argparse.Namespace, prefix: str = "") -> list[str]:
    folders = {"data_dir": arguments.data_dir, "manual_dir": arguments.manual_dir}
    return [f"--{prefix}{k}={pathlib.Path(v).absolute()}" for k, v in folders.items() if v]


def score_run(workdir: pathlib.Path, data_dir: str, manual_dir: str) -> dict:
    """Scores the newest checkpoint of a run: metric means by set, classifier, steering."""
    model, names, config = load_model(workdir)
    fuser = Fuser(model, names, config.text_features)
    pictures, masked = {}, []
    for name in SETS:
        pairs = held_out(name, "validation", data_dir, manual_dir)
        rows, _ = scoring.score(fuser, pairs, config.evaluation.guidance)
        pictures[name] = {metric: metrics.summary(rows)[metric] for metric in RANKED}
        masked += [pair for pair in pairs if pair.masks]
    _, classifier = scoring.score(fuser, held_out(*CLASSIFIED, data_dir, manual_dir), "none")
    scenes = held_out(*SCENES, data_dir, manual_dir, STEERED_SCENES)
    return {
        "metrics": pictures,
        "classifier": {k: v if np.isfinite(v) else None for k, v in (classifier or {}).items()},
        "steering": {
            "rendered scenes": steering_effect(steering(fuser, scenes)),
            "real pairs": steering_effect(steering(fuser, masked, most=MOST_ENTITIES)),
        },
    }


def run(command: Sequence[str], log: pathlib.Path) -> None:
    """Runs a Python script of the clone; raises UserError with its last line if it fails."""
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=file, stderr=file)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()  # training saves a checkpoint first
            process.wait()
            raise
    if status:
        lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        raise UserError(f"exit status {status}: {last.strip()} ({log})")


def run_all(arguments: argparse.Namespace) -> dict[str, list[dict]]:
    """Trains and scores every unfinished run, also after a failure; returns the results by variant.

    Raises UserError if a finished run was made with other arguments.
    """
    folder = arguments.workdir.absolute()
    chosen = chosen_variants(arguments.variants)
    runs = [(variant, seed) for seed in range(arguments.seeds) for variant in chosen]
    results: dict[str, list[dict]] = {variant: [] for variant in chosen}
    for number, (variant, seed) in enumerate(runs, 1):
        workdir = folder / f"{variant}-{seed}"
        launch = launch_arguments(variant, seed, arguments)
        path = workdir / RESULTS
        if not path.exists():
            workdir.mkdir(parents=True, exist_ok=True)
            own = ["benchmarks/ablations.py", f"--score={workdir}", f"--workdir={folder}"]
            try:
                run(["launch.py", *launch, f"--workdir={workdir}"], workdir / "log.txt")
                run([*own, *_data_flags(arguments), "--", *launch], workdir / "log.txt")
            except UserError as error:
                print(f"[{number}/{len(runs)}] {workdir.name}: {error}", file=sys.stderr)
                continue
        found = read_json(path)
        if found["launch"] != launch:
            raise UserError(f"{path}: from a run with {' '.join(found['launch'])}; use another DIR")
        results[variant].append(found)
        print(f"[{number}/{len(runs)}] {workdir.name}: finished", file=sys.stderr, flush=True)
    return {variant: found for variant, found in results.items() if found}


def columns(result: Mapping) -> dict[str, float]:
    """The numbers of one run that the table shows; metrics are means over the sets."""
    sets = result["metrics"].values()
    shown = {metric: float(np.mean([means[metric] for means in sets])) for metric in RANKED}
    gain = result["classifier"].get("gain")
    shown["classifier gain"] = np.nan if gain is None else gain
    steered = result["steering"].items()
    return shown | {f"steering, {name}": effect.get("change", np.nan) for name, effect in steered}


def report(results: Mapping[str, Sequence[Mapping]]) -> str:
    """One Markdown table: a row per variant."""
    values = {k: [columns(result) for result in found] for k, found in results.items()}
    header = list(next(iter(values.values()))[0])
    rows = []
    for variant, found in values.items():
        cells = []
        for column in header:
            own, full = (
                np.array([each[column] for each in x]) for x in (found, values.get(FULL, found))
            )
            spreads = [x.std(ddof=1) if len(x) > 1 else np.nan for x in (own, full)]
            cell = f"{own.mean():.3f}" + (f" ± {spreads[0]:.3f}" if len(own) > 1 else "")
            clear = abs(own.mean() - full.mean()) > CLEAR * np.hypot(*spreads) / np.sqrt(2.0)
            cells.append(f"**{cell}**" if clear else cell)
        rows.append([variant, str(len(found)), *cells])
    return markdown_table(["variant", "seeds", *header], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of all runs")
    parser.add_argument("--config", default="configs/all.py")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0")
    parser.add_argument("--variants", help=f"comma-separated; default: {','.join(VARIANTS)}")
    parser.add_argument("--score", type=pathlib.Path, help="only score the run in this workdir")
    parser.add_argument("launch", nargs="*", help="arguments of launch.py, after --")
    add_data_flags(parser)
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel("WARNING")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(arguments.workdir.absolute() / "cache"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ablations.py: stopped"))
    try:
        if arguments.score:
            scores = score_run(arguments.score, arguments.data_dir, arguments.manual_dir)
            scores |= {"launch": arguments.launch, "environment": environment()}
            write_json(arguments.score / RESULTS, scores)
            return
        results = run_all(arguments)
    except UserError as error:
        sys.exit(f"ablations.py: {error}")
    if results:
        print(json.dumps(results, indent=1), report(results), sep="\n\n")


if __name__ == "__main__":
    main()
