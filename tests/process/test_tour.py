"""The notebook ``models/tour.ipynb`` runs in a kernel of its own, from its folder."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.waiting import scaled


@pytest.fixture
def tour(root: Path) -> nbformat.NotebookNode:
    return nbformat.read(root / "models" / "tour.ipynb", as_version=4)


@pytest.fixture
def executed(
    tour: nbformat.NotebookNode, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> nbformat.NotebookNode:
    """The notebook with its outputs."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    client = NotebookClient(
        tour, timeout=int(scaled(60)), resources={"metadata": {"path": str(root / "models")}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(root)})
    return tour


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_holds_no_outputs(tour: nbformat.NotebookNode) -> None:
    nbformat.validate(tour)
    assert [cell.outputs for cell in code(tour)] == [[]] * len(code(tour))
    assert {cell.execution_count for cell in code(tour)} == {None}


def test_every_cell_runs(executed: nbformat.NotebookNode) -> None:
    outputs: list[Any] = [one for cell in code(executed) for one in cell.outputs]
    drawn = [one for one in outputs if "image/png" in one.get("data", {})]
    texts = "".join(one.text for one in outputs if one.output_type == "stream")
    assert {one.name for one in outputs if one.output_type == "stream"} == {"stdout"}
    assert len(drawn) == len(code(executed)) - 2  # all but the imports and the card
    assert texts.startswith("<Model digits/1, 28×28×1> trained on mnist\n")
    assert "\na 7, with a squared error of 0.00" in texts
