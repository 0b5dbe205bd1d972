"""A heat map: a table of a few words, each word a colour and a mark of its own.

                 columns' name
                 EI/EI  EI/AD  EI/APD
    rows' EI/EI   ><     ><     ><         ><  crossed
    name  EI/AD   ><     ><     A           A  alice is reached
                                            legend: only the words that occur, with their number

The colours can be told apart with any colour vision, and the marks say the same without any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from natlab.errors import LabError
from natlab.lab import svg
from natlab.lab.figure import Figure
from natlab.lab.palette import INK, MUTED, PAPER

__all__ = ["Shade", "heat_map"]

_WIDE, _HIGH, _GAP = 54.0, 30.0, 6.0  # px, of a cell, and between groups of cells
_LEFT, _TOP, _LEGEND, _ROOM = 112.0, 84.0, 34.0, 20.0  # px; the first two at least, more if the labels are long


class _Frame(NamedTuple):
    """Where the cells begin, and whether the columns' labels are too long to stand side by side."""

    left: float
    top: float
    upright: bool

    @classmethod
    def around(cls, table: pd.DataFrame) -> _Frame:
        rows, columns = (max((svg.text_width(str(label)) for label in axis), default=0.0) for axis in table.axes)
        upright = columns > _WIDE
        return cls(max(_LEFT, _ROOM + rows + 8), _TOP + (columns if upright else 0), upright)


class Shade(NamedTuple):
    """How a word looks: the colour of its cell, a mark of one or two characters on it, what the legend says."""

    fill: str
    mark: str
    words: str


def heat_map(
    table: pd.DataFrame, shades: Mapping[str, Shade], *, title: str, note: str = "", group: int = 1000
) -> Figure:
    """The picture of a table of words.

    Args:
        table: index and columns named, their values the labels; each cell a key of `shades`.
        note: a line below the legend; it goes into the alt text too.
        group: how many rows, and columns, stand together.

    Raises:
        LabError: a word that has no shade.
    """
    words = [str(word) for word in table.to_numpy().flat]
    for word in words:
        if word not in shades:
            raise LabError(f"no colour for {word!r} (there are: {', '.join(shades)})")
    counts = {word: words.count(word) for word in shades if word in words}
    legend = [f"{shades[word].words}: {number}" for word, number in counts.items()]
    frame = _Frame.around(table)
    shapes = [*_labels(table, group, frame), *_cells(table, shades, group, frame)]
    bottom = _edge(len(table) - 1, _HIGH, group) + _HIGH + frame.top + _LEGEND + 4
    for number, (word, line) in enumerate(zip(counts, legend, strict=True)):
        shapes += _legend_line(bottom + number * _LEGEND, shades[word], line)
    below = bottom + len(counts) * _LEGEND
    shapes.append(svg.text((_ROOM, below), note, MUTED))
    wide = frame.left + _edge(len(table.columns) - 1, _WIDE, group) + _WIDE
    width = max(wide, *(svg.text_width(line) + 40 for line in (title, note, *legend))) + _ROOM
    shapes.append(svg.text((_ROOM, 22), title, INK, bold=True))
    alt = f"{len(table)} rows ({table.index.name}) by {len(table.columns)} columns ({table.columns.name}). "
    alt += f"{'; '.join(legend)}." + (f" {note}" if note else "")
    return Figure(
        title, alt, svg.document(width, below + 14, title, alt, shapes), _plain(table, shades, [title, *legend, note])
    )


def _edge(number: int, size: float, group: int) -> float:
    """Where a row or column begins, counted from the first."""
    return number * size + number // group * _GAP


def _labels(table: pd.DataFrame, group: int, frame: _Frame) -> list[str]:
    shapes = [
        svg.text((frame.left, _TOP - 28), f"{table.columns.name} →", MUTED),
        svg.text((_ROOM, frame.top - 8), f"{table.index.name} ↓", MUTED),
    ]
    for number, label in enumerate(table.columns):
        x = frame.left + _edge(number, _WIDE, group) + _WIDE / 2
        if frame.upright:
            shapes.append(svg.text((x + 4, frame.top - 8), str(label), INK, upright=True))
        else:
            shapes.append(svg.text((x, frame.top - 8), str(label), INK, "middle"))
    for number, label in enumerate(table.index):
        y = frame.top + _edge(number, _HIGH, group) + _HIGH / 2 + 4
        shapes.append(svg.text((frame.left - 8, y), str(label), INK, "end"))
    return shapes


def _cells(table: pd.DataFrame, shades: Mapping[str, Shade], group: int, frame: _Frame) -> list[str]:
    shapes = []
    for row, words in enumerate(table.to_numpy()):
        for column, word in enumerate(words):
            x, y = frame.left + _edge(column, _WIDE, group), frame.top + _edge(row, _HIGH, group)
            shapes += _cell(x, y, shades[str(word)])
    return shapes


def _cell(x: float, y: float, shade: Shade) -> list[str]:
    middle = (x + _WIDE / 2, y + _HIGH / 2 + 4)
    return [svg.box(x, y, _WIDE, _HIGH, shade.fill, PAPER), svg.text(middle, shade.mark, INK, "middle", bold=True)]


def _legend_line(y: float, shade: Shade, words: str) -> list[str]:
    return [*_cell(_ROOM, y - 20, shade), svg.text((_ROOM + _WIDE + 8, y - 1), words)]


def _plain(table: pd.DataFrame, shades: Mapping[str, Shade], lines: list[str]) -> str:
    marks = table.map(lambda word: shades[str(word)].mark)
    keys = [f"{shade.mark}  {shade.words}" for word, shade in shades.items() if (table == word).any(axis=None)]
    return "\n".join([lines[0], str(marks.to_string()), *keys, lines[-1]]).rstrip()
