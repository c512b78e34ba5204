"""M3FD: its 300 fusion pairs, or all 4200 detection pairs, with entities for every pair.

    python launch.py --config=configs/m3fd.py --config.data.manual_dir=DIR --workdir=runs/m3fd

Put `M3FD_Fusion/` with `Ir/` and `Vis/` into DIR, from https://github.com/JinyuanLiu-CV/TarDAL, or
`ir/` and `vi/` into DIR/m3fd/; a part of the set works too. The first run checks and packs the
pairs. Splits go by scene, see tfds_builders/m3fd/README.md. --config.data.name=m3fd/detection reads
`M3FD_Detection/`, whose boxes (`Annotation/`) become coarse masks. Entities come from the published
boxes, and from captions for 52 pairs. Where a border holds no infrared data, training sees a smooth
continuation, and scores leave it out. Without manual_dir TFDS's own folder is used, which the error
names.

On two CPU cores a step takes a second or more, all 4000 of them more than 70 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on M3FD."""
    config = base.get_config()
    config.data.name = "m3fd/fusion"
    config.optimizer.steps = 4000
    return variants.vary(config, variant)
