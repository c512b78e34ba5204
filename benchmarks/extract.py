"""Speed of the lexicon extractor against one regular expression of the same phrases.

    python benchmarks/extract.py [--captions captions.jsonl]

Prints JSON: captions per second of both on one core, medians over rounds that take turns. The
expression only finds phrases; the extractor also drops denied things and ranks the rest. Expect
more than 50,000 captions a second (promised: 10,000).
"""

import argparse
import json
import re
import statistics
import time

from egmt_jax.entities import extract, load_vocabulary, read_captions
from egmt_jax.entities.lexicon import load_lexicon

ROUNDS = 5


def made_up_pairs(count: int) -> list[tuple[str, str]]:
    names = load_vocabulary().names
    pairs = []
    for index in range(count):
        one, two, three, four, five = (names[(7 * index + 11 * k) % len(names)] for k in range(5))
        pairs.append(
            (
                f"A dark {one} stands at the left of a wide {two} in dull daylight, with several "
                f"orange lights, a {three} and a few {four}s far ahead under faint clouds.",
                f"The {five} near the {one} glows very bright, unseen in the visible image, and no "
                f"people are visible beside the faintly warm {three} at right.",
            )
        )
    return pairs


def phrase_expression() -> re.Pattern:
    phrases = [
        " ".join((first, *rest))
        for first, rests in load_lexicon().phrases.items()
        for rest, _ in rests
    ]
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")\b")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--captions", help="a caption file; made-up captions by default")
    arguments = parser.parse_args()
    if arguments.captions:
        records = read_captions(arguments.captions)
        pairs = [(record["caption_visible"], record["caption_infrared"]) for record in records]
    else:
        pairs = made_up_pairs(2000)
    expression = phrase_expression()

    def by_expression(visible: str, infrared: str) -> list[str]:
        return [*expression.findall(visible.lower()), *expression.findall(infrared.lower())]

    speeds = {"extract": [], "regular_expression": []}
    for _ in range(ROUNDS):
        for name, function in (("extract", extract), ("regular_expression", by_expression)):
            start = time.perf_counter()
            for visible, infrared in pairs:
                function(visible, infrared)
            speeds[name].append(2 * len(pairs) / (time.perf_counter() - start))
    medians = {name: round(statistics.median(values)) for name, values in speeds.items()}
    print(json.dumps({"captions": 2 * len(pairs), "captions_per_second": medians}))


if __name__ == "__main__":
    main()
