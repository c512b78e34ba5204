"""Trains, evaluates or exports by config.

    python launch.py --config=configs/demo.py --workdir=runs/demo
    python launch.py --config=configs/demo.py --workdir=runs/demo --mode=evaluate

Fields of the config can be set on the command line: --config.optimizer.steps=4000. A run that was
interrupted resumes when the same command is given again.
"""

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
flags.mark_flags_as_required(["config", "workdir"])


def main(arguments: list[str]) -> None:
    """Runs one mode; errors that the user can mend end the program with one line."""
    if len(arguments) > 1:
        sys.exit(f"launch.py: {arguments[1]!r} is not a flag; see launch.py --help")
    from egmt_jax.errors import UserError
    from egmt_jax.inference import sheets, splits
    from egmt_jax.training.loop import train

    logging.set_verbosity(logging.WARNING)  # Orbax and TFDS tell every file they touch
    config, workdir = _CONFIG.value, _WORKDIR.value
    try:
        if _MODE.value == "train":
            train(config, workdir, draw=sheets.sample_sheet)
        elif _MODE.value == "evaluate":
            print(splits.evaluate(config, workdir))
        else:
            print(f"contact sheet: {splits.export(config, workdir)}")
    except (UserError, FloatingPointError) as error:
        sys.exit(f"launch.py: {error}")


def parse(arguments: list[str]) -> list[str]:
    """absl's parsing, with an unknown field of the config told in one line."""
    try:
        return app.parse_flags_with_usage(arguments)
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError) as error:
        sys.exit(f"launch.py: {' '.join(str(error).split())}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
