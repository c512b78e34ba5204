"""Scores one trained run of the ablations on held-out pairs; writes JSON.

    python benchmarks/ablation_scores.py --workdir=RUN --out=FILE --data_dir=DIR --manual_dir=DIR

- pictures: metrics per pair of roadscene, tno and msrs/full, split validation, under each guidance
  that the run was trained for: given (the pair's entities), self (the classifier's), none,
  shuffled (another pair's), or sentence (the pair's captions);
- classifier: average precision and prevalence of each entity on msrs/small,
  split classification_validation;
- steering on made-up scenes and on the real pairs, whose masks are known: contrast of an entity
  when it is named, and when one that is not there is named.
"""

import argparse
import logging
import pathlib
import sys

import numpy as np
from evidence import environment, held_out, write_json
from tqdm import tqdm

from egmt_jax import metrics
from egmt_jax.data.pipeline import Pair
from egmt_jax.entities.sentences import SENTENCES, caption_features
from egmt_jax.errors import UserError
from egmt_jax.evaluation.scoring import guided
from egmt_jax.evaluation.steering import steering
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import to_uint8
from egmt_jax.metrics.classification import average_precision

SETS = ("roadscene", "tno", "msrs/full")
METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
CLASSIFIED = ("msrs/small", "classification_validation")
FEWEST_POSITIVES = 5
SCENES = 200


def guidances(config) -> tuple[str, ...]:
    """The ways of guidance that a run was trained for, the one of its evaluation first."""
    if config.model.entity_level == "none":
        return ("none",)
    if config.guidance.given == "shuffled":
        return ("shuffled",)
    if config.guidance.given == "sentence":
        return ("sentence",)
    if config.guidance.self_guided == 0.0:
        return ("given",)
    return ("given", "self", "none")


def guide(pairs: list[Pair], way: str, sentences: dict[str, np.ndarray] | None = None) -> list:
    """Pairs, each with the entities that the `Fuser` takes for a way of guidance.

    `sentences`: features by caption, for "sentence".
    """
    if way == "none":
        return [(pair, ()) for pair in pairs]
    if way == "sentence":
        return list(guided(pairs, way, sentences))
    return list(guided(pairs, {"given": "own", "self": "probabilities"}.get(way, way)))


def score_pictures(fuser: Fuser, guided_pairs: list) -> dict[str, dict[str, float]]:
    """The metrics of the saved 8-bit picture of each pair, by id; pairs as from `guide`."""

    def triples():
        for pair, entities in tqdm(guided_pairs, "Fusing", unit="pair", leave=False):
            fused = to_uint8(fuser(pair.luma, pair.infrared, entities).fused)
            yield pair.id, fused, pair.luma, pair.infrared[..., 0]

    rows = metrics.score_pairs(triples(), progress=False)
    return {row["id"]: {name: row[name] for name in METRICS} for row in rows}


def score_classifier(fuser: Fuser, pairs: list[Pair]) -> dict:
    """Average precision per entity of 5 positives or more and prevalence below one half.

    Probabilities and labels per pair go along, for intervals.
    """
    pairs = [pair for pair in pairs if pair.entities]
    fusions = fuser.batch([pair.luma for pair in pairs], [pair.infrared for pair in pairs], ())
    probabilities = np.asarray([list(fusion.probabilities.values()) for fusion in fusions])
    entities = {}
    for k, name in enumerate(fuser.names):
        labels = np.asarray([name in pair.entities for pair in pairs])
        prevalence = float(labels.mean())
        if labels.sum() >= FEWEST_POSITIVES and prevalence < 0.5:
            entities[name] = {
                "AP": average_precision(probabilities[:, k], labels),
                "prevalence": prevalence,
                "positives": int(labels.sum()),
                "probabilities": probabilities[:, k].tolist(),
                "labels": labels.tolist(),
            }
    return {"pairs": len(pairs), "entities": entities}


def read_sentences(pairs: list[Pair], config, workdir: str) -> dict[str, np.ndarray]:
    """Features of the captions of pairs, embedded where the run's own file lacks them."""
    captions = [pair.caption for pair in pairs]
    return caption_features(captions, config.text_features, pathlib.Path(workdir) / SENTENCES)


def score_run(workdir: str, data_dir: str | None, manual_dir: str | None) -> dict:
    """Everything that the report needs to know of one run."""
    from egmt_jax.weights.checkpoint import load_model

    model, names, config = load_model(workdir)
    fuser = Fuser(model, names, config.text_features)
    ways = guidances(config)
    pictures = {way: {} for way in ways}
    real = []
    for name in SETS:
        pairs = held_out(name, "validation", data_dir, manual_dir)
        real += pairs
        sentences = read_sentences(pairs, config, workdir) if "sentence" in ways else None
        for way in ways:
            pictures[way][name] = score_pictures(fuser, guide(pairs, way, sentences))
    classified = held_out(*CLASSIFIED, data_dir, manual_dir)
    scenes = held_out("entity_scenes/default", "test", data_dir, manual_dir, SCENES)
    return {
        "steps": config.optimizer.steps,
        "crop": config.data.crop,
        "pictures": pictures,
        "classifier": score_classifier(fuser, classified),
        "steering": steering(fuser, scenes),
        "steering_outlined": steering(fuser, real),
        "environment": environment(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, help="of the run")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file")
    parser.add_argument("--data_dir", help="prepared data sets")
    parser.add_argument("--manual_dir", help="files of the real sets")
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel("WARNING")
    try:
        scores = score_run(arguments.workdir, arguments.data_dir, arguments.manual_dir)
        write_json(arguments.out, scores)
    except UserError as error:
        sys.exit(f"ablation_scores.py: {error}")


if __name__ == "__main__":
    main()
