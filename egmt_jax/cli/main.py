"""The `egmt` command: picks the subcommand and turns user errors into one line."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from egmt_jax import __version__
from egmt_jax.errors import UserError

COMMANDS = {
    "fuse": "fuse a visible and an infrared picture or video, or two folders or patterns of pairs",
    "metrics": "score fused pictures against their sources, and compare methods",
    "extract": "entities of captions, by the lexicon",
    "annotate": "caption a folder of pairs and find the entities, with vision-language models",
    "app": "fuse pictures on a page in the browser",
    "export-model": "write the model as StableHLO that runs with jax alone",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
      argv: arguments without the program's name; the process's own by default.

    Returns:
      The exit code: 0 all done, 1 a user error or failed files, 130 interrupted. argparse itself
      exits with 2 on wrong usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="egmt",
        description="Fuse infrared and visible images, guided by the things in them.",
        epilog="`egmt COMMAND --help` explains a command. launch.py trains, evaluates and exports "
        "by config.",
    )
    parser.add_argument("--version", action="version", version=f"egmt-jax {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            # Epilogs have examples, a line each.
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:  # only the chosen one is imported
            module = importlib.import_module(f"egmt_jax.cli.{name.replace('-', '_')}")
            module.add_arguments(subparser)
    arguments = parser.parse_args(argv)
    try:
        return module.run(arguments)
    except UserError as error:
        print(f"egmt {chosen}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # of a path that cannot even be looked at
        where = f"{error.filename}: " if error.filename else ""
        print(f"egmt {chosen}: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\negmt {chosen}: interrupted; what was finished is kept", file=sys.stderr)
        return 130
