"""launch.py: wrong commands end with one line."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.optimizer.stepz=3"], "the config has no field"),
        (["--config.optimizer.steps=many"], "--config.optimizer.steps=many: invalid literal"),
        (["--config.guidance.distractors=-5"], "guidance.distractors=-5.0: must be at least 0"),
        (["--config=configs/none.py"], "configs/none.py"),
        (["--config=configs/demo.py:no_text"], "config variant 'no_text': known are"),
        (["--processes=2"], "--coordinator is missing"),
        (["train"], "'train' is not a flag"),
        (["--mode=play"], "train|evaluate|export"),
        (["--best"], "--best goes with --mode=evaluate or --mode=export"),
        (["--mode=export", "--best"], "no best model"),
        (
            ["--config=configs/m3fd.py", "--config.data.manual_dir=none"],
            "unpack `M3FD_Fusion.zip`",
        ),
    ],
)
def test_a_wrong_command_ends_with_one_line(tmp_path, arguments, message):
    if not any(argument.startswith("--config=") for argument in arguments):
        arguments = ["--config=configs/demo.py", *arguments]
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    command += [f"--workdir={tmp_path / 'run'}", f"--config.data.data_dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    output = (done.stdout + done.stderr).strip()
    assert done.returncode == 1
    assert message in output.splitlines()[-1]
    assert "Traceback" not in output
