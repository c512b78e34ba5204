"""`egmt app`: a page in the browser that fuses pairs of images."""

import argparse
import contextlib
import os
import signal
import threading

from egmt_jax.cli import add_model
from egmt_jax.errors import UserError

MOST_PIXELS = 25_000_000  # of an image: fusing and scoring so many takes 4 GB of memory
EPILOG = """\
Prints the URL of the page, which fuses a pair of images or a made-up example, compares the result
with each source, and shows attention, metrics and a download. Ctrl-C stops it. Needs gradio: in the
clone, pip install -e '.[app]'.

Images given to the page stay on this machine, in the folder for temporary files, for at most two
hours. There is no password: admit only people who may use this machine.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `egmt app`."""
    parser.epilog = EPILOG
    text = "address to listen on; 0.0.0.0 admits other machines (default: %(default)s)"
    parser.add_argument("--host", default="127.0.0.1", help=text)
    text = "to listen on (default: %(default)s)"
    parser.add_argument("--port", type=int, default=7860, help=text)
    add_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serves until interrupted, returns 0; raises UserError, such as for a port in use."""
    if not 1 <= arguments.port <= 65535:
        raise UserError(f"--port={arguments.port}: 1 to 65535")
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError(f"needs gradio ({error}): in the clone, pip install -e '.[app]'") from error
    # OpenCV reads it when it is imported, and checks headers before it allocates memory.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    from egmt_jax.cli.page_layout import serve
    from egmt_jax.compile_cache import keep_compiled
    from egmt_jax.inference.fuser import load_fuser

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # for an orderly end
    keep_compiled()
    fuser = load_fuser(arguments.checkpoint, arguments.model)
    with (
        contextlib.suppress(KeyboardInterrupt),
        serve(fuser, arguments.host, arguments.port) as url,
    ):
        print(f"{url} (Ctrl-C stops it)", flush=True)
        threading.Event().wait()
    return 0
