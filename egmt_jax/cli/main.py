"""The `egmt` command: picks the subcommand and prints user errors as one line."""

import argparse
import sys
from collections.abc import Sequence

from egmt_jax import __version__
from egmt_jax.cli import annotate, app, export_model, extract, fuse, metrics
from egmt_jax.errors import UserError

COMMANDS = {
    "fuse": (
        fuse,
        "fuse a visible and an infrared image or video, or two folders or patterns of pairs",
    ),
    "metrics": (metrics, "score fused images against their sources, and compare methods"),
    "extract": (extract, "entities of captions, by the lexicon"),
    "annotate": (annotate, "caption a folder of pairs and find the entities, with Transformers"),
    "app": (app, "fuse images on a page in the browser"),
    "export-model": (export_model, "write the model as StableHLO that runs with jax alone"),
}
"""Module and summary by command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Args:
      argv: arguments without the program's name; default: of the process.

    Returns:
      The exit code: 0 success, 1 a user error or failed files, 130 interrupted. argparse itself
      exits with 2 on wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="egmt",
        description="Fuse infrared and visible images, guided by the things in them.",
        epilog="`egmt COMMAND --help` explains a command. launch.py trains, evaluates and exports "
        "by config.",
    )
    parser.add_argument("--version", action="version", version=f"egmt-jax {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,  # epilogs have examples in lines
        )
        module.add_arguments(subparser)
    arguments = parser.parse_args(argv)
    command = arguments.command
    try:
        return COMMANDS[command][0].run(arguments)
    except UserError as error:
        print(f"egmt {command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # such as of a path that cannot be accessed
        where = f"{error.filename}: " if error.filename else ""
        print(f"egmt {command}: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\negmt {command}: interrupted; finished outputs are kept", file=sys.stderr)
        return 130
