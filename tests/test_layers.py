"""The layer rule, read from the real imports: a module imports only strictly lower rows, or its own package.
The modules of the lowest row are one package, natlab's own.

    errors endpoint packet events | wire | net upgrade nat | protocol portmap | transport | host sim | netns | lab

The heavy libraries each have one place: pandas, networkx, matplotlib, ipywidgets and IPython only in `natlab.lab`; and
`import natlab` alone loads none of them.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "natlab"
ROWS = (
    ("errors", "endpoint", "packet", "events"),
    ("wire",),
    ("net", "upgrade", "nat"),
    ("protocol", "portmap"),
    ("transport",),
    ("host", "sim"),
    ("netns",),
    ("lab",),
)
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
#: The package's own front: `from natlab import Lab`, and the command line. They may import everything.
FRONT = ("__init__", "__main__")
ONLY_IN_LAB = ("pandas", "networkx", "matplotlib", "ipywidgets", "IPython", "nest_asyncio", "nest_asyncio2")

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def targets(nodes: Iterable[ast.AST]) -> set[str]:
    """What these import statements import, with the full dotted name of each module; other nodes do not count."""
    found = set()
    for node in nodes:
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names, level=0):
                found |= {f"{module}.{alias.name}" for alias in names} & MODULES.keys() or {module}
            case ast.ImportFrom():
                pytest.fail("a relative import; write the full name, so that the layer shows")
    return found


#: Every import of each module, also those for types only and those inside functions.
IMPORTS = {name: targets(ast.walk(ast.parse(path.read_text()))) for name, path in MODULES.items()}


def layer(module: str) -> str | None:
    """`natlab.wire.varint` is in layer `wire`; the front and what is not natlab are in none."""
    parts = module.split(".")
    return parts[1] if parts[0] == "natlab" and len(parts) > 1 and parts[1] not in FRONT else None


def test_every_module_has_a_row() -> None:
    assert {layer(name) for name in MODULES} - {None} <= ROW.keys()


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name)])
def test_imports_go_strictly_down(module: str) -> None:
    own = layer(module)
    for target in IMPORTS[module]:
        other = layer(target)
        if target.split(".")[0] == "natlab" and other != own:
            assert other is not None, f"{module} imports the front, {target}"
            assert ROW[other] < ROW[own] or ROW[own] == 0, f"{module} imports {target}, which is not below it"


def test_no_module_imports_itself_in_a_circle() -> None:
    """Of the imports that happen when a module is loaded: those at its top level, outside `if TYPE_CHECKING`."""
    loaded = {name: targets(ast.parse(path.read_text()).body) & MODULES.keys() for name, path in MODULES.items()}
    TopologicalSorter(loaded).prepare()


@pytest.mark.parametrize("library", ONLY_IN_LAB)
def test_heavy_libraries_only_in_lab(library: str) -> None:
    users = {name for name, used in IMPORTS.items() if library in {target.split(".")[0] for target in used}}
    assert {layer(name) for name in users} <= {"lab"}


def test_import_natlab_loads_no_heavy_library() -> None:
    code = "import natlab, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "natlab" in loaded
    assert not {"pandas", "networkx", "matplotlib", "ipywidgets", "IPython"} & set(loaded)


@pytest.mark.parametrize("package", ["lab", "netns", "portmap", "protocol", "sim"])
def test_the_first_page_of_a_package_names_each_of_its_modules(package: str) -> None:
    page = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text())) or ""
    modules = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
    assert modules - set(re.findall(r"\w+", page)) == set()
