"""The entry point: what it refuses, and that compiled programs are kept."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def launch(*arguments):
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.optimizer.stepz=3"], "the config has no field"),
        (["--config.optimizer.steps=many"], "--config.optimizer.steps=many: invalid literal"),
        (["--config=configs/none.py"], "configs/none.py"),
        (["--config=configs/demo.py:no_text"], "config variant 'no_text': known are"),
        (["--processes=2"], "--coordinator is missing"),
        (["train"], "'train' is not a flag"),
        (["--mode=play"], "train|evaluate|export"),
        (["--best"], "--best goes with --mode=evaluate or --mode=export"),
        (["--mode=export", "--best"], "no best model, which evaluations during training keep, in"),
    ],
)
def test_a_wrong_command_ends_with_one_line(tmp_path, arguments, message):
    code, output = launch("--config=configs/demo.py", f"--workdir={tmp_path}", *arguments)
    assert code == 1
    assert message in output.splitlines()[-1]
    assert "Traceback" not in output


def test_compiled_programs_are_kept_in_the_workdir_unless_told_otherwise(tmp_path):
    code = (
        "import sys, jax, launch; launch.keep_compiled(sys.argv[1]);"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT)}
    for more, expected in (
        ({}, str(tmp_path / "compilation_cache")),
        ({"JAX_COMPILATION_CACHE_DIR": "/elsewhere"}, "/elsewhere"),
    ):
        done = subprocess.run(
            command, env=environment | more, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.strip() == expected
