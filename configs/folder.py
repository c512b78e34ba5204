"""Your own pairs, without a TFDS builder and with or without entities.

    python launch.py --config=configs/folder.py --config.data.root=DIR --workdir=runs/own

Put visible images into DIR/vi/ and infrared ones into DIR/ir/: registered, of equal size and with
equal file names, 8 bits per channel (PNG, JPEG, BMP, TIFF or WebP). All files are checked before
training; the error lists every problem. Sorted by name, the last 10 % are the test split, the 10 %
before them the validation split; --config.data.train_split=all trains on everything.

Entities are optional: DIR/annotations.jsonl with a line per pair, either

    {"id": "0001", "entities": ["person", "car"]}
    {"id": "0001", "caption_visible": "A man beside a car.", "caption_infrared": "A warm man."}

and optionally "present": everything visible in the pair, which the classifier then learns instead
of the entities.

`egmt annotate --visible DIR/vi --infrared DIR/ir --out DIR/annotations.jsonl` writes such a file.
Without it the model learns to fuse, but not to find entities or to be guided by them. Outlines of
some pairs help it to locate entities: for each entity of the line a list of boxes (left, top,
right, bottom) and polygons (x, y of each corner), all in thousandths of the image width:

    {"id": "0001", "entities": ["person"], "regions": {"person": [[510, 240, 540, 330]]}}

On two CPU cores a step takes about a second, all 4000 of them 70 minutes.
"""

from configs import base, variants


def get_config(variant: str = ""):
    """The base model on a folder."""
    config = base.get_config()
    config.data.name = "folder"
    config.optimizer.steps = 4000
    return variants.vary(config, variant)
