"""The subcommands of `egmt`, one module each.

A module has `add_arguments(parser)` and `run(arguments) -> exit code`. It imports nothing heavy at
its top, so that `egmt --help` and argument errors are fast.
"""

import argparse
import pathlib


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds --model and --checkpoint, the arguments of `egmt_jax.inference.fuser.load_fuser`."""
    group = parser.add_mutually_exclusive_group()
    text = "released weights: base, or the smaller and faster tiny (default: %(default)s)"
    group.add_argument("--model", choices=("base", "tiny"), default="base", help=text)
    text = "use the newest checkpoint of a training run instead"
    group.add_argument("--checkpoint", type=pathlib.Path, metavar="WORKDIR", help=text)
