"""SVG by hand: the few shapes that the lab's pictures are made of, each a function that returns a string.

Numbers are rounded to a tenth of a pixel, so equal journals give equal bytes. Text widths are estimated, because a
drawing must not depend on the fonts of the machine that draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from natlab.lab.palette import INK, PAPER

Point = tuple[float, float]


class Area(NamedTuple):
    """A rectangle on a picture."""

    left: float
    right: float
    top: float
    bottom: float

    def meets(self, other: Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


FONT_SIZE = 11.0
LINE_HEIGHT = 13.0
CHAR_WIDTH = 6.0  # px, the average of sans-serif letters and digits at FONT_SIZE
BOLD = 1.1  # times as wide


def document(width: float, height: float, title: str, description: str, shapes: Sequence[str]) -> str:
    """A picture that screen readers can read: an image with a title and a description (WAI-ARIA `img`)."""
    label = f'role="img" aria-label="{escape(title)}"'
    size = f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" style="max-width:100%;height:auto"'
    font = f'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="{_n(FONT_SIZE)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {label} {size} {font}>',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(description)}</desc>",
            f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>',
            *shapes,
            "</svg>",
        ]
    )


def line(points: Sequence[Point], stroke: str, width: float = 1.0, dash: str = "") -> str:
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{_n(width)}"{dashed}/>'


def arrow_head(tail: Point, tip: Point, fill: str, size: float = 8.0) -> str:
    """A filled head at `tip`, pointing away from `tail`."""
    angle = math.atan2(tip[1] - tail[1], tip[0] - tail[0])
    corners = [tip]
    for side in (-1, 1):
        turned = angle + math.pi + side * 0.42
        corners.append((tip[0] + size * math.cos(turned), tip[1] + size * math.sin(turned)))
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
    return f'<polygon points="{path}" fill="{fill}"/>'


def cross(at: Point, stroke: str, size: float = 5.0) -> str:
    """The end of a packet that was dropped."""
    x, y = at
    return line([(x - size, y - size), (x + size, y + size)], stroke, 2.5) + line(
        [(x - size, y + size), (x + size, y - size)], stroke, 2.5
    )


def dot(at: Point, fill: str, radius: float = 3.0) -> str:
    return f'<circle cx="{_n(at[0])}" cy="{_n(at[1])}" r="{_n(radius)}" fill="{fill}"/>'


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="5"'
    return f'<rect {place} fill="{fill}" stroke="{stroke}" stroke-width="1.5"{dashed}/>'


def text(
    at: Point, content: str, fill: str = INK, anchor: str = "start", bold: bool = False, upright: bool = False
) -> str:
    """One line of text with a paper-coloured rim, so that lines behind it do not cut it; `upright` reads upward."""
    weight = ' font-weight="bold"' if bold else ""
    weight += f' transform="rotate(-90 {_n(at[0])} {_n(at[1])})"' if upright else ""
    rim = f'stroke="{PAPER}" stroke-width="3" paint-order="stroke" stroke-linejoin="round"'
    place = f'x="{_n(at[0])}" y="{_n(at[1])}" text-anchor="{anchor}"'
    return f'<text {place} fill="{fill}" {rim}{weight}>{escape(content)}</text>'


def text_width(content: str, bold: bool = False) -> float:
    """Estimated pixels at FONT_SIZE."""
    return CHAR_WIDTH * len(content) * (BOLD if bold else 1.0)


def _n(value: float) -> str:
    """A number as short as it can be: 12.0 is "12", 12.34 is "12.3"."""
    return f"{value:.1f}".removesuffix(".0")
