"""`egmt extract`: adds entities to a file of captions, with no model."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--captions",
        required=True,
        metavar="IN.jsonl",
        help="one JSON object a line with id, caption_visible and caption_infrared",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT.jsonl",
        help="the same lines with `entities`, most salient first; entities they had are replaced",
    )


def run(arguments: argparse.Namespace) -> int:
    """Extracts and writes.

    Raises:
      UserError: the input is wrong, every wrong line named, or the output cannot be written.
    """
    from tqdm import tqdm

    from egmt_jax.entities import extract, read_captions
    from egmt_jax.entities.annotations import to_lines
    from egmt_jax.io.images import write_atomically

    records = read_captions(arguments.captions)
    for record in tqdm(records, unit="pair", desc="extract", disable=len(records) < 100_000):
        record["entities"] = extract(record["caption_visible"], record["caption_infrared"])
    write_atomically(arguments.out, to_lines(records))
    named = sum(bool(record["entities"]) for record in records)
    print(f"{arguments.out}: {len(records)} pairs, {named} with entities")
    return 0
