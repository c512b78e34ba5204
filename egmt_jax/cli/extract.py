"""`egmt extract`: adds entities to a file of captions, without a model."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    lines = "one JSON object per line with id, caption_visible and caption_infrared"
    parser.add_argument("--captions", required=True, metavar="IN.jsonl", help=lines)
    lines = "the same lines with `entities`, most salient first; replaces entities of the input"
    parser.add_argument("-o", "--out", required=True, metavar="OUT.jsonl", help=lines)


def run(arguments: argparse.Namespace) -> int:
    """Extracts and writes, returns 0; raises UserError that lists all wrong lines."""
    from egmt_jax.entities import extract, read_captions
    from egmt_jax.entities.annotations import to_lines
    from egmt_jax.io.images import write_atomically

    records = read_captions(arguments.captions)
    for record in records:
        record["entities"] = extract(record["caption_visible"], record["caption_infrared"])
    write_atomically(arguments.out, to_lines(records))
    named = sum(bool(record["entities"]) for record in records)
    print(f"{arguments.out}: {len(records)} pairs, {named} with entities")
    return 0
