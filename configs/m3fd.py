"""M3FD: its 300 fusion pairs, 70 % of which are training pairs.

    python launch.py --config=configs/m3fd.py --config.data.manual_dir=DIR --workdir=runs/m3fd

Put `M3FD_Fusion/` with `Ir/` and `Vis/` into DIR, from https://github.com/JinyuanLiu-CV/TarDAL, or
`ir/` and `vi/` into DIR/m3fd/; tfds_builders/m3fd/README.md lists splits and counts. The first run
checks and packs the pairs. --config.data.name=m3fd/detection trains on the 4200 pairs with boxes,
from `M3FD_Detection/`. Pairs without entities train fusion only; for entities of all pairs use
`egmt annotate`, then configs/folder.py. Without manual_dir TFDS's own folder is used, which the
error names.

On two CPU cores a step takes 0.2 to 0.4 s, all 4000 of them 15 to 25 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on M3FD."""
    config = base.get_config()
    config.data.name = "m3fd/fusion"
    config.optimizer.steps = 4000
    return variants.vary(config, variant)
