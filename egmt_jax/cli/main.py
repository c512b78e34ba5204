"""The `egmt` command: picks the subcommand and prints user errors as one line."""

import argparse
import sys
from collections.abc import Sequence

from egmt_jax import __version__
from egmt_jax.cli import annotate, app, export_model, extract, fuse, metrics
from egmt_jax.errors import UserError

COMMANDS = {
    "fuse": (fuse, "fuse a visible and an infrared image or video, or folders of pairs"),
    "metrics": (metrics, "score fused images against their sources, and compare methods"),
    "extract": (extract, "entities of captions, by the lexicon"),
    "annotate": (annotate, "caption a folder of pairs and find the entities, with Transformers"),
    "app": (app, "fuse images on a page in the browser"),
    "export-model": (export_model, "write the model as StableHLO that runs with jax alone"),
}
DESCRIPTION = "Fuse infrared and visible images, guided by the things in them."
EPILOG = """`egmt COMMAND --help` explains a command. launch.py trains, evaluates and exports by
config."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand with arguments, default: those of the process.

    Returns the exit code: 0 success, 1 user error or failed files, 130 interrupted. Wrong usage
    raises SystemExit with 2.
    """
    parser = argparse.ArgumentParser("egmt", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"egmt-jax {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    as_written = argparse.RawDescriptionHelpFormatter  # epilogs have examples in lines
    for name, (module, summary) in COMMANDS.items():
        text = f"{summary[0].upper()}{summary[1:]}."
        module.add_arguments(
            subparsers.add_parser(name, help=summary, description=text, formatter_class=as_written)
        )
    arguments = parser.parse_args(argv)
    command = f"egmt {arguments.command}"
    try:
        return COMMANDS[arguments.command][0].run(arguments)
    except UserError as error:
        print(f"{command}: {error}", file=sys.stderr)
    except OSError as error:  # such as of a path that cannot be accessed
        where = f"{error.filename}: " if error.filename else ""
        print(f"{command}: {where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\n{command}: interrupted; finished outputs are kept", file=sys.stderr)
        return 130
    return 1
