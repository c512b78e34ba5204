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
        help="per-image scores; also writes TABLE.md (means) and TABLE.json (versions, "
        "conventions, hashes of all files)",
    )
    parser.add_argument(
        "--plot",
        type=pathlib.Path,
        metavar="FILE.png",
        help="box plot per method and metric, PNG or SVG (needs the extra [plot])",
    )
    parser.epilog = """\
Files match by stem and must have the same size. Metrics are computed on 8-bit grey values; colour
files are converted to BT.601 luma. Prints a table of means; arrows point in the better direction.
With several methods, the best value is bold, the second best underlined, and the last column has
the mean rank over EN, SD, SF, AG, MI, SCD, VIF, Qabf and SSIM (ties share their mean rank). The
docstrings of egmt_jax.metrics define every metric.

examples:
  egmt metrics --visible vi/ --infrared ir/ --fused fused/
  egmt metrics --visible vi/ --infrared ir/ --fused ours=fused/ --fused theirs=other/ -o table.csv
"""


def run(arguments: argparse.Namespace) -> int:
    """Scores, prints the table of means, writes the requested files, and returns 0.

    Raises:
      UserError: folders, files or outputs cannot be used. All files without a partner, not readable
        or of a wrong size are listed on standard error first.
    """
    fused = _named_folders(arguments.fused)
    out, plot = arguments.out, arguments.plot
    if out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: the table is a .csv file; change the suffix")

    from egmt_jax.compile_cache import keep_compiled
    from egmt_jax.io.images import check_writable, write_atomically
    from egmt_jax.metrics import folders, manifest, summary, to_markdown, write_csv, write_manifest
    from egmt_jax.metrics.plot import check_plot, write_plot

    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    if out is not None:
        for path in (out, out.with_suffix(".md"), out.with_suffix(".json")):
            check_writable(path)
    files, warnings, problems = folders.check_folders(fused, arguments.visible, arguments.infrared)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        raise UserError(f"cannot score: fix the problems listed above ({len(problems)})")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)

    keep_compiled()
    rows = {method: folders.score_files(files, method) for method in fused}
    table = to_markdown({method: summary(own) for method, own in rows.items()})
    print(table, end="")
    if out is not None:
        write_csv(out, _flat(rows))
        write_atomically(out.with_suffix(".md"), table.encode())
        scored = {
            role: {name: (file.path, file.sha256) for name, file in group.items()}
            for role, group in files.items()
        }
        write_manifest(out.with_suffix(".json"), manifest(scored))
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
        if name in found:
            raise UserError(f"--fused {word}: two methods have the name {name}; write NAME=DIR")
        found[name] = pathlib.Path(folder)
    return found


def _flat(rows: dict[str, list[dict]]) -> list[dict]:
    """Rows of all methods, with a column `method` if there are several."""
    if len(rows) == 1:
        return next(iter(rows.values()))
    return [
        {"id": row["id"], "method": method, **row} for method, own in rows.items() for row in own
    ]
