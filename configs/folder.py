"""Anybody's own pairs, without a builder and without labels.

    python launch.py --config=configs/folder.py --config.data.root=DIR --workdir=runs/own

Put visible pictures into DIR/vi/ and infrared ones into DIR/ir/: registered, of one size and equal
file names, 8 bits a channel (PNG, JPEG, BMP, TIFF or WebP). All are checked before training; what
is wrong is listed. In order of name the last tenth is the test split, the tenth before it
validates, and the rest trains; --config.data.train_split=all trains on everything.

Entities are optional: DIR/annotations.jsonl with a line per pair, either

    {"id": "0001", "entities": ["person", "car"]}
    {"id": "0001", "caption_visible": "A man beside a car.", "caption_infrared": "A warm man."}

`egmt annotate --visible DIR/vi --infrared DIR/ir --out DIR/annotations.jsonl` writes such a file.
Without it the model learns to fuse, but neither to name entities nor to be guided by them. Where
entities are in the picture is learned better from outlines of some pairs: a list for each entity of
the line, of boxes (left, top, right, bottom) and polygons (x, y of each corner), all in thousandths
of the picture's width:

    {"id": "0001", "entities": ["person"], "regions": {"person": [[510, 240, 540, 330]]}}

On two CPU cores a step takes 0.2 to 0.4 s (benchmarks/input_pipeline.py), all 4000 of them
15 to 25 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on a folder."""
    config = base.get_config()
    config.data.name = "folder"
    config.optimizer.steps = 4000
    return variants.vary(config, variant)
