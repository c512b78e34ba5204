"""Scores weights on the validation pairs of the real sets, beside other methods.

    python benchmarks/weights.py --data_dir=DIR --manual_dir=DIR [--workdir=runs/all]

Scores the released weights, or a run's newest checkpoint, on RoadScene, TNO and MSRS in grey, and
ranks them among the methods of benchmarks/baselines.json, which were measured on the same pairs
with the same definitions. Prints JSON, and writes the tables and a sheet of the ten hardest pairs
to --out. Two guards show whether scores were bought with artefacts: pixels clipped to 0 or 255, and
noise in patches where both sources are flat.
"""

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping

import cv2
import numpy as np
from evidence import (
    RANKED,
    SETS,
    UserError,
    add_data_flags,
    held_out,
    markdown_table,
    mean_interval,
    write_json,
)
from tqdm import tqdm

from egmt_jax import metrics
from egmt_jax.inference.drawing import contact_sheet
from egmt_jax.inference.fuser import load_fuser
from egmt_jax.io.images import to_uint8, with_chroma, write_atomically, write_png
from egmt_jax.weights import RELEASED

SHOWN = (*RANKED, "SSIM_legacy")
NOT_LEARNED = ("Average", "GFF", "LP", "Max", "TwoScale")
UNRANKED = ("Max",)  # copying the brighter pixel wins MI by construction
PARTS = {"day": "D", "night": "N"}  # last letter of the ids of MSRS
PATCH, FLAT = 16, 4.0
HARDEST = 10


def clipped(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    """Share of pixels at 0 or 255, minus that of the source that has more of them."""
    shares = [((x == 0) | (x == 255)).mean() for x in (fused, visible, infrared)]
    return float(shares[0] - max(shares[1:]))


def flat_noise(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Noise of the fused image and of the noisier source, summed over flat patches.

    A patch of 16 x 16 pixels is flat where both sources deviate by less than 4 grey levels; its
    noise is the mean magnitude of the difference of Laplacians (Immerkaer, "Fast noise variance
    estimation", CVIU 64(2), 1996), which ignores ramps and straight edges.

    Returns:
      float64 [2]; zeros where no patch is flat.
    """
    kernel = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0
    rows, columns = (side // PATCH for side in fused.shape)

    def patches(image):
        image = image[: rows * PATCH, : columns * PATCH].astype(np.float32)
        image = image.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2)
        return image.reshape(rows * columns, -1)

    flat = (patches(visible).std(axis=1) < FLAT) & (patches(infrared).std(axis=1) < FLAT)
    noise = [
        patches(np.abs(cv2.filter2D(image.astype(np.float32), -1, kernel))).mean(axis=1)[flat]
        for image in (fused, visible, infrared)
    ]
    return np.array([noise[0].sum(), np.maximum(noise[1], noise[2]).sum()], np.float64)


def summarise(rows: list[dict], others: Mapping[str, Mapping], guards: list[dict]) -> dict:
    """Means, intervals, ranks and guards of one set.

    Args:
      rows: metrics per pair, with `id`.
      others: method -> metric -> mean on the same pairs.
      guards: `clipped` and `noise` per pair.
    """
    intervals = {name: mean_interval([row[name] for row in rows]) for name in SHOWN}
    own = {name: mean for name, (mean, _, _) in intervals.items()}
    ranked = {k: v for k, v in others.items() if k not in UNRANKED} | {"EGMT": own}
    ranks = metrics.mean_ranks(ranked, RANKED)
    learned = [scores for name, scores in others.items() if name not in NOT_LEARNED]
    noise = np.sum([guard["noise"] for guard in guards], axis=0)
    result = {
        "pairs": len(rows),
        "means": own,
        "intervals": {name: bounds for name, (_, *bounds) in intervals.items()},
        "mean_rank": ranks["EGMT"],
        "next_best": min((rank, name) for name, rank in ranks.items() if name != "EGMT"),
        "above_median_of_learned": sum(
            own[name] > statistics.median(scores[name] for scores in learned) for name in RANKED
        ),
        "clipped_more": float(np.mean([guard["clipped"] for guard in guards])),
        "noise_ratio": float(noise[0] / noise[1]) if noise[1] else None,
    }
    for label, letter in PARTS.items():
        part = [row for row in rows if row["id"].endswith(letter)]
        if part:
            means = {name: float(np.mean([row[name] for row in part])) for name in SHOWN}
            result[label] = {"pairs": len(part), "means": means}
    return result


def to_markdown(results: Mapping[str, Mapping], baselines: Mapping[str, Mapping]) -> str:
    """A table per set: other methods, and the weights with interval, ranks and guards."""
    sections = []
    for name, result in results.items():
        scores = {**baselines[name], "**EGMT**": result["means"]}
        rows = [[label, *(f"{means[m]:.2f}" for m in SHOWN)] for label, means in scores.items()]
        bounds = (result["intervals"][metric] for metric in SHOWN)
        rows.append(["95 % interval", *(f"{low:.2f}-{high:.2f}" for low, high in bounds)])
        for part in filter(result.get, PARTS):
            values = (f"{result[part]['means'][metric]:.2f}" for metric in SHOWN)
            rows.append([f"{part}, {result[part]['pairs']} pairs", *values])
        rank, method = result["next_best"]
        noise = result["noise_ratio"]
        sections.append(
            f"### {name}, {result['pairs']} pairs\n\n"
            + markdown_table(["method", *SHOWN], rows)
            + f"\nMean rank over the nine metrics {result['mean_rank']:.2f}; next best {method} "
            f"{rank:.2f}. Above the median of the learned methods in "
            f"{result['above_median_of_learned']} of 9 metrics. Pixels clipped beyond the sources: "
            f"{100 * result['clipped_more']:+.2f} %. Noise in flat patches relative to the noisier "
            f"source: {'-' if noise is None else f'{noise:.2f}'}.\n"
        )
    return "\n".join(sections)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", help="of a training run; default: the released weights")
    parser.add_argument("--model", choices=RELEASED, default="base", help="which of them")
    add_data_flags(parser)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/weights"))
    arguments = parser.parse_args()

    baselines = json.loads(pathlib.Path(__file__).with_name("baselines.json").read_text())
    fuser = load_fuser(arguments.workdir, arguments.model)
    results, pictures = {}, []
    for name in arguments.sets:
        triples, guards, shown = [], [], []
        pairs = held_out(name, "validation", arguments.data_dir, arguments.manual_dir)
        for pair in tqdm(pairs, name, unit="pair"):
            fused = to_uint8(fuser(pair.visible, pair.infrared).luma)
            images = fused, pair.luma, pair.infrared[..., 0]
            triples.append((pair.id, *images))
            guards.append({"clipped": clipped(*images), "noise": flat_noise(*images)})
            shown.append((pair.visible, pair.infrared, with_chroma(fused, pair.visible)))
        rows = metrics.score_pairs(triples, progress=False)
        scores = (row["VIF"] + row["Qabf"] for row in rows)
        pictures += zip(scores, shown, strict=True)
        results[name] = summarise(rows, baselines[name], guards)
    pictures.sort(key=lambda picture: picture[0])
    sheet = contact_sheet([images for _, images in pictures[:HARDEST]])
    write_png(arguments.out / "hardest.png", sheet)
    write_atomically(arguments.out / "table.md", to_markdown(results, baselines).encode())
    write_json(arguments.out / "results.json", results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"weights.py: {error}")
