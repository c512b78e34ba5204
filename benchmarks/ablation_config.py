"""The ablations' training: the tiny model on the mixture of configs/all.py, in some minutes.

    python launch.py --config=benchmarks/ablation_config.py:no_entities --workdir=DIR

benchmarks/ablations.py starts these runs. The variants are those of configs/variants.py.
"""

from configs import all as mixture
from configs import demo, variants


def get_config(variant: str = ""):
    """1,500 steps on crops of 96 pixels; the newest parameters are scored, nothing before."""
    config = mixture.get_config()
    tiny = demo.get_config()
    config.model.update(tiny.model)
    config.data.crop = tiny.data.crop
    config.optimizer.learning_rate = tiny.optimizer.learning_rate
    config.optimizer.steps = 1500
    config.checkpoint.keep = 1
    config.log.pictures_every = 0
    config.evaluation.every = 0
    return variants.vary(config, variant)
