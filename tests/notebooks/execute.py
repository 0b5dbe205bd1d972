"""Runs a notebook from a clean kernel, as `jupyter nbconvert --execute` does, and keeps nothing that varies.

python tests/notebooks/execute.py notebooks/00-start-here.ipynb      runs it and writes its outputs into the file
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run of all its cells; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # on a busy computer one print comes in several messages
        resources={"metadata": {"path": path.parent}},
    ).execute()
    notebook.metadata["language_info"] = {"name": "python"}  # not this machine's patch release
    return notebook


def main() -> None:
    for name in sys.argv[1:]:
        nbformat.write(execute(Path(name)), name)


if __name__ == "__main__":
    main()
