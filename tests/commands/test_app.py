"""`egmt app` where it cannot start; the page itself is tested in tests/test_page_in_browser.py."""

import sys

from egmt_jax.cli import main


def test_without_gradio_one_line_tells_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 1
    error = capsys.readouterr().err
    assert "pip install 'egmt-jax[app]'" in error
    assert error.count("\n") == 1
