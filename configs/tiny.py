"""The smaller and faster model of the released weights, on the mixture of `configs/all.py`.

    python launch.py --config=configs/tiny.py --config.data.manual_dir=DIR --workdir=runs/tiny

It needs a twelfth of the operations: 1.4 GFLOP for a pair of 640x480 pixels. See `configs/all.py`
for the data.
"""

from configs import all, variants


def get_config(variant: str = ""):
    """The mixture of `configs/all.py` and a tenth of its parameters."""
    config = all.get_config()
    config.model.update(width=12, patch=4, tokens=32, deep_tokens=48, token_blocks=1, dimension=32)
    return variants.vary(config, variant)
