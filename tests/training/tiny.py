"""A config of seconds: a model of a few thousand parameters on the tiny scenes."""

from configs import base
from egmt_jax.testing import TINY


def get_config():
    """Six steps; `data.data_dir` is the test's."""
    config = base.get_config()
    config.data.update(name="entity_scenes/tiny", crop=32)
    config.loss.information = 0.0  # most of what there is to compile
    config.model.update(TINY)
    config.optimizer.update(steps=6, warmup=2)
    config.checkpoint.every = 2
    config.log.update(every=2, pictures_every=3)
    config.evaluation.every = 0
    return config
