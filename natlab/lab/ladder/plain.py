"""A ladder in plain text: one line per step, in the order they began.

     time, s      alice         home         relay
       0.000        ├─SYN─────────┼────────────>│      to 12.0.0.1:4001; home: from 11.0.0.1:4001
       0.020        │<────────────┼──────SYN ACK┤      to 11.0.0.1:4001; home: to 192.168.1.2:4001
       1.000        │             ×<─────────SYN┤      to 11.0.0.1:9; home dropped it: no mapping
       2.000        ●             │             │      dials bob (client, attempt 1)

Arrows are level here: a line says when a step began, the order of lines says what began first.
"""

from __future__ import annotations

from collections.abc import Sequence

from natlab.lab.ladder.steps import Step, StepKind

_CELL = 15  # characters for a place, at least
_TIME = 10


def plain(steps: Sequence[Step], places: Sequence[str]) -> str:
    """The ladder as lines of text."""
    cell = max(_CELL, *(len(place) + 1 for place in places))
    header = "time, s".rjust(_TIME) + "".join(place.center(cell) for place in places)
    return "\n".join([header.rstrip(), *(_line(step, places, cell).rstrip() for step in steps)])


def sentence(step: Step) -> str:
    """One step in words, for the picture's description: `3.021 s: alice to relay: SYN to 12.0.0.1:4001`."""
    return f"{step.time:.3f} s: {_way(step)}: {'; '.join(filter(None, [step.text, *_remarks(step)]))}"


def brief(step: Step) -> str:
    """The same for alt text, without numbers: `alice to relay: SYN`."""
    return f"{_way(step)}: {step.label}{f', {step.end}' if step.end else ''}"


def _way(step: Step) -> str:
    return " to ".join(dict.fromkeys([step.places[0], step.places[-1]]))


def _line(step: Step, places: Sequence[str], cell: int) -> str:
    line = "│".center(cell)
    cells, middle = list(line * len(places)), line.index("│")
    at = [places.index(place) * cell + middle for place in step.places]
    if len(at) == 1:
        cells[at[0]] = "×" if step.end else "●"
    else:
        _arrow(cells, at, step)
    detail = [step.text if len(at) == 1 else step.detail]
    return f"{step.time:{_TIME}.3f}{''.join(cells)}  {'; '.join(filter(None, detail + _remarks(step)))}"


def _arrow(cells: list[str], at: list[int], step: Step) -> None:
    """Draws from the first position to the last, the label next to its sender."""
    start, end = at[0], at[-1]
    low, high = sorted((start, end))
    for position in range(low, high + 1):
        cells[position] = "┼" if cells[position] == "│" else ("═" if step.kind == StepKind.MESSAGE else "─")
    forward = end > start
    cells[start] = "├" if forward else "┤"
    head = end - 1 if forward else end + 1
    cells[head] = ">" if forward else "<"
    cells[end] = "×" if step.end else "│"
    words = step.label[: high - low - 3]
    first = start + 2 if forward else start - 1 - len(words)
    cells[first : first + len(words)] = list(words)


def _remarks(step: Step) -> list[str]:
    """What the NAT boxes did, and how it ended."""
    rewritten = [f"{stop.place}: {stop.label}" for stop in step.stops if stop.label]
    ending = [f"at {step.places[-1]} {step.ending}"] if step.end else ([step.ending] if step.again else [])
    return rewritten + ending
