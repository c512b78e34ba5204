"""`python -m egmt_jax.weights`: packs a training run for `load_pretrained`."""

import argparse
import sys

from egmt_jax.errors import UserError
from egmt_jax.weights import save_packed

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m egmt_jax.weights", description=__doc__)
    parser.add_argument("workdir", help="workdir of the run; its newest checkpoint is packed")
    parser.add_argument("--out", required=True, help="output folder for weights and settings")
    arguments = parser.parse_args()
    try:
        save_packed(arguments.workdir, arguments.out)
    except UserError as error:
        sys.exit(f"egmt_jax.weights: {error}")
