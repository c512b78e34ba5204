"""The subcommands of `egmt`, one module each.

A module has `add_arguments(parser)` and `run(arguments) -> exit code`. It imports nothing heavy at
its top, so that `egmt --help` and argument errors are fast.
"""

import argparse
import pathlib


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds --checkpoint, as for `egmt_jax.inference.fuser.load_fuser`."""
    text = "workdir of a training run, for its newest checkpoint; default: the released weights"
    parser.add_argument("--checkpoint", type=pathlib.Path, metavar="WORKDIR", help=text)
