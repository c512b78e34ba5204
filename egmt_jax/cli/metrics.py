"""`egmt metrics`: score folders of fused images against their sources."""

import argparse
import functools
import json
import pathlib
import sys

from egmt_jax.errors import UserError

EPILOG = """\
Files match by stem and must have the same size. Metrics are computed on 8-bit grey values (of
colour files: BT.601 luma); the docstrings of egmt_jax.metrics define them. Prints a table of means.
With several methods, the best value is bold, the second best underlined, and the last column has
the mean rank over EN, SD, SF, AG, MI, SCD, VIF, Qabf and SSIM (ties share their mean rank).

examples:
  egmt metrics --visible vi/ --infrared ir/ --fused fused/
  egmt metrics --visible vi/ --infrared ir/ --fused ours=fused/ --fused theirs=other/ -o table.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `egmt metrics`."""
    parser.epilog = EPILOG
    add = functools.partial(parser.add_argument, type=pathlib.Path)
    add("--visible", required=True, metavar="DIR", help="folder of visible images")
    add("--infrared", required=True, metavar="DIR", help="folder of infrared images")
    text = "folder of fused images; give it several times, with names, to compare methods"
    add("--fused", action="append", required=True, type=str, metavar="[NAME=]DIR", help=text)
    text = "per-image scores; writes TABLE.md (means) and TABLE.json (provenance, hashes) too"
    add("-o", "--out", metavar="TABLE.csv", help=text)
    add("--plot", metavar="FILE.png", help="box plots, PNG or SVG (needs the extra [plot])")


def run(arguments: argparse.Namespace) -> int:
    """Scores, prints and writes tables, returns 0; raises UserError that lists all problems."""
    fused = _named_folders(arguments.fused)
    out, plot = arguments.out, arguments.plot
    if out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: the table is a .csv file; change the suffix")

    from egmt_jax.compile_cache import keep_compiled
    from egmt_jax.io.images import check_writable, write_atomically
    from egmt_jax.metrics import folders, manifest, summary, to_markdown, write_csv, write_plot
    from egmt_jax.metrics.plot import check_plot

    if plot is not None:
        check_plot(plot)
    for path in (out, out.with_suffix(".md"), out.with_suffix(".json")) if out else ():
        check_writable(path)
    files, warnings = folders.check_folders(fused, arguments.visible, arguments.infrared)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)

    keep_compiled()
    rows = {method: folders.score_files(files, method) for method in fused}
    table = to_markdown({method: summary(own) for method, own in rows.items()})
    print(table, end="")
    if out is not None:
        cells = [
            {"id": row["id"], "method": method, **row}
            for method, own in rows.items()
            for row in own
        ]
        write_csv(out, cells if len(rows) > 1 else next(iter(rows.values())))
        write_atomically(out.with_suffix(".md"), table.encode())
        scored = {
            role: {name: {"path": str(x.path), "sha256": x.sha256} for name, x in group.items()}
            for role, group in files.items()
        }
        content = json.dumps(manifest() | {"files": scored}, indent=2)
        write_atomically(out.with_suffix(".json"), f"{content}\n".encode())
    if plot is not None:
        write_plot(plot, rows)
    return 0


def _named_folders(words: list[str]) -> dict[str, pathlib.Path]:
    """Folders by name, from `NAME=DIR` or `DIR`, whose name is that of the folder."""
    found: dict[str, pathlib.Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or pathlib.Path(word).is_dir():
            name, folder = pathlib.Path(word).resolve().name, word
        if not name or not folder:
            raise UserError(f"--fused {word}: write NAME=DIR, or DIR alone")
        if name in (*found, "visible", "infrared"):
            raise UserError(f"--fused {word}: the name {name} is taken; write NAME=DIR")
        found[name] = pathlib.Path(folder)
    return found
