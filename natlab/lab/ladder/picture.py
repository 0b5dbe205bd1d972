"""A laid-out ladder as SVG.

solid arrow      a packet, in the colour of the host that sent it
dashed arrow     a message of a protocol, on a connection that stands already
cross            the packet ended here; the rule that ended it beside it
dot              something a node did
grey band        a NAT box; where a packet crosses it, what its header says from there on
"""

from __future__ import annotations

from collections.abc import Sequence

from natlab.lab import svg
from natlab.lab.ladder.layout import AXIS, Drawn, Layout, Pause
from natlab.lab.ladder.steps import StepKind
from natlab.lab.palette import FAINT, INK, MUTED, PAPER, colour
from natlab.lab.topology import BOXES, COMPUTERS, Kind, Place


def picture(layout: Layout, places: Sequence[Place], title: str, description: str, footer: str) -> str:
    """The whole SVG document."""
    bottom = layout.height
    shapes = [shape for place in places for shape in _column(place, layout)]
    shapes += [shape for pause in layout.pauses for shape in _pause(pause, layout.width)]
    shapes += [svg.text((AXIS - 10, y + 4), f"{time:.3f}", MUTED, "end") for y, time in layout.times.items()]
    if layout.times:
        shapes.append(svg.text((AXIS - 10, layout.header / 2 + 4), "time, s", MUTED, "end"))
    kinds = {place.name: place.kind for place in places}
    shapes += [shape for drawn in layout.drawn for shape in _lines(drawn, kinds)]
    shapes += [shape for drawn in layout.drawn for shape in _words(drawn)]
    shapes.append(svg.text((AXIS, bottom + 14), footer, MUTED))
    return svg.document(layout.width, bottom + 26, title, description, shapes)


def _column(place: Place, layout: Layout) -> list[str]:
    """The heading at the top and the line below it."""
    nat = place.kind in BOXES
    stroke = colour(place.name) if place.kind in COMPUTERS else MUTED
    x, (name, *below) = layout.columns[place.name], layout.headings[place.name]
    line = [(x, layout.header), (x, layout.height)]
    return [
        svg.line(line, FAINT if nat else stroke, 9.0 if nat else 1.5),
        svg.box(x - layout.heading / 2, 6, layout.heading, layout.header - 12, PAPER, stroke, "4 3" if nat else ""),
        svg.text((x, 26), name, INK, "middle", bold=True),
        *(svg.text((x, 40 + svg.LINE_HEIGHT * number), words, MUTED, "middle") for number, words in enumerate(below)),
    ]


def _pause(pause: Pause, width: float) -> list[str]:
    """A dotted line across, where time was cut."""
    return [
        svg.line([(AXIS, pause.y), (width - 8, pause.y)], FAINT, 1.0, "2 5"),
        svg.text((width - 8, pause.y - 3), f"{pause.seconds:.2f} s later", MUTED, "end"),
    ]


def _lines(drawn: Drawn, kinds: dict[str, Kind]) -> list[str]:
    step, points = drawn.step, drawn.points
    first = step.stops[0].place
    stroke = colour(first) if kinds[first] in COMPUTERS else MUTED
    if step.kind == StepKind.NOTE or len(points) == 1:
        return [svg.dot(points[0], stroke, 4.0), *([svg.cross(points[0], INK)] if step.end else [])]
    message = step.kind == StepKind.MESSAGE
    shapes = [svg.line(points, stroke, 2.6 if message else 1.7, "9 4" if message else "")]
    shapes += [svg.dot(point, stroke, 2.6) for point in points[1:-1]]
    tail, tip = points[-2], points[-1]
    shapes.append(svg.cross(tip, INK) if step.end else svg.arrow_head(tail, tip, stroke, 10.0))
    return shapes


def _words(drawn: Drawn) -> list[str]:
    bold = drawn.step.kind == StepKind.MESSAGE
    return [svg.text(label.at, label.words, INK, label.anchor, bold) for label in drawn.labels]
