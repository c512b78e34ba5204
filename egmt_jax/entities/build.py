"""Builds the packaged vocabulary and its MiniLM table from annotation files.

python -m egmt_jax.entities.build tno.jsonl roadscene.jsonl m3fd.jsonl msrs.jsonl --version 2
"""

import argparse
import collections
import hashlib
import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence

from egmt_jax.entities.annotations import read_captions
from egmt_jax.entities.features import build_table
from egmt_jax.entities.lexicon import load_lexicon
from egmt_jax.entities.vocabulary import Vocabulary
from egmt_jax.io.images import write_atomically

RULE = (
    "A name is kept if it is in the lexicon and in the `present` lists of at least 2 pairs. Counts "
    "are pairs whose `present` has the name. Ranks are mean positions in the `entities` lists, 0 "
    "first to 1 last, held-out pairs (`is_held_out`) left out; 0.6 for names in fewer than 3 lists."
)


def is_held_out(name: str, identity: str) -> bool:
    """Whether a pair of a data set ("msrs") is in the tenth that ranks are not fitted to."""
    digest = hashlib.sha256(f"{name}/{identity}".encode()).hexdigest()
    return int(digest, 16) % 10 == 0


def build_vocabulary(annotations: Mapping[str, Sequence[dict]], version: str) -> Vocabulary:
    """Builds the vocabulary by `RULE`, most frequent first, equal counts in alphabetical order.

    `annotations` has the records of each data set by name.
    """
    known = load_lexicon().synonyms
    counts: collections.Counter[str] = collections.Counter()
    positions: dict[str, list[float]] = collections.defaultdict(list)
    for name, records in annotations.items():
        for record in records:
            counts.update(set(record.get("present", ())))
            entities = () if is_held_out(name, record["id"]) else record.get("entities", ())
            for index, entity in enumerate(entities):
                positions[entity].append(index / max(1, len(entities) - 1))
    names = sorted(name for name, count in counts.items() if count >= 2 and name in known)
    names.sort(key=counts.__getitem__, reverse=True)
    ranks = (
        round(statistics.fmean(positions[name]), 3) if len(positions[name]) >= 3 else 0.6
        for name in names
    )
    return Vocabulary(tuple(names), tuple(counts[name] for name in names), tuple(ranks), version)


def vocabulary_json(vocabulary: Vocabulary, pairs: Mapping[str, int]) -> str:
    """The text of `vocabulary.json`; `pairs` counts the pairs with lists of each data set."""
    content = {"version": vocabulary.version, "rule": RULE, "pairs": dict(pairs)}
    head = "\n".join(f'  "{key}": {json.dumps(value)},' for key, value in content.items())
    columns = zip(vocabulary.names, vocabulary.counts, vocabulary.ranks, strict=True)
    entities = (dict(zip(("name", "count", "rank"), column, strict=True)) for column in columns)
    rows = ",\n".join(f"    {json.dumps(entity)}" for entity in entities)
    return f'{{\n{head}\n  "entities": [\n{rows}\n  ]\n}}\n'


def main() -> None:
    """Writes `vocabulary.json` beside this file, then its MiniLM table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotations", nargs="+", help="one .jsonl per data set, named after it")
    parser.add_argument("--version", required=True, help="new whenever the names change")
    arguments = parser.parse_args()
    annotations = {pathlib.Path(path).stem: read_captions(path) for path in arguments.annotations}
    vocabulary = build_vocabulary(annotations, arguments.version)
    pairs = {name: sum("present" in line for line in lines) for name, lines in annotations.items()}
    folder = pathlib.Path(__file__).parent
    write_atomically(folder / "vocabulary.json", vocabulary_json(vocabulary, pairs).encode())
    build_table(vocabulary, "minilm", folder / "minilm.npz")


if __name__ == "__main__":
    main()
