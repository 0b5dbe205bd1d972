"""The promise: same seed, same journal. Processes that differ in everything that must not matter tell the same.

script     hash seed 0
litter     another hash seed, labs and imports in the opposite order, memory littered before and between, garbage
           collected all the time, inside an asyncio loop that has other things to do
notebook   one more hash seed, in a cell of a Jupyter kernel
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).parent
PLAY = HERE / "play.py"

Told = dict[str, tuple[str, list[str]]]  # by scenario: digest, problems


def parsed(printed: str) -> Told:
    lines = map(json.loads, printed.splitlines())
    return {name: (digest, problems) for name, digest, problems in lines}


def script(count: int, hash_seed: str, *options: str) -> Told:
    ended = subprocess.run(
        [sys.executable, PLAY, str(count), *options],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return parsed(ended.stdout)


def notebook(count: int, hash_seed: str) -> Told:
    """Plays in a cell, so in a task of the kernel's own running loop."""
    cell = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport play\nplay.main([{str(count)!r}])"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(book, timeout=None, kernel_name="python3").execute(env={**os.environ, "PYTHONHASHSEED": hash_seed})
    return parsed("".join(output["text"] for output in book.cells[0].outputs if output["name"] == "stdout"))


def compare(count: int) -> None:
    with ThreadPoolExecutor() as pool:
        plain = pool.submit(script, count, "0")
        littered = pool.submit(script, count, "4242", "--backwards", "--litter", "--inside-a-loop")
        third = notebook(count, "99")
        one, other = plain.result(), littered.result()
    assert len(one) == len(other) == len(third) > count
    assert [name for name in one if one[name] != other[name]] == []
    assert [name for name in one if one[name] != third[name]] == []
    assert {name: problems for name, (_, problems) in one.items() if problems} == {}


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # the kernel's own
def test_processes_that_differ_in_all_that_must_not_matter_tell_the_same() -> None:
    compare(200)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("default")
def test_the_same_with_two_thousand_random_labs() -> None:
    compare(2000)


@pytest.fixture(scope="module")
def scenarios():
    sys.path.insert(0, str(HERE))
    try:
        yield importlib.import_module("scenarios")
    finally:
        sys.path.remove(str(HERE))


def test_another_seed_gives_other_ports_and_other_journals(scenarios) -> None:
    ports = [set(scenarios.punch(seed).mappings.query("box == 'office'").external) for seed in (7, 8)]
    assert ports[0].isdisjoint(ports[1])
    assert all(scenarios.told(name, 7).digest != scenarios.told(name, 8).digest for name in scenarios.names(0))


def test_two_labs_that_take_turns_do_not_move_each_other(scenarios) -> None:
    labs = [scenarios.Lab(seed) for seed in (1, 2)]
    for verbs in zip(*map(scenarios.punching, labs), strict=True):
        for lab, verb in zip(labs, verbs, strict=True):
            lab.run(verb)
    assert [lab.journal.events for lab in labs] == [scenarios.punch(seed).journal.events for seed in (1, 2)]


def test_a_lab_that_gives_way_to_the_notebooks_loop_tells_the_same(scenarios) -> None:
    lab = scenarios.Lab(7)

    async def main() -> None:
        for verb in scenarios.punching(lab):
            await lab.arun(verb)

    asyncio.run(main())
    assert lab.journal.events == scenarios.punch(7).journal.events
