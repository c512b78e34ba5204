"""What is answered without a model answers at once, since nothing heavy is imported for it."""

import subprocess
import sys

import pytest

from egmt_jax.cli.main import COMMANDS, main

HEAVY = {"cv2", "flax", "grain", "jax", "numpy", "orbax", "tensorflow_datasets", "tqdm"}


def imported(*calls):
    """Heavy modules that a process has imported after calls of `main`, whatever they return."""
    code = (
        "import contextlib, sys; from egmt_jax.cli import main\n"
        f"for call in {calls!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):\n"
        "        main(call)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_help_and_wrong_arguments_import_nothing_heavy():
    calls = [["--help"], *([command, "--help"] for command in COMMANDS), ["fuse", "a.png"]]
    calls += [
        ["fuse", "no.png", "no.png", "-o", "o.png"],
        ["fuse", ".", ".", "-o", "o", "--jobs=0"],
    ]
    assert imported(*calls) == set()


def test_fusing_imports_nothing_that_is_for_training(tmp_path):
    from egmt_jax.io.images import write_png
    from egmt_jax.testing import made_up_pair

    files = [str(tmp_path / name) for name in ("v.png", "i.png")]
    for file, image in zip(files, made_up_pair(24, 24), strict=True):
        write_png(file, image[:12])  # too small: it is read, and then refused
    found = imported(["fuse", *files, "-o", str(tmp_path / "o.png")])
    assert {"cv2", "jax", "flax"} <= found
    assert not found & {"grain", "orbax", "tensorflow_datasets"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_what_the_list_of_commands_tells(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{COMMANDS[command][1:]}." in told
