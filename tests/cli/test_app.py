"""`egmt app` where it cannot start; the page itself is tested in tests/test_page_in_browser.py."""

import sys

import pytest

from egmt_jax.cli.main import main


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_number_that_is_no_port_is_one_line(port, capsys):
    assert main(["app", "--port", port]) == 1
    assert capsys.readouterr().err == f"egmt app: --port={port}: 1 to 65535\n"


def test_without_gradio_one_line_tells_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 1
    error = capsys.readouterr().err
    assert "pip install -e '.[app]'" in error
    assert error.count("\n") == 1
