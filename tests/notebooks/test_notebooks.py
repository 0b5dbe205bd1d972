"""Every notebook runs from a clean kernel and gives the outputs that are committed with it.

If outputs are to change: `python tests/notebooks/execute.py notebooks/NAME.ipynb`, look at them, commit.
"""

from __future__ import annotations

import importlib.util
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))


def _execute(path: Path) -> nbformat.NotebookNode:
    spec = importlib.util.spec_from_file_location("notebook_execute", HERE / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute(path)


def test_there_is_the_first_notebook():
    assert "00-start-here.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")
def test_a_run_from_a_clean_kernel_gives_the_committed_outputs(path):
    committed, rerun = nbformat.read(path, as_version=4), _execute(path)
    for cell, again in zip(committed.cells, rerun.cells, strict=True):
        if cell.cell_type == "code" and not _is_another_kernels(cell):
            assert again.outputs == cell.outputs, f"outputs differ below:\n{cell.source}"
            assert cell.execution_count == again.execution_count


def _is_another_kernels(cell: nbformat.NotebookNode) -> bool:
    """Whether it shows what the reader's own kernel does: the committed outputs are Linux's."""
    return "this-kernel" in cell.metadata.get("tags", []) and sys.platform != "linux"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_enough_to_be_read(path):
    cells = nbformat.read(path, as_version=4).cells
    words = sum(len(re.findall(r"\w+", cell.source)) for cell in cells if cell.cell_type == "markdown")
    lines = [len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code"]
    assert 20 <= len(cells) <= 35 and words <= 1500
    assert statistics.median(lines) <= 4 and max(lines) <= 10


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_has_alt_text(path):
    pictures = [
        output.data["text/html"]
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "<img" in output.get("data", {}).get("text/html", "")
    ]
    assert pictures and all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_links_lead_to_notebooks_and_what_is_to_come_is_not_there(path):
    there = {notebook.stem for notebook in NOTEBOOKS}
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    assert set(re.findall(r"\]\(([^)\s:]+)\.ipynb\)", text)) <= there
    to_come = [
        name for names in re.findall(r"([^|;.]*) \(to come\)", text) for name in re.findall(r"\d\d-[a-z-]+", names)
    ]
    assert not there & set(to_come)
