"""`egmt fuse`: two files, two folders of registered pairs, or two videos."""

import argparse
import os
import pathlib
import sys

from egmt_jax.cli import add_model
from egmt_jax.errors import UserError

EPILOG = """\
The two images of a pair must be registered: each thing at the same position in both. A pair that
looks shifted or swapped gets a warning. Reads 8- and 16-bit images, TIFF of floats, and videos of
one frame rate; writes 8-bit PNG files, and videos without sound. Existing outputs are replaced,
sources never.

examples:
  egmt fuse visible.png infrared.png -o fused.png
  egmt fuse visible/ infrared/ -o fused/ --entities person,car
  egmt fuse 'street/*_rgb.jpg' 'street/*_th.png' -o fused/ --skip-existing --overlay
  egmt fuse visible.png thermal.tiff -o fused.png --infrared-range 27000,31000
  egmt fuse visible.mp4 infrared.mp4 -o fused.mp4

Exits with 0 if everything is fused, 1 if a pair failed (the others are fused), 2 on wrong usage,
130 when interrupted.
"""
ENTITIES = """up to 8 things that guide the fusion, such as person,car; an error lists the nearest
known names of an unknown one; default: what the model predicts"""
SIZE = """which size the fused image has if they differ (aspect ratios may differ by 5%%); default:
visible"""
RANGE = """infrared values that become black and white: fixed values such as 27000,31000, which keep
images comparable, or percentiles of each image such as 0.5%%,99.5%%, the default for 16 bits; 8
bits keep their full range; float32 beyond 0 to 1 needs a range (for a negative one write
--infrared-range=-20,40)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `egmt fuse`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    text = "an image; a folder; a quoted pattern with one *, such as 'street/*_rgb.jpg'; or a video"
    add("visible", type=pathlib.Path, help=text)
    text = "its counterpart; files of folders match by stem, of patterns by the text for *"
    add("infrared", type=pathlib.Path, help=text)
    text = "PNG file; folder for folders; MP4, MOV or AVI file for videos"
    add("-o", "--out", type=pathlib.Path, required=True, help=text)
    add_model(parser)
    guidance = parser.add_mutually_exclusive_group()
    guidance.add_argument("--entities", metavar="NAMES", help=ENTITIES)
    guidance.add_argument("--no-entities", action="store_true", help="switch the guidance off")
    add("--grey", action="store_true", help="write luma only; default: colour of the visible image")
    text = "also write the attention drawn over each fused image, into the folder attention/"
    add("--overlay", action="store_true", help=text)
    add("--size", choices=("visible", "infrared"), default="visible", help=SIZE)
    add("--infrared-range", metavar="LOW,HIGH", help=RANGE)
    add("--black-hot", action="store_true", help="warm is dark in infrared")
    add("--recursive", action="store_true", help="search subfolders too")
    add("--skip-existing", action="store_true", help="skip pairs whose outputs exist")
    text = "threads that read and write beside the network (default: 2)"
    add("--jobs", type=int, default=2, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Fuses, returns 0; 1 if a pair failed, which does not stop the others.

    Raises UserError for wrong inputs, output, checkpoint or entities before anything is fused.
    """
    if arguments.jobs < 1:
        raise UserError(f"--jobs={arguments.jobs}: at least 1")
    for path in (arguments.visible, arguments.infrared):
        if not path.exists() and "*" not in path.name:
            reason = "a broken link" if path.is_symlink() else "no such file or folder"
            raise UserError(f"{path}: {reason}")
    from egmt_jax.io.thermal import parse_range

    text = arguments.infrared_range
    infrared_range = None if text is None else parse_range(text)
    entities: list[str] | None = [] if arguments.no_entities else None  # None: predicted ones
    if arguments.entities is not None:
        entities = [name.strip() for name in arguments.entities.split(",") if name.strip()]
        if not entities:
            raise UserError("--entities is empty; --no-entities switches the guidance off")
    is_video, outputs = _outputs(arguments)
    if arguments.overlay:
        outputs = [(*each, each[1].parent / "attention" / each[1].name) for each in outputs]
    _check_outputs(outputs)
    wanted = outputs
    if arguments.skip_existing:
        wanted = [each for each in outputs if not all(path.exists() for path in each[1:])]
    failures: list[str] = []
    if wanted:
        from egmt_jax.compile_cache import keep_compiled
        from egmt_jax.inference import files
        from egmt_jax.inference.fuser import by_names, load_fuser
        from egmt_jax.inference.video import fuse_video

        keep_compiled()
        fuser = load_fuser(arguments.checkpoint, arguments.model)
        guidance = fuser.resolve(by_names(entities))  # raises for unknown names
        size, grey, black_hot = arguments.size, arguments.grey, arguments.black_hot
        settings = files.Settings(guidance, size, grey, infrared_range, black_hot)
        jobs = [files.Job(*each) for each in wanted]
        if is_video:
            warnings = fuse_video(fuser, jobs[0], settings)
        else:
            failures, warnings = files.fuse_files(fuser, jobs, settings, arguments.jobs)
        for line in [f"warning: {warning}" for warning in warnings] + failures:
            print(f"egmt fuse: {line}", file=sys.stderr)
    if len(outputs) > 1 or not wanted:
        skipped = len(outputs) - len(wanted)
        existed = f", {skipped} existed" if skipped else ""
        done = len(wanted) - len(failures)
        print(f"{done} of {len(outputs)} pairs fused{existed}: {arguments.out}")
    return 1 if failures else 0


def _outputs(arguments: argparse.Namespace):
    """Whether videos are given, and (pair, output) for every pair of images or videos."""
    from egmt_jax.io import videos
    from egmt_jax.io.pairs import PairFiles, find_pairs, raise_problems

    def kind(path: pathlib.Path) -> tuple[bool, bool]:
        """Whether a path names several files, and whether it names videos."""
        is_pattern = "*" in path.name and not path.exists()
        is_video = path.suffix.lower() in videos.SUFFIXES and not path.is_dir()
        return path.is_dir() or is_pattern, is_video

    visible, infrared, out = arguments.visible, arguments.infrared, arguments.out
    many, video = kind(visible)
    if kind(infrared) != (many, video):
        raise UserError(f"{visible} and {infrared}: give two images, two videos or two folders")
    if many:
        if video:
            raise UserError(f"{visible}: is not a file; videos are fused one pair at a time")
        if out.exists() and not out.is_dir():
            raise UserError(f"{out}: is a file; name a folder for the images of two folders")
        pairs, problems = find_pairs(visible, infrared, recursive=arguments.recursive)
        raise_problems(f"{visible} and {infrared}: files must match by name:", problems)
        return False, [(pair, out / f"{pair.id}.png") for pair in pairs]
    if video and arguments.overlay:
        raise UserError("--overlay: is drawn for images, not for videos; leave it out")
    if out.is_dir():
        out = out / f"{visible.stem}{'.mp4' if video else '.png'}"
    elif video:
        videos.check_suffix(out)
    elif out.suffix.lower() != ".png":
        raise UserError(f"{out}: the output is a PNG file; end its name in .png")
    return video, [(PairFiles(visible.stem, visible, infrared), out)]


def _check_outputs(outputs) -> None:
    """Raises UserError for an output that replaces a source or another one, or is not writable."""
    from egmt_jax.io.images import check_writable

    sources = [path for pair, *_ in outputs for path in (pair.visible, pair.infrared)]
    taken = {os.path.realpath(path): "a source" for path in sources}
    folders: dict[pathlib.Path, pathlib.Path] = {}  # one output of each is tried
    for out in (path for _, *paths in outputs for path in paths):
        if (what := taken.get(os.path.realpath(out))) is not None:
            raise UserError(f"{out}: would replace {what}; name another output")
        taken[os.path.realpath(out)] = "that of another pair"
        if out.is_dir():
            raise UserError(f"{out}: is a folder; name another output, or remove it")
        folders[out.parent] = out
    for out in folders.values():
        check_writable(out)
