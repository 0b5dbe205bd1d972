"""The README says what is: its example runs, its links lead somewhere, and what it calls "to come" is not there yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_example_punches_a_hole() -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    names: dict[str, Any] = {}
    exec(example[1], names)
    assert list(names["lab"].punches["outcome"]) == ["success"]


def test_its_links_lead_to_files() -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in target]
    assert "docs/first-punch.svg" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_notebook_is_named_and_those_to_come_are_not_there() -> None:
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    named = set(re.findall(r"\b(?:\d\d|x\d)-[a-z-]+[a-z]\b", README))
    to_come = {name for names in re.findall(r"([^|;]*), to come", README) for name in named if name in names}
    assert there == named - to_come
