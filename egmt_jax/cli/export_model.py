"""`egmt export-model`: the model as StableHLO, for programs with jax but without this package."""

import argparse
import pathlib

from egmt_jax.cli import add_model

EPILOG = """\
The export runs on CPU, GPU (CUDA) and TPU, on images and batches of any size, with jax, numpy and
flatbuffers and without this package; DIR/README.txt explains its use:

  egmt export-model -o model/
  cd model && python -c "from load import load; fuse, names = load()"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `egmt export-model`."""
    parser.epilog = EPILOG
    text = "new or empty folder"
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True, metavar="DIR", help=text)
    add_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exports, returns 0; raises UserError for a missing checkpoint or an unusable folder."""
    from egmt_jax.inference.export import export_model
    from egmt_jax.inference.fuser import load_fuser
    from egmt_jax.io.images import check_writable

    check_writable(arguments.out, folder=True)
    export_model(load_fuser(arguments.checkpoint, arguments.model), arguments.out)
    print(f"{arguments.out}: written; see README.txt in it")
    return 0
