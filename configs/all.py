"""Several sets at once, for weights of general use: rendered scenes and the real sets, by weight.

    python launch.py --config=configs/all.py --config.data.manual_dir=DIR --workdir=runs/all

Put the files of each set into its folder in DIR as the other configs say: DIR/roadscene, DIR/tno,
DIR/msrs; the first run renders `entity_scenes`. Leave out a missing set by a weight of 0. M3FD has
weight 0, so that its cameras stay unseen and can judge the weights; a weight includes it:

    --config.data.mixture.tno.weight=0 --config.data.mixture.m3fd.weight=1

Evaluation and export take one set: --mode=evaluate --config.data.name=tno.

On two CPU cores a step takes 1.0 s, all 1700 of them half an hour.
egmt_jax/weights/base/model_card.md describes how the released weights were trained. To fine-tune
them, add

    --config.start_from=base --config.optimizer.steps=700 --config.optimizer.learning_rate=5e-4
    --config.optimizer.warmup=50 --config.optimizer.ema=0.99
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on a mixture; weights are relative numbers of examples."""
    config = base.get_config()
    config.data.name = "roadscene"
    config.data.mixture = {
        # Its masks are exact; the real sets have coarse outlines.
        "entity_scenes": {"name": "entity_scenes/default", "weight": 1.0},
        "roadscene": {"name": "roadscene", "weight": 3.0},
        "tno": {"name": "tno", "weight": 0.5},
        "msrs": {"name": "msrs", "weight": 4.0},
        "m3fd": {"name": "m3fd/fusion", "weight": 0.0},
    }
    # Recognition needs many views; pictures are learned from few crops.
    config.data.update(batch_size=8, crops=1)
    # The norm of image gradients varies widely, and would scale those of recognition as well.
    config.optimizer.update(learning_rate=1.5e-3, steps=2400, warmup=100, clip=100.0, ema=0.995)
    return variants.vary(config, variant)
