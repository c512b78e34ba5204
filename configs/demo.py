"""The demonstration: `make demo` renders scenes, trains for a few minutes on two cores, and scores.

    python launch.py --config=configs/demo.py --workdir=runs/demo

8.5 minutes of CPU time (December 2026), about five minutes on two free cores. Expected on the
200 test scenes: VIF .80 (average of the sources .60), Qabf .65 (.43), a normalised classifier gain
of .46 over 35 entities, and more contrast for a named entity in 84 % of the scenes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The tiny model on 800 rendered scenes of 160 x 128 pixels."""
    config = base.get_config()
    config.data.name = "entity_scenes/demo"
    config.data.crop = 96
    config.data.full_frame_probability = 0.6
    config.data.batch_size = 4
    config.model.width = 28
    config.model.patch = 4
    config.model.tokens = 64
    config.model.token_blocks = 1
    # The demo shows the effect of entities, so they get the contrast that base gives everything.
    config.guidance.update(boost=0.4, emphasis=4.0, sharpen=1.0, additive=0.0)
    config.loss.update(intensity=4.0, gradient=8.0, structure=1.0)
    config.loss.update(classification=2.0, localisation=0.3)
    config.loss.update(prominence=0.0, information=0.0, edges=0.0, complementarity=0.0)
    config.loss.update(mutual_information=0.0, contrast=0.0, exposure=0.0)
    config.optimizer.learning_rate = 2e-3
    config.optimizer.steps = 4000
    config.log.pictures_every = 500
    config.evaluation.every = 4000
    return variants.vary(config, variant)
