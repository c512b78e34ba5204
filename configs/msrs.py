"""MSRS: 855 training pairs of streets by day and night, 361 for testing.

    python launch.py --config=configs/msrs.py --config.data.manual_dir=DIR --workdir=runs/msrs

Put `train/` and `test/` of https://github.com/Linfeng-Tang/MSRS into DIR/msrs/, or `ir/` and `vi/`
with equal file names; tfds_builders/msrs/README.md tells splits and counts. The first run checks
and packs the pairs. Without manual_dir the folder is TFDS's own, which the error names.

Copies squeezed to 128x128 make the low-resolution set msrs/small (DIR/msrs128/), too coarse to
learn edges from: --config.data.name=msrs/small --config.data.detail=0.

On two CPU cores a step takes 0.2 to 0.4 s (benchmarks/input_pipeline.py), all 8000 of them
half an hour to an hour.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on MSRS."""
    config = base.get_config()
    config.data.name = "msrs/full"
    return variants.vary(config, variant)
