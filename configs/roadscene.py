r"""RoadScene: 128 training pairs of roads, 22 for validation and 50 for testing.

    python launch.py --config=configs/roadscene.py --config.data.manual_dir=DIR \
        --workdir=runs/roadscene

Put `cropinfrared/` and `crop_LR_visible/` of https://github.com/hanna-xu/RoadScene into
DIR/roadscene/, or `ir/` and `vi/` with equal file names; tfds_builders/roadscene/README.md lists
splits and counts. The first run checks and packs the pairs. Without manual_dir TFDS's own folder
is used, which the error names.

On two CPU cores a step takes about a second, all 4000 of them 70 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on RoadScene."""
    config = base.get_config()
    config.data.name = "roadscene"
    config.optimizer.steps = 4000
    return variants.vary(config, variant)
