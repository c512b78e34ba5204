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
from egmt_jax.entities.vocabulary import Vocabulary, load_vocabulary
from egmt_jax.io.images import write_atomically

LEAST_PAIRS = 2
UNKNOWN_RANK = 0.6  # of names in fewer than 3 entity lists
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

    Args:
      annotations: per data set, records with `id` and, for annotated pairs, `entities` and
        `present`.
      version: of the result.
    """
    known = load_lexicon().synonyms
    counts: collections.Counter[str] = collections.Counter()
    positions = collections.defaultdict(list)
    for name, records in annotations.items():
        for record in records:
            counts.update(set(record.get("present", ())))
            entities = () if is_held_out(name, record["id"]) else record.get("entities", ())
            for index, entity in enumerate(entities):
                positions[entity].append(index / max(1, len(entities) - 1))
    ranks = {
        name: round(statistics.fmean(values), 3)
        for name, values in positions.items()
        if len(values) >= 3
    }
    names = [name for name in counts if counts[name] >= LEAST_PAIRS and name in known]
    names.sort(key=lambda name: (-counts[name], name))
    return Vocabulary(
        names=tuple(names),
        counts=tuple(counts[name] for name in names),
        ranks=tuple(ranks.get(name, UNKNOWN_RANK) for name in names),
        version=version,
    )


def vocabulary_json(vocabulary: Vocabulary, pairs: Mapping[str, int]) -> str:
    """The text of `vocabulary.json`; `pairs` counts the pairs with lists of each data set."""
    content = {"version": vocabulary.version, "rule": RULE, "pairs": dict(pairs)}
    head = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in content.items())
    columns = zip(vocabulary.names, vocabulary.counts, vocabulary.ranks, strict=True)
    entities = ",\n".join(
        "    " + json.dumps({"name": name, "count": count, "rank": rank})
        for name, count, rank in columns
    )
    return f'{{\n{head},\n  "entities": [\n{entities}\n  ]\n}}\n'


def main(argv: Sequence[str] | None = None) -> None:
    """Writes `vocabulary.json` beside this file, then its MiniLM table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotations", nargs="+", help="one .jsonl per data set, named after it")
    parser.add_argument("--version", required=True, help="new whenever the names change")
    arguments = parser.parse_args(argv)
    annotations = {pathlib.Path(path).stem: read_captions(path) for path in arguments.annotations}
    vocabulary = build_vocabulary(annotations, arguments.version)
    pairs = {
        name: sum("present" in record for record in records)
        for name, records in annotations.items()
    }
    folder = pathlib.Path(__file__).parent
    write_atomically(folder / "vocabulary.json", vocabulary_json(vocabulary, pairs).encode("utf-8"))
    load_vocabulary.cache_clear()
    build_table(load_vocabulary(), "minilm", folder / "minilm.npz")


if __name__ == "__main__":
    main()
