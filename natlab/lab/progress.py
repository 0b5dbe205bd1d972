"""How far a sweep is: `punch_grid(seed, "tcp", progress=show)`.

A sweep calls it with (done, of how many) before each piece of work and after the last. In a notebook that is one line
of output, replaced each time, so a finished notebook keeps the last count only; elsewhere a line on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeVar

__all__ = ["Progress", "counted", "show"]

T = TypeVar("T")

Progress = Callable[[int, int], None]

UPDATES = 20  # at most about so many for one sweep: a browser has other things to do

_lines = count()
_line = ""  # the notebook's name for the line that is being replaced


def counted(pieces: Sequence[T], progress: Progress | None) -> Iterator[T]:
    """The pieces one by one, and tells how many are done."""
    for done, piece in enumerate(pieces):
        if progress is not None:
            progress(done, len(pieces))
        yield piece
    if progress is not None:
        progress(len(pieces), len(pieces))


def show(done: int, total: int) -> None:
    """Shows it to whoever sits in front of the notebook or the terminal."""
    global _line
    if done % max(1, total // UPDATES) and done != total:
        return
    from IPython.core.getipython import get_ipython  # when first needed: scripts without it start faster
    from IPython.display import display

    words = f"{done} of {total}"
    if get_ipython() is None:
        print(f"\r{words}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        return
    if done == 0:
        _line = f"natlab progress {next(_lines)}"
    display({"text/plain": words}, raw=True, display_id=_line, update=done > 0)  # type: ignore[no-untyped-call]
