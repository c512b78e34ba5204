"""The program of launch.py: trains, evaluates or exports by config."""

import logging as standard_logging
import os
import sys
from collections.abc import Sequence

import jax
from absl import app, flags, logging
from ml_collections import config_flags

import tfds_builders  # noqa: F401  (registers the data sets with TFDS)
from egmt_jax.compile_cache import keep_compiled
from egmt_jax.errors import UserError
from egmt_jax.evaluation import splits
from egmt_jax.training.loop import train
from egmt_jax.training.processes import start_processes
from egmt_jax.training.validate_config import validate_config

MODES = ("train", "evaluate", "export")

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="Config file, such as configs/demo.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run, for all that it writes.")
_MODE = flags.DEFINE_enum(
    "mode", "train", MODES, "train (resumes), evaluate (tables), or export (pictures)."
)
_BEST = flags.DEFINE_bool(
    "best", False, "Evaluate or export the best model by evaluation.metric, not the newest."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Training on several machines: host:port of the first process."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "Number of processes that train together.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Index of this process, from 0.")


def run() -> None:
    """Parses the command line and runs one mode."""
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=parse)


def main(arguments: Sequence[str]) -> None:
    """Runs one mode; a user error ends the program with one line."""
    if len(arguments) > 1:
        sys.exit(f"launch.py: {arguments[1]!r} is not a flag; see launch.py --help")
    logging.set_verbosity(logging.WARNING)  # TFDS logs every file it touches
    # Orbax's errors arrive as exceptions; its log only repeats them, with tracebacks.
    logging.get_absl_logger().addFilter(lambda record: "orbax" not in record.pathname)
    standard_logging.getLogger("asyncio").setLevel("CRITICAL")
    config, workdir = _CONFIG.value, str(_WORKDIR.value)
    if _BEST.value and _MODE.value == "train":
        sys.exit("launch.py: --best goes with --mode=evaluate or --mode=export")
    processes = _COORDINATOR.value, _PROCESSES.value, _PROCESS_ID.value
    if _MODE.value != "train" and processes != (None, None, None):
        sys.exit("launch.py: --coordinator, --processes and --process_id go with --mode=train")
    keep_compiled()
    try:
        validate_config(config)
        if _MODE.value == "train":
            start_processes(*processes)
            train(config, workdir)
        elif _MODE.value == "evaluate":
            print(splits.evaluate(config, workdir, _BEST.value))
        else:
            print(f"contact sheet: {splits.export(config, workdir, _BEST.value)}")
        failure = None
    except (UserError, FloatingPointError) as error:
        failure = f"launch.py: {error}"
    except KeyboardInterrupt:
        failure = "launch.py: interrupted before there was anything to save"
    if failure:  # outside of the handler, so that the exception does not keep objects alive
        _end(failure)


def _end(failure: str) -> None:
    """Ends this process with a message, and with it all processes of the run."""
    if jax.process_count() > 1:  # a normal exit would wait for the others, and they for this one
        print(failure, file=sys.stderr, flush=True)
        os._exit(1)
    sys.exit(failure)


def parse(arguments: Sequence[str]) -> list[str]:
    """Parses the flags as absl does, but reports an error in one line."""
    try:
        rest = flags.FLAGS(arguments)
        _CONFIG.value.items()  # a config that failed to load raises here
        return rest
    except Exception as error:  # of any type, from the config file
        message = str(error).strip()
        if "Traceback" in message:  # from the config file: the last line is the reason
            message = message.splitlines()[-1]
        if message.startswith(("'", '"')):  # ml_collections only names the field
            message = f"the config has no field {message}"
        sys.exit(f"launch.py: {' '.join(message.split())}")
