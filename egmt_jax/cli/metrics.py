"""`egmt metrics`: score folders of fused images against their sources."""

import argparse
import pathlib
import sys

from egmt_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `egmt metrics`."""
    for source in ("visible", "infrared"):
        parser.add_argument(
            f"--{source}",
            required=True,
            type=pathlib.Path,
            metavar="DIR",
            help=f"folder of {source} images",
        )
    parser.add_argument(
        "--fused",
        action="append",
        required=True,
        metavar="[NAME=]DIR",
        help="folder of fused images; give it several times, with names, to compare methods",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=pathlib.Path,
        metavar="TABLE.csv",
        help="per-image scores; beside it TABLE.md (means), TABLE.json (versions, conventions, "
        "hashes of all files) and TABLE.partial.csv, from which an interrupted run goes on and a "
        "later one takes what has not changed",
    )
    parser.add_argument(
        "--plot",
        type=pathlib.Path,
        metavar="FILE.png",
        help="box plot per method and metric, PNG or SVG (needs the extra [plot])",
    )
    parser.epilog = """\
Files are matched by stem; those of one stem must have the same size. Everything is measured on
8-bit grey values; colour files are converted to BT.601 luma. Prints a table of means whose arrows
point to better, with the best in bold, and the mean rank per method where there are several. The
docstrings of egmt_jax.metrics define every metric.

examples:
  egmt metrics --visible vi/ --infrared ir/ --fused fused/
  egmt metrics --visible vi/ --infrared ir/ --fused ours=fused/ --fused theirs=other/ -o table.csv
"""


def run(arguments: argparse.Namespace) -> int:
    """Scores, prints the table of means, and writes the files asked for.

    Returns:
      0.

    Raises:
      UserError: folders, files or outputs cannot be used; files that lack a partner, cannot be read
        or have another size are listed on standard error first, all of them.
    """
    fused = _named_folders(arguments.fused)
    out, plot = arguments.out, arguments.plot
    if out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: the table is a .csv file; change the suffix")

    from egmt_jax.compile_cache import keep_compiled
    from egmt_jax.io.images import check_writable, write_atomically
    from egmt_jax.metrics import folders, manifest, summary, to_markdown, write_csv, write_manifest
    from egmt_jax.metrics.plot import check_plot, write_plot

    journal = None if out is None else out.with_suffix(".partial.csv")
    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    if out is not None:
        for path in (out, out.with_suffix(".md"), out.with_suffix(".json"), journal):
            check_writable(path)
    checked, problems = folders.check_folders(fused, arguments.visible, arguments.infrared)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        raise UserError(f"{len(problems)} of the files cannot be scored (listed above); mend them")
    for warning in checked.warnings:
        print(f"warning: {warning}", file=sys.stderr)

    keep_compiled()
    rows = {method: folders.score_files(checked, method, journal) for method in checked.methods}
    table = to_markdown({method: summary(own) for method, own in rows.items()})
    print(table, end="")
    if out is not None:
        write_csv(out, _flat(rows))
        write_atomically(out.with_suffix(".md"), table.encode())
        scored = {
            role: {name: (group[name].path, group[name].sha256) for name in checked.ids}
            for role, group in checked.files.items()
        }
        write_manifest(out.with_suffix(".json"), manifest(scored))
    if plot is not None:
        write_plot(plot, rows)
    return 0


def _named_folders(words: list[str]) -> dict[str, pathlib.Path]:
    """`NAME=DIR` or `DIR`, which is called by its own name."""
    found: dict[str, pathlib.Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or pathlib.Path(word).is_dir():
            name, folder = pathlib.Path(word).resolve().name, word
        if not name or not folder:
            raise UserError(f"--fused {word}: write NAME=DIR, or DIR alone")
        if name in found:
            raise UserError(f"--fused {word}: two results are called {name}; write NAME=DIR")
        found[name] = pathlib.Path(folder)
    return found


def _flat(rows: dict[str, list[dict]]) -> list[dict]:
    """Rows of all methods, with a column for the method where there are several."""
    if len(rows) == 1:
        return next(iter(rows.values()))
    return [
        {"id": row["id"], "method": method, **row} for method, own in rows.items() for row in own
    ]
