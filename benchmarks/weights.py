"""How good weights are on the validation pairs of the real sets, beside other methods.

    python benchmarks/weights.py --data_dir=DIR --manual_dir=DIR [--workdir=runs/all]

Scores the shipped weights, or a run's newest checkpoint, on the validation splits of RoadScene, TNO
and MSRS in grey, and ranks them among the methods of benchmarks/baselines.json, which were
measured on the same pairs with the same definitions. Prints JSON, and writes the tables and a sheet
of the ten hardest pairs to --out. The guards tell whether scores were bought with what eyes mind:
pixels clipped to 0 or 255, and noise in patches where both sources are flat.
"""

import argparse
import json
import pathlib
import statistics

import cv2
import numpy as np
from tqdm import tqdm

from egmt_jax import metrics
from egmt_jax.data import datasets, pipeline
from egmt_jax.inference.fuser import load_fuser
from egmt_jax.inference.sheets import contact_sheet
from egmt_jax.io.images import to_uint8, with_chroma, write_atomically, write_png

SETS = {"roadscene": "roadscene", "tno": "tno", "msrs": "msrs/full"}
RANKED = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
SHOWN = (*RANKED, "SSIM_legacy")
NOT_LEARNED = ("Average", "GFF", "LP", "Max", "TwoScale")
OUT_OF_COMPETITION = ("Max",)  # copying the brighter pixel wins MI by construction
PATCH, FLAT = 16, 4.0
HARDEST = 10


def clipped(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    """Share of pixels at 0 or 255 beyond that of the source that has more of them."""
    shares = [((x == 0) | (x == 255)).mean() for x in (fused, visible, infrared)]
    return float(shares[0] - max(shares[1:]))


def flat_noise(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Noise of the fused picture and of the noisier source, summed over flat patches.

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


def mean_ranks(means: dict[str, dict[str, float]]) -> dict[str, float]:
    """Mean over the nine metrics of each method's rank, 1 the best; equal values share the better.

    Args:
      means: method -> metric -> mean over a set.
    """
    return {
        name: float(
            np.mean(
                [1 + sum(other[m] > own[m] for other in means.values()) for m in RANKED],
            )
        )
        for name, own in means.items()
    }


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean by 2,000 bootstrap samples of the pairs."""
    draws = np.random.default_rng(seed).choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def judge(rows: list[dict], others: dict[str, dict[str, float]], guards: list[dict]) -> dict:
    """Means, ranks, intervals and guards of one set.

    Args:
      rows: of metrics per pair, with `id`.
      others: method -> metric -> mean on the same pairs.
      guards: `clipped` and `noise` per pair, in the order of the rows.
    """

    def means(rows):
        return {metric: float(np.mean([row[metric] for row in rows])) for metric in SHOWN}

    own = means(rows)
    competitors = {k: v for k, v in others.items() if k not in OUT_OF_COMPETITION}
    ranks = mean_ranks(competitors | {"EGMT": own})
    learned = [scores for name, scores in others.items() if name not in NOT_LEARNED]
    noise = np.sum([guard["noise"] for guard in guards], axis=0)
    result = {
        "pairs": len(rows),
        "means": own,
        "intervals": {m: interval(np.array([row[m] for row in rows])) for m in SHOWN},
        "mean_rank": ranks["EGMT"],
        "next_best": min((rank, name) for name, rank in ranks.items() if name != "EGMT"),
        "above_median_of_learned": sum(
            own[m] > statistics.median(scores[m] for scores in learned) for m in RANKED
        ),
        "clipped_more": float(np.mean([guard["clipped"] for guard in guards])),
        "noise_ratio": float(noise[0] / noise[1]) if noise[1] else None,
    }
    for label, letter in (("day", "D"), ("night", "N")):  # as MSRS names its frames
        part = [row for row in rows if row["id"].endswith(letter)]
        if part:
            result[label] = {"pairs": len(part), "means": means(part)}
    return result


def to_markdown(results: dict[str, dict], baselines: dict) -> str:
    """A table per set: other methods, and the weights with interval, ranks and guards."""
    lines = []
    for name, result in results.items():
        lines += [f"### {name}, {result['pairs']} pairs", "", "| method | " + " | ".join(SHOWN)]
        lines[-1] += " |"
        lines.append("|---" * (len(SHOWN) + 1) + "|")

        def add(label, scores, lines=lines):
            lines.append(f"| {label} | " + " | ".join(f"{scores[m]:.2f}" for m in SHOWN) + " |")

        for method, scores in baselines[name].items():
            add(method, scores)
        add("**EGMT**", result["means"])
        bounds = [result["intervals"][metric] for metric in SHOWN]
        lines.append("| 95 % interval | " + " | ".join(f"{a:.2f}-{b:.2f}" for a, b in bounds))
        lines[-1] += " |"
        for part in ("day", "night"):
            if part in result:
                add(f"{part}, {result[part]['pairs']} pairs", result[part]["means"])
        rank, method = result["next_best"]
        noise = result["noise_ratio"]
        lines += [
            "",
            f"Mean rank over the nine metrics {result['mean_rank']:.2f}; next best {method} "
            f"{rank:.2f}. Above the median of the learned methods on "
            f"{result['above_median_of_learned']} of 9. Pixels clipped beyond the sources "
            f"{100 * result['clipped_more']:+.2f} %; noise in flat patches "
            + ("-" if noise is None else f"{noise:.2f}")
            + " times the noisier source's.",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Scores, prints JSON and writes the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", help="of a training run; default: the shipped weights")
    parser.add_argument("--data_dir", help="where prepared data sets live; default: TFDS's")
    parser.add_argument("--manual_dir", help="folder with the files of the sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/weights"))
    arguments = parser.parse_args()

    baselines = json.loads(pathlib.Path(__file__).with_name("baselines.json").read_text())
    fuser = load_fuser(arguments.workdir)
    results, pictures = {}, []
    for name in arguments.sets:
        data_set = datasets.prepare(SETS[name], arguments.data_dir, arguments.manual_dir)
        records = datasets.source(data_set, "validation")
        triples, guards = [], []
        for row in tqdm(range(len(records)), name, unit="pair"):
            pair = pipeline.to_pair(records[row])
            fused = to_uint8(fuser(pair.luma, pair.infrared).fused)
            images = fused, pair.luma, pair.infrared[..., 0]
            triples.append((pair.id, *images))
            guards.append({"clipped": clipped(*images), "noise": flat_noise(*images)})
            shown = (pair.visible, pair.infrared, with_chroma(fused, pair.visible))
            pictures.append([None, shown])
        rows = metrics.score_pairs(triples, progress=False)
        for picture, row in zip(pictures[-len(rows) :], rows, strict=True):
            picture[0] = row["VIF"] + row["Qabf"]
        results[name] = judge(rows, baselines[name], guards)
    pictures.sort(key=lambda picture: picture[0])
    write_png(
        arguments.out / "hardest.png", contact_sheet([shown for _, shown in pictures[:HARDEST]])
    )
    write_atomically(arguments.out / "table.md", to_markdown(results, baselines).encode())
    text = json.dumps(results, indent=2)
    write_atomically(arguments.out / "results.json", (text + "\n").encode())
    print(text)


if __name__ == "__main__":
    main()
