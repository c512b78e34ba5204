"""The demonstration: `make demo` renders scenes, trains for a few minutes on two cores, and scores.

    python launch.py --config=configs/demo.py --workdir=runs/demo

4,000 steps, about ten a second on two free cores. docs/results.md has what it reaches.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The tiny model on 800 rendered scenes of 160 x 128 pixels."""
    config = base.get_config()
    config.data.name = "entity_scenes/demo"
    config.data.update(view=160, crop=64, crops=1, batch_size=8)
    config.model.update(width=12, patch=4, tokens=32, deep_tokens=48, token_blocks=1, dimension=32)
    config.optimizer.update(learning_rate=3e-3, steps=1600, warmup=50, clip=100.0, ema=0.99)
    config.log.pictures_every = 500
    config.evaluation.every = 0
    return variants.vary(config, variant)
