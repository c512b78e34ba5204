"""`python -m egmt_jax` is the `egmt` command."""

import sys

from egmt_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
