"""RoadScene, 171 training pairs and 50 for testing, fetched by hand (see tfds_builders/roadscene).

python launch.py --config=configs/roadscene.py --config.data.manual_dir=DIR --workdir=runs/roadscene
"""

from configs import base


def get_config():
    """The base model on RoadScene."""
    config = base.get_config()
    config.data.name = "roadscene"
    config.optimizer.steps = 4000
    return config
