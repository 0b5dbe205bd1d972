"""A chart of numbers over numbers: lines, points with a range, crosses.

y   1.0 ┤            ___----
        ┤      __--|            |  a point and its range
    0.5 ┤   _x                  x  a cross
        ┤ /
    0.0 └──────┴──────┴─────    x
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from natlab.lab import svg
from natlab.lab.figure import Figure
from natlab.lab.palette import FAINT, INK, MUTED
from natlab.lab.svg import Point

__all__ = ["Line", "chart"]

_LEFT, _TOP, _WIDE, _HIGH, _ROOM, _KEY = 64.0, 64.0, 560.0, 260.0, 20.0, 18.0  # px
_TICKS = 5  # about how many numbers an axis has


@dataclass(frozen=True, slots=True)
class Line:
    """What belongs together: one colour, one line in the legend.

    Attributes:
        points: joined by a line.
        ranges: points (x, y, low, high).
        crosses: points on their own.
    """

    words: str
    colour: str
    points: Sequence[Point] = ()
    ranges: Sequence[tuple[float, float, float, float]] = ()
    crosses: Sequence[Point] = ()

    @property
    def all(self) -> list[Point]:
        ends = [(x, y) for x, _, low, high in self.ranges for y in (low, high)]
        return [*self.points, *ends, *self.crosses]


@dataclass(frozen=True, slots=True)
class _Axes:
    """From numbers to pixels; both axes begin at 0."""

    x_step: float
    x_end: float
    y_step: float
    y_end: float

    def at(self, x: float, y: float) -> Point:
        return _LEFT + _WIDE * x / self.x_end, _TOP + _HIGH * (1 - y / self.y_end)


def chart(lines: Sequence[Line], *, title: str, x: str, y: str, alt: str) -> Figure:
    """The picture.

    Args:
        x, y: what the axes count, with the unit.
        alt: what it shows, in a sentence or two.
    """
    points = [point for line in lines for point in line.all]
    axes = _Axes(*_scale(max(x for x, _ in points)), *_scale(max(y for _, y in points)))
    shapes = [svg.text((_ROOM, 22), title, INK, bold=True), *_frame(axes, x, y)]
    shapes += [shape for line in lines for shape in _drawn(line, axes)]
    bottom = _TOP + _HIGH + 60
    for number, line in enumerate(lines):
        shapes += _key(line, bottom + number * _KEY)
    height = bottom + len(lines) * _KEY
    text = "\n".join([title, *(_plain(line, x, y) for line in lines)])
    return Figure(title, alt, svg.document(_LEFT + _WIDE + 2 * _ROOM, height, title, alt, shapes), text)


def _scale(largest: float) -> tuple[float, float]:
    """The distance between two numbers on an axis, and where it ends: a multiple of it."""
    largest = largest or 1.0  # nothing but zeros
    raw = largest / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return step, step * math.ceil(largest / step - 1e-9)


def _frame(axes: _Axes, x: str, y: str) -> list[str]:
    shapes = [svg.text((_LEFT - 40, _TOP - 14), y, MUTED)]
    for number in range(round(axes.y_end / axes.y_step) + 1):
        left = axes.at(0, number * axes.y_step)
        shapes.append(svg.line([left, (left[0] + _WIDE, left[1])], FAINT))
        shapes.append(svg.text((left[0] - 8, left[1] + 4), _number(number * axes.y_step), INK, "end"))
    for number in range(round(axes.x_end / axes.x_step) + 1):
        foot = axes.at(number * axes.x_step, 0)
        shapes.append(svg.line([foot, (foot[0], foot[1] + 5)], MUTED))
        shapes.append(svg.text((foot[0], foot[1] + 18), _number(number * axes.x_step), INK, "middle"))
    return [*shapes, svg.text((_LEFT + _WIDE, _TOP + _HIGH + 34), x, MUTED, "end")]


def _drawn(line: Line, axes: _Axes) -> list[str]:
    shapes = [svg.line([axes.at(*point) for point in line.points], line.colour, 2.0)] if line.points else []
    for x, y, low, high in line.ranges:
        shapes += [svg.line([axes.at(x, low), axes.at(x, high)], line.colour, 1.5), svg.dot(axes.at(x, y), line.colour)]
    return shapes + [svg.cross(axes.at(*point), line.colour, 4.0) for point in line.crosses]


def _key(line: Line, y: float) -> list[str]:
    middle = (_LEFT + 12, y - 4)
    if line.points:
        sign = svg.line([(_LEFT, y - 4), (_LEFT + 24, y - 4)], line.colour, 2.0)
    else:
        sign = svg.cross(middle, line.colour, 4.0) if line.crosses else svg.dot(middle, line.colour)
    return [sign, svg.text((_LEFT + 32, y), line.words)]


def _plain(line: Line, x: str, y: str) -> str:
    """A few of its points, evenly spread."""
    points = [*line.points, *((x, y) for x, y, *_ in line.ranges), *line.crosses]
    some = sorted(points)[:: max(1, len(points) // 8)]
    return f"{line.words}: " + ", ".join(f"({_number(x)}, {y:.3g})" for x, y in some)


def _number(value: float) -> str:
    return f"{value:,.6g}"
