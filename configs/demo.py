"""The demonstration: `make demo` renders scenes, trains for a few minutes on two cores, and scores.

    python launch.py --config=configs/demo.py --workdir=runs/demo

4,000 steps, about ten a second on two free cores. docs/results.md has what it reaches.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The tiny model on 800 rendered scenes of 160 x 128 pixels."""
    config = base.get_config()
    config.data.name = "entity_scenes/demo"
    config.data.update(view=160, crop=64, crops=2)
    config.model.update(width=28, patch=4, tokens=64, deep_tokens=96, token_blocks=2)
    config.loss.update(classification=2.0)
    config.optimizer.learning_rate = 2e-3
    config.optimizer.steps = 4000
    config.log.pictures_every = 500
    config.evaluation.every = 4000
    return variants.vary(config, variant)
