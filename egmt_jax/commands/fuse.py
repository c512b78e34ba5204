"""`egmt fuse`: two files or two folders of registered pairs."""

import argparse
import pathlib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("visible", type=pathlib.Path, help="a picture, or a folder of them")
    parser.add_argument(
        "infrared", type=pathlib.Path, help="its counterpart; in folders, files match by stem"
    )
    parser.add_argument(
        "-o", "--out", type=pathlib.Path, required=True, help="PNG file, or folder for folders"
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        required=True,
        metavar="WORKDIR",
        help="workdir of a training run; its newest checkpoint is used",
    )
    guidance = parser.add_mutually_exclusive_group()
    guidance.add_argument(
        "--entities",
        metavar="NAMES",
        help="things that guide the fusion, such as person,car; by default the model looks itself",
    )
    guidance.add_argument("--no-entities", action="store_true", help="switch the guidance off")
    parser.add_argument("--grey", action="store_true", help="write luma without colour")


def run(arguments: argparse.Namespace) -> int:
    """Fuses; a pair that fails is reported at the end and does not stop the others.

    Returns:
      0, or 1 if any pair failed.

    Raises:
      UserError: nothing can be fused: inputs, checkpoint or entities are wrong.
    """
    from egmt_jax.data import images
    from egmt_jax.errors import UserError

    jobs = _jobs(arguments.visible, arguments.infrared, arguments.out)
    entities = _entities(arguments)

    from tqdm import tqdm

    from egmt_jax.inference.fuser import Fuser
    from egmt_jax.training.checkpoints import load_model

    model, names, _ = load_model(arguments.checkpoint)
    fuser = Fuser(model, names)
    if entities:
        fuser.ids(entities)  # tells unknown names before any work
    failures = []
    for visible_path, infrared_path, out in tqdm(jobs, "Fusing", disable=len(jobs) == 1):
        try:
            visible = images.read_image(visible_path)
            infrared = images.to_grey(images.read_image(infrared_path))
            luma = images.to_grey(visible)
            if luma.shape != infrared.shape:
                raise UserError(
                    f"{visible_path} has {luma.shape[1]} x {luma.shape[0]} pixels, {infrared_path} "
                    f"{infrared.shape[1]} x {infrared.shape[0]}: resample one to the other's size"
                )
            fused = images.to_uint8(fuser(luma, infrared, entities).fused)
            if visible.shape[2] == 3 and not arguments.grey:
                fused = images.with_chroma(fused, visible)
            images.write_png(out, fused)
        except UserError as error:
            failures.append(str(error))
    for failure in failures:
        print(f"egmt fuse: {failure}")
    if len(jobs) > 1 or failures:
        print(f"{len(jobs) - len(failures)} of {len(jobs)} pairs fused into {arguments.out}")
    return 1 if failures else 0


def _jobs(visible: pathlib.Path, infrared: pathlib.Path, out: pathlib.Path):
    """(visible, infrared, output) for every pair."""
    from egmt_jax.data import images
    from egmt_jax.errors import UserError

    for path in (visible, infrared):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
    if visible.is_dir() != infrared.is_dir():
        raise UserError(f"{visible} and {infrared}: give two files or two folders")
    if not visible.is_dir():
        if out.is_dir():
            out = out / f"{visible.stem}.png"
        elif out.suffix.lower() != ".png":
            raise UserError(f"{out}: the output is a PNG file; end its name in .png")
        return [(visible, infrared, out)]
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder for the pictures of two folders")
    folders = {
        str(visible): images.list_images(visible),
        str(infrared): images.list_images(infrared),
    }
    return [
        (folders[str(visible)][stem], folders[str(infrared)][stem], out / f"{stem}.png")
        for stem in images.match_stems(folders)
    ]


def _entities(arguments: argparse.Namespace) -> list[str] | None:
    """Names that guide; None: the model's own; empty: none."""
    if arguments.no_entities:
        return []
    if arguments.entities is None:
        return None
    from egmt_jax.entities import load_vocabulary

    names = [name.strip() for name in arguments.entities.split(",") if name.strip()]
    return [load_vocabulary().canonical(name) for name in names]
