"""The README says what is: its example runs, its links lead somewhere, and what it calls "to come" is not there yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/first-punch.svg"
README = (ROOT / "README.md").read_text()


def example() -> dict[str, Any]:
    """What the README's Python example leaves behind."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    names: dict[str, Any] = {}
    exec(code[1], names)
    return names


def test_the_example_punches_a_hole() -> None:
    assert list(example()["lab"].punches["outcome"]) == ["success"]


def test_the_picture_is_the_one_that_the_example_draws() -> None:
    """If the drawing has changed on purpose: `python tests/test_readme.py` draws it anew."""
    assert PICTURE.read_text() == example()["picture"].svg


def test_its_links_lead_to_files() -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in target]
    assert PICTURE.relative_to(ROOT).as_posix() in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_notebook_is_named_and_those_to_come_are_not_there() -> None:
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    named = set(re.findall(r"\b(?:\d\d|x\d)-[a-z-]+[a-z]\b", README))
    to_come = {name for names in re.findall(r"([^|;]*), to come", README) for name in named if name in names}
    assert there == named - to_come


if __name__ == "__main__":
    PICTURE.write_text(example()["picture"].svg)
