"""docs/ablations.md from the results of benchmarks/ablations.py, whatever of them is there."""

import pathlib

import numpy as np
from ablation_scores import METRICS, SETS
from evidence import (
    BEGIN,
    END,
    RESAMPLES,
    UserError,
    bootstrap,
    markdown_table,
    read_json,
    write_page,
)

FULL = "full"
SAME = "no measurable difference"
CLEAR = 2.0
"""Spreads between seeds from which a difference is listed at the top of the page."""

DIGITS = {"EN": 3, "SD": 2, "SF": 2, "AG": 3, "MI": 3, "SCD": 3, "VIF": 3, "Qabf": 3, "SSIM": 3}
Runs = dict[str, dict[int, dict]]

HEAD = """# Ablations

What each part of the model is worth, at a small scale: {runs} runs of the tiny model, {steps} steps
on crops of {crop} pixels of the mixture of `configs/all.py`. The variants are those of
`configs/variants.py`. They are scored on validation pairs, which no run trains on and none of which
is a standard test pair: {pairs}.

    python benchmarks/ablations.py --workdir=DIR --data_dir=DIR --manual_dir=DIR

- A score is the mean over pairs, then over seeds; the spread is the standard deviation between
  the seeds.
- A difference is variant minus full, per pair with the seeds averaged first. Its 95 % interval
  comes from 2,000 resamples of the pairs; where it holds 0 the page says *{same}*. That interval
  knows nothing of chance in training: the ratio after it is the difference in units of the spread
  between seeds (of both sides, pooled), and of few seeds a ratio below 2 says little. Of 27
  intervals of one comparison one or two leave 0 out by chance; those of 5 pairs are rough.
- given: the pair's own entities guide; self: the classifier's probabilities; none: no guidance;
  shuffled: another pair's entities; sentence: the pair's captions as one feature.

## Reading

{begin}
{end}
"""


def load(results: pathlib.Path) -> Runs:
    """The finished runs: variant -> seed -> scores; the full model first."""
    runs: Runs = {}
    paths = sorted(results.glob("*.json"), key=lambda path: (path.stem[:5] != "full-", path.stem))
    for path in paths:
        variant, _, seed = path.stem.rpartition("-")
        runs.setdefault(variant, {})[int(seed)] = read_json(path)
    return runs


def spread(values: np.ndarray) -> float:
    """Standard deviation between seeds; nan for one seed."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def compare(
    own: np.ndarray,
    full: np.ndarray,
) -> tuple[str, int]:
    """A difference to the full model.

    Args:
      own: float [images, seeds], of a variant.
      full: float [images, seeds], of the full model on the same images.

    Returns:
      The difference with interval and ratio, or `SAME`; and its sign, 0 unless it is clear: an
      interval without 0, and at least `CLEAR` spreads where the spread is known.
    """
    means = own.mean(axis=1) - full.mean(axis=1)
    return _describe(means.mean(), bootstrap(means), own.mean(axis=0), full.mean(axis=0))


def _describe(difference, interval, own_seeds, full_seeds) -> tuple[str, int]:
    low, high = interval
    if low <= 0.0 <= high:
        return SAME, 0
    text, sign = f"{difference:+.2g} [{low:+.2g}, {high:+.2g}]", int(np.sign(difference))
    pooled = float(np.sqrt((spread(own_seeds) ** 2 + spread(full_seeds) ** 2) / 2))
    if not pooled > 0:  # nan of one seed
        return text, sign
    ratio = abs(difference) / pooled
    return f"{text}, {ratio:.1f} spreads", sign if ratio >= CLEAR else 0


def picture_scores(runs: Runs, variant: str, way: str, name: str, metric: str) -> np.ndarray:
    """float [images, seeds]."""
    per_seed = [run["pictures"][way][name] for _, run in sorted(runs[variant].items())]
    return np.asarray([[scores[key][metric] for scores in per_seed] for key in sorted(per_seed[0])])


def ways_of(runs: Runs, variant: str) -> list[str]:
    return list(next(iter(runs[variant].values()))["pictures"])


def comparisons(runs: Runs) -> list[tuple[str, str, str]]:
    """What is compared to the full model: variant, its way of guidance, and that of the full."""
    if FULL not in runs:
        return []
    found = [(FULL, way, "given") for way in ("self", "none")]
    for variant in runs:
        way = ways_of(runs, variant)[0]
        if variant == FULL:
            continue
        if way == "none":
            found += [(variant, way, against) for against in ("given", "self", "none")]
        else:
            found.append((variant, way, way if way in ways_of(runs, FULL) else "given"))
    return found


def pictures_page(runs: Runs) -> str:
    parts = ["## Pictures\n"]
    for name in SETS:
        means, seeds = [], []
        for variant in runs:
            for way in ways_of(runs, variant):
                label, row = f"{variant}, {way}", []
                found = {
                    metric: picture_scores(runs, variant, way, name, metric).mean(axis=0)
                    for metric in METRICS
                }
                for metric, values in found.items():
                    text = f"{values.mean():.{DIGITS[metric]}f}"
                    if len(values) > 1:
                        text += f" ± {spread(values):.{DIGITS[metric]}f}"
                    row.append(text)
                means.append([label, *row])
                for place, seed in enumerate(sorted(runs[variant])):
                    row = [f"{found[metric][place]:.{DIGITS[metric]}f}" for metric in METRICS]
                    seeds.append([f"{label}, seed {seed}", *row])
        parts.append(f"### {name}, mean over seeds ± spread\n")
        parts.append(markdown_table(["variant, guidance", *METRICS], means) + "\n")
        parts.append(f"<details><summary>{name}, each seed</summary>\n")
        parts.append(markdown_table(["variant, guidance, seed", *METRICS], seeds) + "\n")
        parts.append("</details>\n")
    return "\n".join(parts)


def differences_page(runs: Runs) -> str:
    """A table of what is clear in every comparison, and each of them in full."""
    summary, tables = [], []
    for variant, way, against in comparisons(runs):
        title = f"{variant} ({way}) against {FULL} ({against})"
        clear = {name: {1: [], -1: []} for name in SETS}
        rows = []
        for metric in METRICS:
            row = [metric]
            for name in SETS:
                own = picture_scores(runs, variant, way, name, metric)
                full = picture_scores(runs, FULL, against, name, metric)
                text, sign = compare(own, full)
                row.append(text)
                if sign:
                    clear[name][sign].append(metric)
            rows.append(row)
        words = {1: "higher", -1: "lower"}
        cells = [
            "; ".join(
                f"{word}: {' '.join(found[sign])}" for sign, word in words.items() if found[sign]
            )
            for found in clear.values()
        ]
        summary.append([title, *(cell or "nothing" for cell in cells)])
        tables += [f"### {title}\n", markdown_table(["metric", *SETS], rows) + "\n"]
    return "\n".join(
        [
            "## Differences to the full model\n",
            "What is clear: intervals without 0, and where several seeds tell the spread, a",
            f"difference of at least {CLEAR:g} spreads. Of all nine metrics higher is better.\n",
            markdown_table(["comparison", *SETS], summary) + "\n",
            *tables,
        ]
    )


def precision(order: np.ndarray) -> np.ndarray:
    """Average precision of rows of labels, best rank first: bool [R, N] -> [R], nan without any."""
    positives = order.sum(axis=1)
    at_each = np.cumsum(order, axis=1) / np.arange(1, order.shape[1] + 1)
    with np.errstate(invalid="ignore"):
        return (at_each * order).sum(axis=1) / positives


def gains(run: dict, picks: np.ndarray) -> np.ndarray:
    """Normalised gain of a run over resampled pairs, int [R, N] -> float [R]."""
    rows = []
    for entity in run["classifier"]["entities"].values():
        labels = np.asarray(entity["labels"], bool)
        # Ties at their worst order, as in egmt_jax.metrics.classification.
        best_first = np.lexsort((labels, -np.asarray(entity["probabilities"])))
        rank = np.empty(len(labels), int)
        rank[best_first] = np.arange(len(labels))
        prevalence = labels[picks].mean(axis=1)
        found = precision(labels[best_first][np.sort(rank[picks], axis=1)])
        with np.errstate(invalid="ignore", divide="ignore"):  # all or none of a few resampled
            rows.append((found - prevalence) / (1.0 - prevalence))
    known = np.isfinite(rows)
    total, count = np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def classifier_page(runs: Runs) -> str:
    any_run = next(iter(next(iter(runs.values())).values()))["classifier"]
    count = len(next(iter(any_run["entities"].values()))["labels"])
    everything = np.arange(count)[None]
    picks = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    resampled, exact = {}, {}
    for variant, seeds in runs.items():
        resampled[variant] = np.mean([gains(run, picks) for run in seeds.values()], axis=0)
        exact[variant] = np.concatenate([gains(seeds[seed], everything) for seed in sorted(seeds)])
    rows = []
    for variant, values in exact.items():
        row = [variant, f"{values.mean():.3f}", " ".join(f"{value:.3f}" for value in values)]
        row.append(f"{spread(values):.3f}" if len(values) > 1 else "")
        if variant != FULL and FULL in runs:
            interval = np.nanpercentile(resampled[variant] - resampled[FULL], [2.5, 97.5])
            difference = values.mean() - exact[FULL].mean()
            row.append(_describe(difference, interval, values, exact[FULL])[0])
        else:
            row.append("")
        rows.append(row)
    header = ["variant", "gain", "each seed", "spread", "against full"]
    entities = sorted(
        any_run["entities"], key=lambda name: -any_run["entities"][name]["prevalence"]
    )
    by_entity = []
    for name in entities:
        row = [name, f"{any_run['entities'][name]['prevalence']:.3f}"]
        for seeds in runs.values():
            found = [run["classifier"]["entities"][name]["AP"] for run in seeds.values()]
            row.append(f"{np.mean(found):.3f}")
        by_entity.append(row)
    return "\n".join(
        [
            "## Entities\n",
            f"Classification of {count} pairs of msrs/small, split classification_validation,",
            f"128 x 96 pixels, over the {len(entities)} entities with 5 positives or more and a",
            "prevalence p below one half. Gain: the mean of (AP - p) / (1 - p), 0 for chance, 1",
            "for a perfect ranking. The variant without classification is not taught it.\n",
            markdown_table(header, rows) + "\n",
            "<details><summary>Average precision by entity, mean over seeds</summary>\n",
            markdown_table(["entity", "prevalence", *runs], by_entity) + "\n",
            "</details>\n",
        ]
    )


def steering_values(rows: list[dict]) -> dict[str, np.ndarray]:
    """By pair: change of contrast in grey levels, and 1 where it rose, 0.5 where it stayed."""
    changes = {row["id"]: 255.0 * (row["named"] - row["not_named"]) for row in rows}
    return {key: np.asarray([value, (np.sign(value) + 1) / 2]) for key, value in changes.items()}


def steering_table(runs: Runs, field: str) -> str:
    """Change of contrast and share of pairs in which it rises, per variant."""
    rows, full = [], None
    for variant, seeds in runs.items():
        found = [steering_values(seeds[seed][field]) for seed in sorted(seeds)]
        keys = sorted(found[0])
        per_pair = np.asarray([np.mean([values[key] for values in found], axis=0) for key in keys])
        low, high = bootstrap(per_pair[:, 0])
        low_share, high_share = bootstrap(per_pair[:, 1])
        each = [np.mean(list(values.values()), axis=0) for values in found]
        row = [
            variant,
            str(len(keys)),
            f"{per_pair[:, 0].mean():.2f} [{low:.2f}, {high:.2f}]",
            " ".join(f"{change:.2f}" for change, _ in each),
            f"{100 * per_pair[:, 1].mean():.0f} % [{100 * low_share:.0f}, {100 * high_share:.0f}]",
            " ".join(f"{100 * share:.0f}" for _, share in each),
        ]
        changes = np.asarray([[values[key][0] for values in found] for key in keys])
        full = changes if variant == FULL else full
        row.append("" if full is None or variant == FULL else compare(changes, full)[0])
        rows.append(row)
    header = ["variant", "pairs", "change, grey levels", "each seed", "rises", "each seed, %"]
    return markdown_table([*header, "change against full"], rows)


def steering_page(runs: Runs) -> str:
    lines = [
        "## Steering\n",
        "Change of local contrast (mean inside against mean of the surround) when an entity of",
        "the pair is named, against when one that is not in it is named, and the share of",
        "pairs in which it rises, where no change counts as half. Chance: 0 grey levels, 50 %.",
        "In brackets 95 % intervals over pairs, seeds averaged.\n",
        "### Made-up scenes, in the entity's mask\n",
        steering_table(runs, "steering") + "\n",
    ]
    # Runs that were scored before real pairs had outlines know of rendered scenes alone.
    if all("steering_outlined" in run for seeds in runs.values() for run in seeds.values()):
        lines += [
            "### Real pairs, in the entity's outline\n",
            steering_table(runs, "steering_outlined") + "\n",
        ]
    return "\n".join(lines)


def write_report(results: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the page from the finished runs; the part between its marks by hand is kept.

    Raises:
      UserError: no run is finished, or the page lacks its marks.
    """
    runs = load(results)
    if not runs:
        raise UserError(f"{results}: no finished run in it")
    everything = [run for seeds in runs.values() for run in seeds.values()]
    first = everything[0]
    sizes = {name: len(next(iter(first["pictures"].values()))[name]) for name in SETS}
    head = HEAD.format(
        runs=len(everything),
        steps=first["steps"],
        crop=first["crop"],
        pairs=", ".join(f"{count} of {name}" for name, count in sizes.items()),
        same=SAME,
        begin=BEGIN,
        end=END,
    )
    finished = ", ".join(
        f"{variant} (seeds {' '.join(map(str, sorted(seeds)))})" for variant, seeds in runs.items()
    )
    tail = f"Finished runs: {finished}.\n"
    pages = [differences_page, pictures_page, classifier_page, steering_page]
    write_page(page, "\n".join([head, *(make(runs) for make in pages), tail]))
