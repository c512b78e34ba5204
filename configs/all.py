"""Several sets at once, for weights of general use: rendered scenes and the real sets, by weight.

    python launch.py --config=configs/all.py --config.data.manual_dir=DIR --workdir=runs/all

Put the files of each set into its folder within DIR, as the other configs tell: DIR/roadscene,
DIR/tno, DIR/msrs and, for low-resolution copies, DIR/msrs128; `entity_scenes` is rendered by the
first run. A set that is not there is left out by a weight of 0, and M3FD, by default kept apart to
judge the weights on unseen cameras, comes in by another:

    --config.data.mixture.tno.weight=0 --config.data.mixture.m3fd.weight=1

Evaluation and export take one set: --mode=evaluate --config.data.name=tno.

On two CPU cores a step takes 0.3 s or more, all 8000 of them 41 minutes. How the released weights
came about is told by egmt_jax/weights/base/model_card.md; fine-tuning them is

    --config.start_from=released --config.optimizer.steps=700 --config.optimizer.learning_rate=5e-4
    --config.optimizer.warmup=50 --config.optimizer.ema=0.99
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on a mixture; weights are relative: how often a set is drawn."""
    config = base.get_config()
    config.data.name = "roadscene"
    config.data.mixture = {
        # Its masks are exact, those of the real sets are coarse outlines.
        "entity_scenes": {"name": "entity_scenes/default", "weight": 2.5},
        "roadscene": {"name": "roadscene", "weight": 3.0},
        "tno": {"name": "tno", "weight": 0.5},
        "msrs": {"name": "msrs/full", "weight": 1.0},
        # 128x96 pixels: for entities and tone, not for edges.
        "msrs_small": {"name": "msrs/small", "weight": 2.0, "whole": 1.0, "detail": 0.0},
        "m3fd": {"name": "m3fd/fusion", "weight": 0.0},
    }
    config.optimizer.steps = 8000
    config.optimizer.ema = 0.998
    return variants.vary(config, variant)
