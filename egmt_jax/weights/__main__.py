"""`python -m egmt_jax.weights`: packs a run as `load_pretrained` reads it."""

import argparse
import sys

from egmt_jax.errors import UserError
from egmt_jax.weights import save_packed

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m egmt_jax.weights",
        description="Packs the newest checkpoint of a training run, for egmt_jax.load_pretrained.",
    )
    parser.add_argument(
        "workdirs", nargs="+", metavar="workdir", help="of the run; the mean of several is packed"
    )
    parser.add_argument("--out", required=True, help="folder that gets weights and settings")
    arguments = parser.parse_args()
    try:
        save_packed(arguments.workdirs, arguments.out)
    except UserError as error:
        sys.exit(f"egmt_jax.weights: {error}")
