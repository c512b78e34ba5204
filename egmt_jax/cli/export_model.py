"""`egmt export-model`: the model as StableHLO, for programs that have jax but not this package."""

import argparse
import pathlib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "-o", "--out", type=pathlib.Path, required=True, metavar="DIR", help="new or empty folder"
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        metavar="WORKDIR",
        help="workdir of a training run, for its newest checkpoint; default: the released weights",
    )
    parser.epilog = """\
What is written runs on CPU, GPU (CUDA) and TPU, on pictures and batches of any size, where jax,
numpy and flatbuffers are installed and this package is not; DIR/README.txt tells how:

  egmt export-model -o model/
  cd model && python -c "from load import load; fuse, names = load()"
"""


def run(arguments: argparse.Namespace) -> int:
    """Exports.

    Returns:
      0.

    Raises:
      UserError: no checkpoint, or the folder holds something or cannot be written.
    """
    from egmt_jax.inference.export import check_folder, export_model
    from egmt_jax.inference.fuser import load_fuser

    check_folder(arguments.out)
    export_model(load_fuser(arguments.checkpoint), arguments.out)
    print(f"{arguments.out}: written; README.txt in it tells how to use it")
    return 0
