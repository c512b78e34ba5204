"""A config for tests: a model of a few thousand parameters on tiny scenes."""

from configs import base
from egmt_jax.testing import TINY

TERMS = ("intensity", "gradient", "classification", "localisation")


def get_config():
    """Six steps; set `data.data_dir`."""
    config = base.get_config()
    config.data.update(name="entity_scenes/tiny", view=32, crop=16, crops=2, batch_size=8)
    config.loss.update({name: 0.0 for name in config.loss if name not in TERMS})
    config.model.update(TINY)
    config.optimizer.update(steps=6, warmup=2)
    config.checkpoint.every = 2
    config.log.update(every=2, pictures_every=0)
    config.evaluation.update(every=0, most=2)
    return config
