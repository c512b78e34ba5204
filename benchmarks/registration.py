"""Measures how often `edge_shift` reports published and shifted pairs; prints JSON.

    python benchmarks/registration.py DIR [--shifted 150] [--step 1] [--seed 0]

DIR holds `<set>/vi` and `<set>/ir` with one file of equal stem per pair. Each published pair counts
as registered, though some are not. Then the infrared image of random pairs is shifted by 6 to 20
pixels in a random direction, and both images are cropped to their overlap.
"""

import argparse
import itertools
import json
import math
import pathlib
import time

import cv2
import numpy as np

from egmt_jax.io import images
from egmt_jax.io.pairs import PairFiles, find_pairs
from egmt_jax.io.registration import edge_shift

EDGES = (6, 8, 12, 16, 20)


def shifted(first: np.ndarray, second: np.ndarray, down: int, right: int):
    """Moves `second` against `first` and crops both to the overlap."""
    for axis, shift in enumerate((down, right)):
        keep = range(max(0, shift), first.shape[axis] + min(0, shift))
        first = first.take(keep, axis)
        second = second.take(range(keep.start - shift, keep.stop - shift), axis)
    return first, second


def read(files: PairFiles) -> list[np.ndarray]:
    """Luma of the visible and of the infrared image, uint8 [H, W]."""
    return [images.to_grey(images.read_image(path)) for path in (files.visible, files.infrared)]


def measure(folder: pathlib.Path, count: int, step: int = 1, seed: int = 0) -> dict:
    """Shares of pairs reported: every `step`-th published pair, and `count` shifted pairs."""
    pairs, _ = find_pairs(folder / "vi", folder / "ir")
    rng = np.random.default_rng(seed)
    published = pairs[::step]
    reported = [files.id for files in published if edge_shift(*read(files)) is not None]
    orders = [rng.permutation(len(pairs)) for _ in range(-(-count // len(pairs)))]
    sizes, found, errors, seconds = [], [], [], []
    for index in np.concatenate(orders)[:count]:
        size = rng.uniform(EDGES[0], EDGES[-1])
        angle = rng.uniform(0.0, 2.0 * math.pi)
        down, right = round(size * math.sin(angle)), round(size * math.cos(angle))
        pair = shifted(*read(pairs[index]), down, right)
        start = time.process_time()
        estimate = edge_shift(*pair)
        seconds.append(time.process_time() - start)
        sizes.append(size)
        found.append(estimate is not None)
        errors += [] if estimate is None else [math.dist(estimate, (down, right))]
    sizes, found = np.array(sizes), np.array(found)
    bins = {f"{a}-{b}": (a <= sizes) & (sizes < b) for a, b in itertools.pairwise(EDGES)}
    return {
        "published": len(published),
        "published_reported": len(reported) / len(published),
        "reported_ids": reported,
        "shifted": count,
        "shifted_reported": float(np.mean(found)),
        "by_pixels": {name: float(np.mean(found[own])) for name, own in bins.items() if own.any()},
        "median_error_pixels": float(np.median(errors or [math.nan])),
        "median_cpu_ms": 1e3 * float(np.median(seconds)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--shifted", type=int, default=150, help="pairs to shift per set")
    parser.add_argument("--step", type=int, default=1, help="test every N-th published pair")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    sets = sorted(path.parent for path in given.folder.glob("*/ir"))
    result = {path.name: measure(path, given.shifted, given.step, given.seed) for path in sets}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
