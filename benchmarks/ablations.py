"""Trains and scores the full model and its variants, several seeds each; writes docs/ablations.md.

    python benchmarks/ablations.py --workdir=DIR --data_dir=DIR --manual_dir=DIR [--seeds=3]
        [--steps=1500] [--crop=96] [--variants=full,no_entities]
    python benchmarks/ablations.py --workdir=DIR --report    # the page alone, of what is finished

One run after the other (benchmarks/ablation_config.py, benchmarks/ablation_scores.py), each in a
process of its own, seed by seed, so that every variant has one soon. The same command resumes:
finished runs are left alone, an interrupted one goes on. Under the workdir: `runs/<run>`,
`logs/<run>.log`, `results/<run>.json` for a run of the name `<variant>-<seed>`. On two CPU cores a
run of 1,500 steps takes five to six minutes. The results behind docs/ablations.md lie in
benchmarks/ablation_results: copied to DIR/results they let --report write the page again. Runs of
today's losses cannot be compared with them; give these another DIR.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from ablation_report import write_report
from evidence import ROOT, UserError, read_json

from configs.variants import VARIANTS

FULL = "full"
FIXED = "steps", "crop"


def name_of(variant: str, seed: int) -> str:
    return f"{variant}-{seed}"


def chosen_variants(listed: str | None) -> list[str]:
    """The variants to run: those of a list, or all.

    Raises:
      UserError: an unknown one.
    """
    known = [FULL, *VARIANTS]
    if not listed:
        return known
    variants = list(dict.fromkeys(listed.split(",")))
    unknown = [variant for variant in variants if variant not in known]
    if unknown:
        raise UserError(f"--variants: no variant {unknown[0]!r}; known are {', '.join(known)}")
    return variants


def check_finished(results: pathlib.Path, settings: dict[str, int]) -> None:
    """Raises UserError if results of other settings lie in the folder: they cannot be compared."""
    for path in sorted(results.glob("*.json")):
        found = read_json(path)
        for field in FIXED:
            if found[field] != settings[field]:
                raise UserError(
                    f"{path}: of a run with --{field}={found[field]}, not {settings[field]}; give "
                    "that, or another --workdir"
                )


def start(command: list[str], log: pathlib.Path, cache: pathlib.Path) -> str | None:
    """Runs a command, its output appended to a log.

    Returns:
      None, or where it failed the last line it wrote.
    """
    environment = {"JAX_COMPILATION_CACHE_DIR": str(cache.absolute())} | os.environ
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()  # training saves before it ends
            process.wait()
            raise
    if status == 0:
        return None
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    return f"exit status {status}: {last.strip()}"


def run_one(variant: str, seed: int, arguments: argparse.Namespace) -> str | None:
    """Trains and scores one run and writes the page anew; returns what went wrong, if anything."""
    folder, name = arguments.workdir.absolute(), name_of(variant, seed)
    log, workdir = folder / "logs" / f"{name}.log", folder / "runs" / name
    log.parent.mkdir(parents=True, exist_ok=True)
    data = {"data_dir": arguments.data_dir, "manual_dir": arguments.manual_dir}
    data = {field: str(pathlib.Path(path).absolute()) for field, path in data.items() if path}
    config = "benchmarks/ablation_config.py" + ("" if variant == FULL else f":{variant}")
    train = [
        *(sys.executable, "launch.py", f"--config={config}", f"--workdir={workdir}"),
        f"--config.seed={seed}",
        f"--config.optimizer.steps={arguments.steps}",
        f"--config.data.crop={arguments.crop}",
        *(f"--config.data.{field}={path}" for field, path in data.items()),
    ]
    score = [
        *(sys.executable, "benchmarks/ablation_scores.py", f"--workdir={workdir}"),
        f"--out={folder / 'results' / f'{name}.json'}",
        *(f"--{field}={path}" for field, path in data.items()),
    ]
    report = [
        *(sys.executable, "benchmarks/ablations.py", f"--workdir={folder}", "--report"),
        f"--page={arguments.page.absolute()}",
    ]
    for command in (train, score):
        failure = start(command, log, folder / "compiled")
        if failure:
            return f"{failure} ({log})"
    failure = start(report, log, folder / "compiled")
    if failure:
        print(f"{name}: the page could not be written, {failure} ({log})", flush=True)
    return None


def run_all(arguments: argparse.Namespace) -> list[str]:
    """Every run that is not finished, with a line for each; returns the names of those that
    failed."""
    results = arguments.workdir / "results"
    check_finished(results, {field: getattr(arguments, field) for field in FIXED})
    variants = chosen_variants(arguments.variants)
    runs = [(variant, seed) for seed in range(arguments.seeds) for variant in variants]
    left = [run for run in runs if not (results / f"{name_of(*run)}.json").exists()]
    print(f"{len(runs)} runs, {len(runs) - len(left)} finished before", flush=True)
    begin, failed = time.monotonic(), []
    for number, (variant, seed) in enumerate(left, 1):
        name, started = name_of(variant, seed), time.monotonic()
        if any(before.rpartition("-")[0] == variant for before in failed):
            continue  # for the reason told with its first seed
        failure = run_one(variant, seed, arguments)
        now = time.monotonic()
        if failure:
            failed.append(name)
            print(f"[{number}/{len(left)}] {name}: not finished, {failure}", flush=True)
            continue
        remaining = (now - begin) / number * (len(left) - number) / 60
        print(
            f"[{number}/{len(left)}] {name}: {now - started:.0f} s, {remaining:.0f} min left",
            flush=True,
        )
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of all runs")
    parser.add_argument("--data_dir", help="prepared data sets; TFDS's default if not given")
    parser.add_argument("--manual_dir", help="files of the real sets, see configs/all.py")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--crop", type=int, default=96, help="side in pixels")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--variants", help="comma between them; all by default")
    parser.add_argument("--report", action="store_true", help="only write the page")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "ablations.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ablations.py: stopped; run again to resume"))
    try:
        if arguments.report:
            write_report(arguments.workdir / "results", arguments.page)
            return
        failed = run_all(arguments)
    except UserError as error:
        sys.exit(f"ablations.py: {error}")
    if failed:
        sys.exit(f"ablations.py: not finished: {', '.join(failed)}")


if __name__ == "__main__":
    main()
