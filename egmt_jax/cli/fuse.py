"""`egmt fuse`: two files, two folders of registered pairs, or two videos."""

import argparse
import os
import pathlib
import sys

ATTENTION = "attention"
"""Folder, beside the pictures, of the attention over them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "visible",
        type=pathlib.Path,
        help="a picture; a folder; a quoted pattern with one *, such as 'street/*_rgb.jpg'; or a "
        "video",
    )
    parser.add_argument(
        "infrared",
        type=pathlib.Path,
        help="its counterpart; files of folders match by stem, of patterns by what * stands for",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=pathlib.Path,
        required=True,
        help="PNG file; folder for folders; MP4, MOV or AVI file for videos",
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        metavar="WORKDIR",
        help="workdir of a training run, for its newest checkpoint; default: the released weights",
    )
    guidance = parser.add_mutually_exclusive_group()
    guidance.add_argument(
        "--entities",
        metavar="NAMES",
        help="up to 8 things that guide the fusion, such as person,car; one that is not known is "
        "answered with the nearest that are; by default the model looks itself",
    )
    guidance.add_argument("--no-entities", action="store_true", help="switch the guidance off")
    parser.add_argument(
        "--grey", action="store_true", help="write luma alone; else colour is the visible picture's"
    )
    parser.add_argument(
        "--overlay",
        action="store_true",
        help="write what the model looked at, drawn over each picture, as well: beside the "
        "pictures, into the folder attention/",
    )
    parser.add_argument(
        "--size",
        choices=("visible", "infrared"),
        default="visible",
        help="whose size the picture has where the two differ (width to height may by 5%% at "
        "most); default: visible",
    )
    parser.add_argument(
        "--infrared-range",
        metavar="LOW,HIGH",
        help="infrared values that become black and white: fixed ones such as 27000,31000, which "
        "keep pictures comparable, or percentiles of each image such as 0.5%%,99.5%%, the default "
        "for 16 bits; of 8 bits everything is kept; float32 beyond 0 to 1 needs a range (below 0 "
        "write --infrared-range=-20,40)",
    )
    parser.add_argument("--black-hot", action="store_true", help="what is warm is dark in infrared")
    parser.add_argument("--recursive", action="store_true", help="look in folders below, too")
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out pairs whose outputs are there"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="threads that read and write beside the network (default: 2)",
    )
    parser.epilog = """\
The two pictures of a pair must be registered: each thing at the same place in both. A pair that
looks shifted or swapped gets a warning. Reads 8- and 16-bit images, TIFF of floats, and videos of
one frame rate; writes 8-bit PNG files, and videos without sound. Pictures that are there are
replaced, sources never.

examples:
  egmt fuse visible.png infrared.png -o fused.png
  egmt fuse visible/ infrared/ -o fused/ --entities person,car
  egmt fuse 'street/*_rgb.jpg' 'street/*_th.png' -o fused/ --skip-existing --overlay
  egmt fuse visible.png thermal.tiff -o fused.png --infrared-range 27000,31000
  egmt fuse visible.mp4 infrared.mp4 -o fused.mp4

Exits with 0 when all is done, 1 when a pair failed (the rest is done), 2 on wrong usage, 130 when
interrupted.
"""


def run(arguments: argparse.Namespace) -> int:
    """Fuses; a pair that fails is reported at the end and does not stop the others.

    Returns:
      0, or 1 if any pair failed.

    Raises:
      UserError: nothing can be fused: inputs, output, checkpoint or entities are wrong.
    """
    from egmt_jax.errors import UserError

    if arguments.jobs < 1:
        raise UserError(f"--jobs={arguments.jobs}: at least 1")
    for path in (arguments.visible, arguments.infrared):
        if not path.exists() and "*" not in path.name:
            reason = "a link that leads nowhere" if path.is_symlink() else "no such file or folder"
            raise UserError(f"{path}: {reason}")
    from egmt_jax.io.thermal import parse_range

    given = arguments.infrared_range
    infrared_range = None if given is None else parse_range(given)
    video = _is_video(arguments)
    jobs = _video(arguments) if video else _jobs(arguments)
    if arguments.overlay:
        jobs = [(*job, job[2].parent / ATTENTION / job[2].name) for job in jobs]
    _check_outputs(jobs)
    entities = _entities(arguments)
    skips = arguments.skip_existing
    wanted = [job for job in jobs if not (skips and all(path.exists() for path in job[2:]))]
    failures: list[str] = []
    if wanted:
        from egmt_jax.compile_cache import keep_compiled
        from egmt_jax.inference import files
        from egmt_jax.inference.fuser import load_fuser

        keep_compiled()
        fuser = load_fuser(arguments.checkpoint)
        if entities:
            fuser.guides(entities)  # tells unknown names before any work
        settings = files.Settings(
            entities=entities,
            size=arguments.size,
            grey=arguments.grey,
            infrared_range=infrared_range,
            black_hot=arguments.black_hot,
        )
        found = [files.Job(*job) for job in wanted]
        if video:
            from egmt_jax.inference.video import fuse_video

            warnings = fuse_video(fuser, found[0], settings)
        else:
            failures, warnings = files.fuse_files(fuser, found, settings, arguments.jobs)
        for warning in warnings:
            print(f"egmt fuse: warning: {warning}", file=sys.stderr)
        for failure in failures:
            print(f"egmt fuse: {failure}", file=sys.stderr)
    if len(jobs) > 1 or not wanted:
        skipped = len(jobs) - len(wanted)
        there = f", {skipped} were there" if skipped else ""
        print(f"{len(wanted) - len(failures)} of {len(jobs)} pairs fused{there}: {arguments.out}")
    return 1 if failures else 0


def _is_video(arguments: argparse.Namespace) -> bool:
    """Whether videos are given, rather than pictures."""
    from egmt_jax.errors import UserError
    from egmt_jax.io.videos import SUFFIXES

    paths = arguments.visible, arguments.infrared
    videos = [path.suffix.lower() in SUFFIXES and not path.is_dir() for path in paths]
    if any(videos) and not all(videos):
        raise UserError(f"{paths[0]} and {paths[1]}: give two pictures or two videos")
    return all(videos)


def _video(arguments: argparse.Namespace):
    """(visible, infrared, output) of two videos, alone in a list."""
    from egmt_jax.errors import UserError
    from egmt_jax.io.videos import check_suffix

    visible, infrared, out = arguments.visible, arguments.infrared, arguments.out
    for path in (visible, infrared):
        if not path.is_file():
            raise UserError(f"{path}: is no file; videos are fused one pair at a time")
    if arguments.overlay:
        raise UserError("--overlay: is drawn for pictures, not for videos; leave it out")
    out = out / f"{visible.stem}.mp4" if out.is_dir() else out
    check_suffix(out)
    return [(visible, infrared, out)]


def _jobs(arguments: argparse.Namespace):
    """(visible, infrared, output) for every pair of pictures."""
    from egmt_jax.errors import UserError
    from egmt_jax.io.pairs import find_pairs, is_many, raise_problems

    visible, infrared, out = arguments.visible, arguments.infrared, arguments.out
    if is_many(visible) != is_many(infrared):
        raise UserError(f"{visible} and {infrared}: give two files or two folders")
    if not is_many(visible):
        if out.is_dir():
            out = out / f"{visible.stem}.png"
        elif out.suffix.lower() != ".png":
            raise UserError(f"{out}: the output is a PNG file; end its name in .png")
        return [(visible, infrared, out)]
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder for the pictures of two folders")
    pairs, problems = find_pairs(visible, infrared, recursive=arguments.recursive)
    raise_problems(f"{visible} and {infrared}: files must match by name:", problems)
    return [(pair.visible, pair.infrared, out / f"{pair.id}.png") for pair in pairs]


def _check_outputs(jobs) -> None:
    """Raises UserError where a picture would replace a source or another, or cannot be written."""
    from egmt_jax.errors import UserError

    taken = {os.path.realpath(path): "a source" for job in jobs for path in job[:2]}
    outputs = [path for job in jobs for path in job[2:]]
    for out in outputs:
        if (what := taken.get(os.path.realpath(out))) is not None:
            raise UserError(f"{out}: would replace {what}; name another output")
        taken[os.path.realpath(out)] = "that of another pair"
        if out.is_dir():
            raise UserError(f"{out}: is a folder; name another output, or remove it")
    for folder in {out.parent.absolute() for out in outputs}:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            reason = "cannot be written to" if there.is_dir() else "is not a folder"
            raise UserError(f"{there}: {reason}; name another output")


def _entities(arguments: argparse.Namespace) -> list[str] | None:
    """Names that guide; None: the model's own; empty: none."""
    if arguments.no_entities:
        return []
    if arguments.entities is None:
        return None
    from egmt_jax.errors import UserError

    names = [name.strip() for name in arguments.entities.split(",") if name.strip()]
    if not names:
        raise UserError("--entities names nothing; --no-entities switches the guidance off")
    return names
