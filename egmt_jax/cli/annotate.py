"""`egmt annotate`: captions the pairs of two folders and lists their entities."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--visible", required=True, metavar="DIR", help="visible images")
    parser.add_argument(
        "--infrared", required=True, metavar="DIR", help="infrared images of the same names"
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT.jsonl",
        help="one line per pair; an interrupted run continues where it stopped",
    )
    parser.add_argument(
        "--captioner",
        default="Salesforce/blip2-opt-2.7b",
        metavar="MODEL",
        help="BLIP-2, hub id or local path (default: %(default)s)",
    )
    parser.add_argument(
        "--detector",
        default="google/flan-t5-large",
        metavar="MODEL",
        help="Flan-T5, hub id or local path (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="pairs per batch (default: 8)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Annotates; pairs that cannot be read are reported at the end.

    Raises:
      UserError: the folders, the models or the file of an earlier run are wrong.
    """
    from egmt_jax.entities.annotate import annotate_folders
    from egmt_jax.entities.torch_models import load_captioner, load_detector

    failed = annotate_folders(
        arguments.visible,
        arguments.infrared,
        arguments.out,
        lambda: (load_captioner(arguments.captioner), load_detector(arguments.detector)),
        models={"captioner": arguments.captioner, "detector": arguments.detector},
        batch_size=arguments.batch_size,
    )
    for reason in failed.values():
        print(f"egmt annotate: {reason}", file=sys.stderr)
    return 1 if failed else 0
