"""`egmt app`: a page in the browser on which pairs of pictures are fused."""

import argparse
import contextlib
import os
import pathlib
import signal
import threading

MOST_PIXELS = 25_000_000
"""Of a picture that is given to the page: fusing and scoring so many takes 4 GB of memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=7860, help="to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        metavar="WORKDIR",
        help="workdir of a training run, for its newest checkpoint; default: the released weights",
    )
    parser.epilog = """\
Prints the address of the page, which takes a pair of pictures or a made-up example, fuses it,
compares the result with each source by a slider, and shows attention, metrics and a download.
Ctrl-C ends it. Needs gradio: in the clone, pip install -e '.[app]'.

Pictures that are given to the page stay on this machine, in the folder for temporary files, for
two hours at most. There is no password: let in only those who may use this machine.
"""


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until it is interrupted.

    Returns:
      0.

    Raises:
      UserError: no port, gradio is not installed, no checkpoint, or the address is taken or not
        this machine's.
    """
    from egmt_jax.errors import UserError

    if not 1 <= arguments.port <= 65535:
        raise UserError(f"--port={arguments.port}: 1 to 65535")
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError(f"needs gradio ({error}): in the clone, pip install -e '.[app]'") from error
    # Told by the head of a file, before memory is taken; OpenCV reads it as it is loaded.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    from egmt_jax.cli.page_layout import serve
    from egmt_jax.compile_cache import keep_compiled
    from egmt_jax.inference.fuser import load_fuser

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the end is an orderly one
    keep_compiled()
    fuser = load_fuser(arguments.checkpoint)
    with (
        serve(fuser, arguments.host, arguments.port) as address,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"{address} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    return 0
