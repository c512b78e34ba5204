"""Builds the packaged vocabulary from captions and annotated lists, and its MiniLM table.

python -m egmt_jax.entities.build tno.jsonl roadscene.jsonl m3fd.jsonl msrs.jsonl --version 1
"""

import argparse
import collections
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence

from egmt_jax.entities.annotations import read_captions
from egmt_jax.entities.extraction import mentions
from egmt_jax.entities.features import build_table
from egmt_jax.entities.lexicon import load_lexicon
from egmt_jax.entities.vocabulary import Vocabulary, load_vocabulary
from egmt_jax.io.images import write_atomically

LEAST_PAIRS = 3
LEAST_LISTED = 1 / 3
RULE = (
    "A thing of the lexicon is kept if captions of at least 3 pairs name it and, where annotators "
    "listed the entities of those pairs, at least one list in three has it. Counts are pairs whose "
    "captions name the thing; ranks are mean places in the lists, 0 first to 1 last, 0.6 where "
    "fewer than 3 lists have it. Listed shares and ranks leave out the held-out tenth."
)


def is_held_out(name: str, identity: str) -> bool:
    """Whether a pair belongs to the tenth that building never looks at.

    Args:
      name: the data set's name, "msrs".
      identity: the pair's id within it.
    """
    digest = hashlib.sha256(f"{name}/{identity}".encode()).hexdigest()
    return int(digest, 16) % 10 == 0


def build_vocabulary(captions: Mapping[str, Sequence[dict]], version: str) -> Vocabulary:
    """Counts the things that captions name and keeps those that `RULE` keeps.

    Args:
      captions: per data set, records with `id`, `caption_visible`, `caption_infrared` and, where
        annotated, `entities`.
      version: of the result.

    Returns:
      The vocabulary, most frequent first, equal counts in alphabetical order.
    """
    lexicon = load_lexicon()
    counts: collections.Counter[str] = collections.Counter()
    candidates: collections.Counter[str] = collections.Counter()
    places = collections.defaultdict(list)
    for name, records in captions.items():
        for record in records:
            named = _named(record, lexicon)
            counts.update(named)
            listed = record.get("entities")
            if listed is None or is_held_out(name, record["id"]):
                continue
            candidates.update(named)
            for place, entity in enumerate(listed):
                places[entity].append(place / max(1, len(listed) - 1))
    names = sorted(
        (
            name
            for name in counts
            if counts[name] >= LEAST_PAIRS and len(places[name]) >= LEAST_LISTED * candidates[name]
        ),
        key=lambda name: (-counts[name], name),
    )
    return Vocabulary(
        names=tuple(names),
        synonyms={name: lexicon.synonyms[name] for name in names},
        counts=tuple(counts[name] for name in names),
        ranks=tuple(_rank(places[name]) for name in names),
        version=version,
    )


def _named(record: dict, lexicon) -> set[str]:
    return {
        entity
        for key in ("caption_visible", "caption_infrared")
        for entity, denied in mentions(record[key], lexicon)
        if not denied
    }


def _rank(places: Sequence[float]) -> float:
    return round(sum(places) / len(places), 3) if len(places) >= 3 else 0.6


def vocabulary_json(vocabulary: Vocabulary, pairs: Mapping[str, int]) -> str:
    """The text of `vocabulary.json`; `pairs` counts the pairs of each data set."""
    rows = ",\n".join(
        "    "
        + json.dumps(
            {"name": name, "count": count, "rank": rank, "synonyms": vocabulary.synonyms[name]}
        )
        for name, count, rank in zip(
            vocabulary.names, vocabulary.counts, vocabulary.ranks, strict=True
        )
    )
    return (
        "{\n"
        f'  "version": {json.dumps(vocabulary.version)},\n'
        f'  "rule": {json.dumps(RULE)},\n'
        f'  "pairs": {json.dumps(dict(pairs))},\n'
        f'  "entities": [\n{rows}\n  ]\n'
        "}\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Writes `vocabulary.json` beside this file, then the MiniLM table of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", nargs="+", help="one .jsonl per data set, named after it")
    parser.add_argument("--version", required=True, help="new whenever the names change")
    arguments = parser.parse_args(argv)
    captions = {pathlib.Path(path).stem: read_captions(path) for path in arguments.captions}
    vocabulary = build_vocabulary(captions, arguments.version)
    pairs = {name: len(records) for name, records in captions.items()}
    folder = pathlib.Path(__file__).parent
    write_atomically(folder / "vocabulary.json", vocabulary_json(vocabulary, pairs).encode("utf-8"))
    load_vocabulary.cache_clear()
    build_table(load_vocabulary(), "minilm", folder / "minilm.npz")


if __name__ == "__main__":
    main()
