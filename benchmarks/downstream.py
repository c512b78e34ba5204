"""How well a small network finds people in fused pictures, against the sources; writes a page.

    python benchmarks/downstream.py --workdir=RUN --data_dir=DIR
    python benchmarks/downstream.py --pictures=ours=fused/ --pictures=theirs=other/ --labels=DIR

The same head is trained anew on each kind of picture, with the same scenes, order and seeds, and
tells whether and where people are. The first form takes the made-up scenes of entity_scenes: grey
visible, infrared, average, TwoScale (benchmarks/two_scale.py), and the fusion of a run (the shipped
weights without --workdir) guided by itself and with "person" named in every scene. The second takes
folders of grey or colour pictures that match `--labels` by stem: MSRS's Segmentation_labels (index
2 is a person) or M3FD's Annotation (boxes named People). Of the stems in order the last fifth is
held out, and the tenth before it chooses the threshold; frames that follow each other so stay
together.

JSON goes to --out, the table to --page. On two CPU cores the first form takes about half an hour.
"""

import argparse
import logging
import pathlib
import sys
from xml.etree import ElementTree

import cv2
import numpy as np
from evidence import ROOT, UserError, bootstrap, environment, held_out, markdown_table, write_json
from people_head import COVERED, Trainer, score_kind
from tqdm import tqdm
from two_scale import two_scale

from egmt_jax.data.pipeline import Pair
from egmt_jax.inference.fuser import load_fuser
from egmt_jax.io.images import (
    list_images,
    match_stems,
    read_image,
    to_grey,
    to_uint8,
    write_atomically,
)
from egmt_jax.metrics.classification import average_precision

WIDTH, HEIGHT = 320, 256
CELL = 8
"""Pixels per cell of the map of people, each way."""
MSRS_PERSON = 2
PARTS = "train", "validation", "test"


def cells_of(mask: np.ndarray) -> np.ndarray:
    """Share of each cell that a mask covers: bool [H, W] -> float32 [32, 40]."""
    size = (WIDTH // CELL, HEIGHT // CELL)
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def fitted(image: np.ndarray) -> np.ndarray:
    """A grey picture at the size of the head's input, uint8 [256, 320]."""
    shrinks = image.shape[0] > HEIGHT
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=method)


def kinds_of_scenes(pairs: list[Pair], fuser) -> dict[str, np.ndarray]:
    """Every kind of picture of the same scenes, uint8 [N, H, W]."""
    kinds: dict[str, list[np.ndarray]] = {}
    for pair in tqdm(pairs, "Fusing scenes", unit="pair", leave=False):
        visible, infrared = pair.luma, pair.infrared[..., 0]
        total = visible.astype(np.uint16) + infrared
        for kind, picture in {
            "visible": visible,
            "infrared": infrared,
            "average": ((total + 1) // 2).astype(np.uint8),
            "TwoScale": two_scale(visible, infrared),
            "fused": to_uint8(fuser(visible, infrared).fused),
            "fused, person named": to_uint8(fuser(visible, infrared, ["person"]).fused),
        }.items():
            kinds.setdefault(kind, []).append(fitted(picture))
    return {kind: np.stack(pictures) for kind, pictures in kinds.items()}


def cells_of_people(pair: Pair) -> np.ndarray:
    """Where people are in a made-up scene, see `cells_of`."""
    if "person" not in pair.entities:
        return cells_of(np.zeros(pair.luma.shape, bool))
    return cells_of(pair.masks[pair.entities.index("person")] > 127)


def read_scenes(arguments) -> tuple[dict, dict]:
    """Pictures by kind and part, and cells by part, of the made-up scenes."""
    fuser = load_fuser(arguments.workdir)
    kinds, cells = {}, {}
    for part in PARTS:
        pairs = held_out("entity_scenes/default", part, arguments.data_dir, None, arguments.most)
        cells[part] = np.stack([cells_of_people(pair) for pair in pairs])
        for kind, pictures in kinds_of_scenes(pairs, fuser).items():
            kinds.setdefault(kind, {})[part] = pictures
    return kinds, cells


def mask_of_labels(path: pathlib.Path, shape: tuple[int, int]) -> np.ndarray:
    """Where people are by a segmentation map or a file of boxes: bool, of the size of the labels.

    Args:
      path: MSRS's map of indices, an image, or M3FD's boxes, XML.
      shape: rows and columns of the picture, where boxes do not tell them.

    Raises:
      UserError: neither of the two, or not readable.
    """
    if path.suffix.lower() != ".xml":
        labels = read_image(path)
        if labels.shape[2] != 1 or labels.max() > 8:
            raise UserError(f"{path}: not a map of indices 0 to 8; take Segmentation_labels")
        return labels[..., 0] == MSRS_PERSON
    try:
        root = ElementTree.parse(path).getroot()
        size = [int(root.findtext(f"size/{side}") or 0) for side in ("height", "width")]
        mask = np.zeros(size if all(size) else shape, bool)
        for box in root.iter("object"):
            if (box.findtext("name") or "").strip().lower() != "people":
                continue
            left, top, right, bottom = (
                int(float(box.findtext(f"bndbox/{side}")))
                for side in ("xmin", "ymin", "xmax", "ymax")
            )
            mask[max(top, 0) : bottom, max(left, 0) : right] = True
    except (OSError, ElementTree.ParseError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable file of boxes ({error})") from error
    return mask


def read_folders(folders: dict[str, pathlib.Path], labels: pathlib.Path) -> tuple[dict, dict]:
    """Pictures by kind and part, and cells by part, of folders; see the top of this file."""
    files = {kind: list_images(folder) for kind, folder in folders.items()}
    stems = match_stems(files)
    if len(stems) < 10:
        raise UserError(f"{len(stems)} pictures: at least 10 are needed to hold some out")
    named = {path.stem: path for path in sorted(labels.iterdir())} if labels.is_dir() else {}
    lacking = [stem for stem in stems if stem not in named]
    if lacking:
        raise UserError(f"{labels}: no labels for {len(lacking)} pictures, such as {lacking[0]}")
    bounds = [0, int(0.7 * len(stems)), int(0.8 * len(stems)), len(stems)]
    kinds: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in files}
    cells = {}
    for part, first, last in zip(PARTS, bounds, bounds[1:], strict=False):
        masks = []
        for stem in tqdm(stems[first:last], f"Reading {part}", unit="picture", leave=False):
            shape = read_image(files[next(iter(files))][stem]).shape[:2]
            masks.append(cells_of(mask_of_labels(named[stem], shape)))
        cells[part] = np.stack(masks)
        for kind, paths in files.items():
            kinds[kind][part] = np.stack(
                [fitted(to_grey(read_image(paths[stem]))) for stem in stems[first:last]]
            )
    return kinds, cells


def table_of(results: dict[str, dict]) -> str:
    """Markdown: per kind AP and IoU with each seed and the interval over test pictures."""
    rows = []
    for kind, result in results.items():
        present = np.asarray(result["present"])
        counts = np.asarray([row["counts"] for row in result["seeds"]]).swapaxes(0, 1)
        chances = np.asarray([row["presence"] for row in result["seeds"]]).T
        together = np.concatenate([chances, present[:, None]], axis=1)

        def precision(rows):
            if not rows[:, -1].any():
                return np.nan
            return np.mean([average_precision(x, rows[:, -1] > 0) for x in rows[:, :-1].T])

        def iou(rows):
            both, either = rows.sum(axis=0).T
            return float(np.mean(both / np.maximum(either, 1)))

        row = [kind]
        for name, statistic, values in (("AP", precision, together), ("IoU", iou, counts)):
            each = [seed[name] for seed in result["seeds"]]
            low, high = bootstrap(values, statistic)
            row.append(f"{np.mean(each):.3f} [{low:.3f}, {high:.3f}]")
            row.append(" ".join(f"{value:.3f}" for value in each))
        rows.append(row)
    header = ["pictures", "AP of presence", "each seed", "IoU of location", "each seed"]
    return markdown_table(header, rows)


def page_of(results: dict[str, dict], title: str, steps: int) -> str:
    any_result = next(iter(results.values()))
    present = np.asarray(any_result["present"])
    return "\n".join(
        [
            "# Finding people in fused pictures\n",
            f"{title}. The same small network (five convolutions, one-channel input, {WIDTH} x",
            f"{HEIGHT} pixels) is trained anew on each kind of picture, {steps} steps, with",
            f"{len(any_result['seeds'])} seeds. It says whether people are in the picture (average",
            "precision; chance is the prevalence) and which cells of 8 x 8 pixels they cover",
            "(intersection over union of all held-out pictures together; threshold chosen on a",
            f"part of its own). {len(present)} held-out pictures, prevalence {present.mean():.3f}.",
            "In brackets 95 % intervals over pictures; `benchmarks/downstream.py` made the page.\n",
            table_of(results) + "\n",
        ]
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", help="run whose model fuses; the shipped weights if not given")
    parser.add_argument("--data_dir", help="prepared data sets; TFDS's default if not given")
    parser.add_argument("--most", type=int, help="scenes per split at most")
    parser.add_argument(
        "--pictures", action="append", metavar="NAME=DIR", help="fused pictures; may be repeated"
    )
    parser.add_argument("--labels", type=pathlib.Path, help="maps of MSRS or boxes of M3FD")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("downstream.json"))
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        help="default: docs/downstream.md, or WORKDIR/downstream.md of a run",
    )
    arguments = parser.parse_args()
    if bool(arguments.pictures) != bool(arguments.labels):
        parser.error("--pictures and --labels go together")
    if any("=" not in entry for entry in arguments.pictures or ()):
        parser.error("--pictures: give NAME=DIR")
    return arguments


def main() -> None:
    arguments = parse()
    logging.getLogger("absl").setLevel("WARNING")
    try:
        if arguments.pictures:
            folders = dict(entry.split("=", 1) for entry in arguments.pictures)
            folders = {name: pathlib.Path(folder) for name, folder in folders.items()}
            kinds, cells = read_folders(folders, arguments.labels)
            title = f"Pictures of {', '.join(folders)}, with labels by their authors"
        else:
            kinds, cells = read_scenes(arguments)
            most = f", `--most={arguments.most}`" if arguments.most else ""
            title = f"Made-up scenes of `entity_scenes`{most}"
        for part in ("train", "test"):
            if not (cells[part] > COVERED).any():
                raise UserError(f"nobody is in the pictures of the part {part}: nothing to learn")
        trainer, results = Trainer(arguments.steps), {}
        for kind in tqdm(list(kinds), "Kinds of pictures", unit="kind"):
            results[kind] = score_kind(trainer, kinds[kind], cells, arguments.seeds, kind)
        page = page_of(results, title, arguments.steps)
        settings = {"steps": arguments.steps, "seeds": arguments.seeds}
        write_json(
            arguments.out, {"results": results, "settings": settings, "made_with": environment()}
        )
        path = arguments.page or pathlib.Path(arguments.workdir or ROOT / "docs", "downstream.md")
        write_atomically(path, page.encode())
    except UserError as error:
        sys.exit(f"downstream.py: {error}")
    print(table_of(results))


if __name__ == "__main__":
    main()
