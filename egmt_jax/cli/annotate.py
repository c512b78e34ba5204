"""`egmt annotate`: captions the pairs of two folders and lists their entities."""

import argparse
import pathlib
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add = parser.add_argument
    names = "infrared images of the same names"
    add("--visible", type=pathlib.Path, required=True, metavar="DIR", help="visible images")
    add("--infrared", type=pathlib.Path, required=True, metavar="DIR", help=names)
    lines = "one line per pair; an interrupted run continues where it stopped"
    add("-o", "--out", type=pathlib.Path, required=True, metavar="OUT.jsonl", help=lines)
    source = "hub id or local path (default: %(default)s)"
    captioner, detector = "Salesforce/blip2-opt-2.7b", "google/flan-t5-large"
    add("--captioner", default=captioner, metavar="MODEL", help=f"BLIP-2, {source}")
    add("--detector", default=detector, metavar="MODEL", help=f"Flan-T5, {source}")
    add("--batch-size", type=int, default=8, metavar="N", help="pairs per batch (default: 8)")


def run(arguments: argparse.Namespace) -> int:
    """Annotates; returns 1 if pairs cannot be read, and raises UserError for other wrong inputs."""
    from egmt_jax.entities.annotate import annotate_folders
    from egmt_jax.entities.torch_models import load_captioner, load_detector

    captioner, detector = arguments.captioner, arguments.detector
    failed = annotate_folders(
        arguments.visible,
        arguments.infrared,
        arguments.out,
        {"captioner": captioner, "detector": detector},
        lambda: (load_captioner(captioner), load_detector(detector)),
        arguments.batch_size,
    )
    for reason in failed.values():
        print(f"egmt annotate: {reason}", file=sys.stderr)
    return 1 if failed else 0
