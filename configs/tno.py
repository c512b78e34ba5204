"""TNO: the few pairs outside the 25 common test pairs, to fine-tune a model or to try one.

    python launch.py --config=configs/tno.py --config.data.manual_dir=DIR --workdir=runs/tno

Put folders `ir/` and `vi/` with equal file names into DIR/tno/; the collection is published at
https://doi.org/10.6084/m9.figshare.1008029, and tfds_builders/tno/README.md lists its splits and
the names of the pairs. The first run checks and packs them. Without manual_dir TFDS's own folder
is used, which the error names.

On two CPU cores a step takes about a second, all 2000 of them 35 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on TNO; few steps, since a few dozen pairs are quickly overfit."""
    config = base.get_config()
    config.data.name = "tno"
    config.optimizer.steps = 2000
    return variants.vary(config, variant)
