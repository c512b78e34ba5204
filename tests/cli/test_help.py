"""The `egmt` command: fast help and argument errors, since nothing heavy is imported for them."""

import subprocess
import sys

import pytest

from egmt_jax.cli.main import COMMANDS, main
from egmt_jax.io.images import write_png
from egmt_jax.testing import made_up_pair

HEAVY = {"cv2", "flax", "grain", "jax", "numpy", "orbax", "tensorflow_datasets", "tqdm"}


def imported(*calls):
    """Heavy modules that a process imports for calls of `main`."""
    code = (
        "import contextlib, sys; from egmt_jax.cli.main import main\n"
        f"for call in {calls!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):\n"
        "        main(call)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_help_and_argument_errors_import_nothing_heavy():
    calls = [["--help"], *([command, "--help"] for command in COMMANDS), ["fuse", "a.png"]]
    calls += [["fuse", "a", "b", "-o", "o", "--size", "largest"], ["app", "--port", "0"]]
    calls += [["fuse", "no.png", "no.png", "-o", "o.png"]]
    assert imported(*calls) <= {"numpy"}


def test_fusing_imports_nothing_for_training(tmp_path):
    files = [str(tmp_path / name) for name in ("v.png", "i.png")]
    for file, image in zip(files, made_up_pair(24, 24), strict=True):
        write_png(file, image[:12])  # too small, which is an error after the imports
    found = imported(["fuse", *files, "-o", str(tmp_path / "o.png")])
    assert {"cv2", "jax", "flax"} <= found
    assert not found & {"grain", "orbax", "tensorflow_datasets"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_starts_with_the_summary_of_the_command(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    assert f"{COMMANDS[command][1][1:]}." in " ".join(capsys.readouterr().out.split())


def test_wrong_usage_exits_with_2(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["fuse", "a.png", "b.png", "-o", "o.png", "--size", "largest"])
    assert leaving.value.code == 2
    assert "--size" in capsys.readouterr().err


def test_the_app_without_a_valid_port_or_gradio_is_an_error_of_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    for arguments, message in (
        (["--port", "0"], "egmt app: --port=0: 1 to 65535\n"),
        (["--port", "65536"], "egmt app: --port=65536: 1 to 65535\n"),
        ([], "pip install -e '.[app]'"),
    ):
        assert main(["app", *arguments]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
