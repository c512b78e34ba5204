"""MSRS: 855 training pairs of streets by day and night, 361 for testing.

    python launch.py --config=configs/msrs.py --config.data.manual_dir=DIR --workdir=runs/msrs

Put `train/` and `test/` of https://github.com/Linfeng-Tang/MSRS into DIR/msrs/, or `ir/` and `vi/`
with equal file names; tfds_builders/msrs/README.md lists splits and counts. The first run checks
and packs the pairs. Without manual_dir TFDS's own folder is used, which the error
names.

On two CPU cores a step takes about a second, all 8000 of them two hours and a half.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on MSRS."""
    config = base.get_config()
    config.data.name = "msrs"
    return variants.vary(config, variant)
