"""A picture with words: SVG for eyes, alt text for screen readers, plain text for terminals.

In a notebook the SVG goes into an `<img>` with alt text. JupyterLab shows inline SVG only in notebooks it trusts; an
image it shows at once, so a committed notebook tells its story before anything is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from natlab.errors import LabError


@dataclass(frozen=True, slots=True, repr=False)
class Figure:
    """What `lab.ladder()` and `lab.draw()` return.

    Attributes:
        title: one line.
        alt: what the picture shows, in a sentence or two.
        svg: the picture, with title and description of its own.
        text: the same content for a terminal.
    """

    title: str
    alt: str
    svg: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        source = "data:image/svg+xml," + quote(self.svg, safe=" :/=,;()'")
        return f'<img alt="{escape(f"{self.title}. {self.alt}")}" src="{source}" style="max-width:100%">'

    def save(self, path: str | Path) -> None:
        """Writes the SVG to a file.

        Raises:
            LabError: its name does not end in .svg; it may be a file of another kind.
        """
        if Path(path).suffix != ".svg":
            raise LabError(f"{path} is no name for this picture: end it in .svg")
        Path(path).write_text(self.svg, encoding="utf-8")
