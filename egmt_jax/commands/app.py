"""`egmt app`: a page in the browser on which pairs of pictures are fused."""

import argparse
import contextlib
import pathlib
import signal
import threading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=7860, help="(default: %(default)s)")
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        metavar="WORKDIR",
        help="workdir of a training run, for its newest checkpoint; default: the released weights",
    )
    parser.epilog = (
        "Ctrl-C ends it. Pictures that are given to the page stay on this machine, in the folder "
        "for temporary files, for two hours at most. There is no password: let in only those who "
        "may use this machine."
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until it is interrupted.

    Returns:
      0.

    Raises:
      UserError: gradio is not installed, no checkpoint, or the address is taken or not this
        machine's.
    """
    from egmt_jax.errors import UserError

    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError(f"needs gradio ({error}): pip install 'egmt-jax[app]'") from error
    from egmt_jax.app import serve
    from egmt_jax.inference.fuser import load_fuser

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the end is an orderly one
    fuser = load_fuser(arguments.checkpoint)
    with (
        serve(fuser, arguments.host, arguments.port) as address,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"{address} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    return 0
