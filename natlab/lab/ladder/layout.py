"""Where everything on a ladder goes, so that no line of text lies on another.

Across, each place has a column; notes of the outermost columns stand outside the ladder, arrows' words inside.
Down, the y of a step follows its time, slower steps steeper and idle time cut short. Steps are placed one by one in
order of time; where a text would touch one that is there already, the step moves down.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from natlab.lab.ladder.steps import Step, StepKind, Stop
from natlab.lab.svg import LINE_HEIGHT, Area, Point, text_width
from natlab.lab.topology import BOXES, Place

AXIS = 58.0  # px for the times at the left
MARGIN = 150.0  # px for notes, at both sides
COLUMN = 168.0  # px between two places, at least
HEADING = 116.0  # px, width of the box with a place's name, at least
PIXELS_PER_SECOND = 1900.0  # a 20 ms flight falls 38 px
LONGEST_FALL = 46.0  # px; longer times are cut to this
IDLE = 0.25  # seconds without a step that deserve to be told
ARRIVAL = 90.0  # px before an arrow's head that are kept free of words
SPACING = 5.0  # px between two moments, at least


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text; `at` is where its baseline begins or ends."""

    at: Point
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step with its corner points and its texts."""

    step: Step
    points: tuple[Point, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch of time in which nothing on the ladder happened."""

    y: float
    seconds: float


@dataclass(slots=True)
class Layout:
    """The finished positions.

    Attributes:
        columns: place -> x.
        headings: place -> the lines at the head of its column, its name first.
        heading: px, the width of all boxes with headings.
        header: px, the height of the picture's head.
        times: y -> seconds, where the axis has a label.
    """

    columns: dict[str, float]
    headings: dict[str, list[str]]
    heading: float
    header: float
    drawn: list[Drawn] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    times: dict[float, float] = field(default_factory=dict)
    height: float = 0.0

    @property
    def width(self) -> float:
        return max(self.columns.values()) + MARGIN


def lay_out(steps: Sequence[Step], places: Sequence[Place]) -> Layout:
    """Places all steps; every stop must be at one of the places."""
    headings = {place.name: _heading(place) for place in places}
    widths = [text_width(line, bold=not index) for lines in headings.values() for index, line in enumerate(lines)]
    heading = max(HEADING, max(widths) + 14.0)
    column = max(COLUMN, heading + 20.0)
    columns = {place.name: AXIS + MARGIN + column * index for index, place in enumerate(places)}
    layout = Layout(columns, headings, heading, 28.0 + LINE_HEIGHT * max(map(len, headings.values())))
    _Placer(layout, steps).place()
    return layout


def _heading(place: Place) -> list[str]:
    """A name and the addresses below it, those of a host with two versions of IP on two lines."""
    first = f"{place.kind} {place.ip}" if place.kind in BOXES else place.ip
    return [place.name, first, *([place.ip6] if place.ip6 not in ("", place.ip) else [])]


class _Placer:
    """Goes down the ladder, moment by moment."""

    def __init__(self, layout: Layout, steps: Sequence[Step]) -> None:
        self._layout = layout
        self._steps = steps
        self._taken: list[Area] = []  # words, and lines they must not lie on
        self._arrivals: list[Area] = []  # ends of arrows; these may come close to each other
        self._heights: dict[tuple[int, int], float] = {}  # (step, stop) -> y
        self._reached: dict[str, float] = {}  # place -> y of the last thing there
        self._floor = layout.header + 16.0  # nothing of this moment is higher
        self._lowest = self._floor

    def place(self) -> None:
        """Each moment of each step gets its y; then the arrows are put together."""
        labels: dict[int, list[Label]] = {}
        last_time = self._steps[0].time if self._steps else 0.0
        for time, number, stops in self._moments():
            if time > last_time:
                self._fall(time - last_time)
                last_time = time
            step = self._steps[number]
            y, texts = self._settle(step, number, stops)
            self._heights.update({(number, stop): y for stop in stops})
            labels.setdefault(number, []).extend(texts)
            if 0 in stops:
                self._tick(y, time)
        for number, step in enumerate(self._steps):
            points = tuple((self._x(stop), self._heights[number, index]) for index, stop in enumerate(step.stops))
            self._layout.drawn.append(Drawn(step, points, tuple(labels[number])))
        self._layout.height = max([self._lowest, *(box.bottom for box in self._taken)]) + 20.0

    def _moments(self) -> list[tuple[float, int, list[int]]]:
        """(time, step, its stops at that time), in order of time; at equal times what arrives before what departs."""
        found: dict[tuple[int, bool, int], list[int]] = {}
        for number, step in enumerate(self._steps):
            for index, stop in enumerate(step.stops):
                departs = stop.time == step.time
                found.setdefault((round(stop.time * 1e9), departs, number), []).append(index)
        return [
            (self._steps[number].stops[stops[0]].time, number, stops) for (_, _, number), stops in sorted(found.items())
        ]

    def _fall(self, seconds: float) -> None:
        """Moves the floor down by the time that passed."""
        if seconds > IDLE:
            self._lowest = max([self._lowest, *(box.bottom for box in self._taken)])
            self._layout.pauses.append(Pause(self._lowest + 22.0, seconds))
        self._floor = self._lowest + max(SPACING, min(seconds * PIXELS_PER_SECOND, LONGEST_FALL))

    def _settle(self, step: Step, number: int, stops: list[int]) -> tuple[float, list[Label]]:
        """The highest y at which this moment of a step touches nothing."""
        place = step.stops[stops[0]].place
        y = max(self._floor, self._reached.get(place, 0.0))
        while True:
            labels = [label for stop in stops for label in self._labels(step, stop, y)]
            boxes = [_box(label) for label in labels] + self._level_line(step, stops, y)
            arrival = self._arrival(step, number, stops, y)
            clashes = [
                taken.bottom - box.top for box in boxes for taken in self._taken + self._arrivals if box.meets(taken)
            ]
            clashes += [taken.bottom - box.top for box in arrival for taken in self._taken if box.meets(taken)]
            if not clashes:
                break
            y += max(clashes) + 0.5
        self._reached[place] = y
        self._taken += boxes
        self._arrivals += arrival
        self._lowest = max(self._lowest, y)
        return y, labels

    def _level_line(self, step: Step, stops: list[int], y: float) -> list[Area]:
        """Hops within one moment are drawn level, and nothing may lie on them."""
        ends = [self._x(step.stops[index]) for index in stops]
        return [Area(min(ends), max(ends), y - 3.0, y + 6.0)] if len(ends) > 1 else []

    def _arrival(self, step: Step, number: int, stops: list[int], y: float) -> list[Area]:
        """The last stretch of an arrow that falls to its head; words of an answer must not lie on it."""
        last = len(step.stops) - 1
        if last < 1 or stops[0] != last:
            return []
        tip, tail, high = self._x(step.stops[last]), self._x(step.stops[last - 1]), self._heights[number, last - 1]
        if tip == tail:  # seen twice where it ends
            return []
        reach = max(-ARRIVAL, min(ARRIVAL, tail - tip))
        top = y - (y - high) * reach / (tail - tip)
        return [Area(min(tip, tip + reach), max(tip, tip + reach), top - 1.0, y + 2.0)]

    def _labels(self, step: Step, index: int, y: float) -> list[Label]:
        """The texts at one stop, if the step is at height y."""
        stop, last = step.stops[index], len(step.stops) - 1
        x, ahead = self._x(stop), self._direction(step, index)
        if step.kind == StepKind.NOTE:
            return self._note(step, x, y)
        words = _wrapped(step.text if index == 0 else stop.label, 36) if index < last or step.end else []
        labels = [_aside(x, y - 5.0 - LINE_HEIGHT * above, line, ahead) for above, line in enumerate(reversed(words))]
        if index == last and step.ending:
            lines = _wrapped(step.ending, 24)
            labels += [
                _aside(x + 4 * ahead, y + 4.0 + LINE_HEIGHT * (n + (last == 0)), line, ahead)
                for n, line in enumerate(lines)
            ]
        return labels

    def _note(self, step: Step, x: float, y: float) -> list[Label]:
        """Notes stand outside the ladder; those of inner columns to the right."""
        outside = -1 if x == min(self._layout.columns.values()) else 1
        lines = _wrapped(step.text, 23)
        return [_aside(x, y + 4.0 + LINE_HEIGHT * number, line, outside) for number, line in enumerate(lines)]

    def _direction(self, step: Step, index: int) -> int:
        """1 if the step goes on to the right from here, or goes nowhere, else -1; at its end, the way it came."""
        start, end = (index, index + 1) if index + 1 < len(step.stops) else (index - 1, index)
        return 1 if self._x(step.stops[end]) >= self._x(step.stops[start]) else -1

    def _tick(self, y: float, time: float) -> None:
        """A time on the axis, if it is news and there is room for it."""
        above = max(self._layout.times, default=None)
        if above is None or (y - above >= LINE_HEIGHT and time - self._layout.times[above] >= 0.0005):
            self._layout.times[y] = time

    def _x(self, stop: Stop) -> float:
        return self._layout.columns[stop.place]


def _wrapped(words: str, width: int) -> list[str]:
    """Lines of at most `width` characters; a number stays with its unit (joined by a no-break space)."""
    return textwrap.wrap(re.sub(r"(\d) (m?s|B)\b", "\\1\u00a0\\2", words), width)


def _aside(x: float, y: float, words: str, side: int) -> Label:
    """Text beside a vertical line, to its right (1) or left (-1)."""
    return Label((x + 9.0 * side, y), words, "start" if side > 0 else "end")


def _box(label: Label) -> Area:
    x, baseline = label.at
    width = text_width(label.words)
    left = x if label.anchor == "start" else x - width
    return Area(left, left + width, baseline - 10.0, baseline + 4.0)
