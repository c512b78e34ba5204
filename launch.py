"""Trains, evaluates or exports by config.

    python launch.py --config=configs/demo.py --workdir=runs/demo
    python launch.py --config=configs/demo.py --workdir=runs/demo --mode=evaluate [--best]

Fields of the config can be set on the command line: --config.optimizer.steps=4000. A run that was
interrupted resumes when the same command is given again.

Within srun and on TPU machines the processes of a run find each other. Elsewhere start one per
machine, with a --workdir that all of them see:

    python launch.py ... --coordinator=HOST:PORT --processes=2 --process_id=0    # and 1
"""

import logging as standard_logging
import os
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

MODES = ("train", "evaluate", "export")

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="Config file, such as configs/demo.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run: checkpoints, logs, exported pictures, tables."
)
_MODE = flags.DEFINE_enum(
    "mode", "train", MODES, "train (resumes), evaluate (tables), or export (pictures)."
)
_BEST = flags.DEFINE_bool(
    "best",
    False,
    "Evaluate or export the best model by evaluation.metric during training, not the last.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Training on several machines: host:port of the first process."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many processes train together.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "The number of this one, from 0.")
flags.mark_flags_as_required(["config", "workdir"])


def main(arguments: list[str]) -> None:
    """Runs one mode; errors that the user can mend end the program with one line."""
    if len(arguments) > 1:
        sys.exit(f"launch.py: {arguments[1]!r} is not a flag; see launch.py --help")
    from egmt_jax.errors import UserError
    from egmt_jax.inference import sheets, splits, validation
    from egmt_jax.training.loop import train
    from egmt_jax.training.processes import start_processes

    logging.set_verbosity(logging.WARNING)  # TFDS tells every file it touches
    # What goes wrong in Orbax comes as an exception: its log would drown that in tracebacks.
    logging.get_absl_logger().addFilter(lambda record: "orbax" not in record.pathname)
    standard_logging.getLogger("asyncio").setLevel("CRITICAL")
    config, workdir = _CONFIG.value, _WORKDIR.value
    if _BEST.value and _MODE.value == "train":
        sys.exit("launch.py: --best goes with --mode=evaluate or --mode=export")
    if _MODE.value != "train" and any(
        value is not None for value in (_COORDINATOR.value, _PROCESSES.value, _PROCESS_ID.value)
    ):
        sys.exit("launch.py: --coordinator, --processes and --process_id go with --mode=train")
    keep_compiled(workdir)
    try:
        if _MODE.value == "train":
            start_processes(_COORDINATOR.value, _PROCESSES.value, _PROCESS_ID.value)
            train(config, workdir, sheets.sample_sheet, validation.evaluator(config, workdir))
        elif _MODE.value == "evaluate":
            print(splits.evaluate(config, workdir, _BEST.value))
        else:
            print(f"contact sheet: {splits.export(config, workdir, _BEST.value)}")
        failure = None
    except (UserError, FloatingPointError) as error:
        failure = f"launch.py: {error}"
    if failure:  # here, where the exception and the work it holds on to are gone
        end(failure)


def end(failure: str) -> None:
    """Ends this process, and so the others of its run, with a message."""
    import jax

    if jax.process_count() > 1:  # an orderly end waits for the others, and they for this one
        print(failure, file=sys.stderr, flush=True)
        os._exit(1)
    sys.exit(failure)


def keep_compiled(workdir: str) -> None:
    """Keeps compiled programs under the workdir, for the next start, if nothing else is set."""
    import jax

    if not jax.config.jax_compilation_cache_dir:
        folder = pathlib.Path(workdir).absolute() / "compilation_cache"
        jax.config.update("jax_compilation_cache_dir", str(folder))


def parse(arguments: list[str]) -> list[str]:
    """absl's parsing, with what is wrong told in one line."""
    try:
        rest = flags.FLAGS(arguments)
        _CONFIG.value.items()  # one that could not be loaded says so when it is looked at
        return rest
    except (
        flags.Error,
        AttributeError,
        ImportError,
        KeyError,
        NameError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as error:
        message = str(error).strip()
        if "Traceback" in message:  # that of the config file: its last line is the reason
            message = message.splitlines()[-1]
        if message.startswith(("'", '"')):  # ml_collections names the field and no more
            message = f"the config has no field {message}"
        sys.exit(f"launch.py: {' '.join(message.split())}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
