"""The notebook runs from top to bottom and is stored without results."""

import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "egmt_colab.ipynb"


def cells_of_code():
    return [
        cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"
    ]


def test_is_stored_without_results():
    for cell in cells_of_code():
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_is_plain_python_without_urls():
    for cell in cells_of_code():
        source = "".join(cell["source"])
        compile(source, "cell", "exec")  # no magics: every front end runs it
        assert "http" not in source


def test_runs_from_top_to_bottom(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    monkeypatch.setenv("EGMT_NOTEBOOK_TINY", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 6, "two of a pair, data set, curves, sample sheet, trained"
    (table,) = [each["data"]["text/markdown"] for each in outputs if is_markdown(each)]
    assert "| trained here |" in table
    assert (tmp_path / "run" / "report.md").exists()
    assert not (NOTEBOOK.parent / "egmt-notebook").exists()


def is_markdown(output):
    return "text/markdown" in output.get("data", {})
