"""The report as one looks at it: a table, a page in a notebook, lines in a terminal, a map of several boxes.

Words carry the verdicts, colours repeat them.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import pandas as pd

from natlab.lab.palette import FAINT, GREEN, INK, MUTED, VERMILION
from natlab.lab.report.requirement import Level, Row, Verdict
from natlab.lab.views.frame import frame

__all__ = ["Report", "ReportRow"]

WIDTH = 100  # characters of a terminal
INDENT = " " * 4

_COLOURS = {
    Verdict.CONFORMS: GREEN,
    Verdict.VIOLATES: VERMILION,
    Verdict.NOT_APPLICABLE: FAINT,
    Verdict.NOT_MEASURED: FAINT,
}


class ReportRow(NamedTuple):
    """
    Columns:
        requirement: string, e.g. "RFC 4787 REQ-1".
        level: string, MUST, SHOULD or MAY; MUST NOT is a MUST, RECOMMENDED a SHOULD.
        verdict: string, "conforms", "violates", "not applicable" or "not measured".
        measured: string, what the probe saw, or why it could not.
        asks: string, what is required, in our words.
        section: string, where the RFC explains it.
    """

    requirement: str
    level: str
    verdict: str
    measured: str
    asks: str
    section: str


class Report:
    """What `nat_report` returns.

    Attributes:
        box: its name.
        rows: a `Row` for each requirement.
    """

    def __init__(self, box: str, rows: Sequence[Row]) -> None:
        self.box = box
        self.rows = tuple(rows)

    @property
    def table(self) -> pd.DataFrame:
        """Columns as `ReportRow`."""
        return frame(ReportRow, (_columns(row) for row in self.rows))

    def violated(self, *levels: Level) -> list[str]:
        """The requirements that the box violates; by default of every level."""
        return [
            row.requirement.name
            for row in self.rows
            if row.finding.verdict is Verdict.VIOLATES and row.requirement.level in (levels or Level)
        ]

    @property
    def summary(self) -> str:
        """One line."""
        counts = Counter(row.finding.verdict for row in self.rows)
        broken = [f"{len(self.violated(level))} {level}" for level in Level if self.violated(level)]
        words = f"{self.box}: conforms to {counts[Verdict.CONFORMS]} requirements"
        words += f", violates {counts[Verdict.VIOLATES]}" + (f" ({', '.join(broken)})" if broken else "")
        rest = counts[Verdict.NOT_APPLICABLE] + counts[Verdict.NOT_MEASURED]
        return words + (f"; {rest} are not applicable or not measured" if rest else "")

    def __repr__(self) -> str:
        lines = [self.summary]
        rfc = 0
        for row in self.rows:
            if row.requirement.rfc != rfc:
                rfc = row.requirement.rfc
                lines += ["", f"RFC {rfc}"]
            lines += _lines(row)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in ReportRow._fields)
        body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in self.rows)
        caption = f"<caption style='text-align:left;color:{MUTED}'>{escape(self.summary)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _columns(row: Row) -> ReportRow:
    asked, found = row.requirement, row.finding
    return ReportRow(asked.name, asked.level, found.verdict, found.measured, asked.sentence, asked.section)


def _lines(row: Row) -> list[str]:
    asked, found = row.requirement, row.finding
    first = f"  {asked.number:<14} {asked.level:<7} {found.verdict:<15} {asked.sentence}"
    return [first, *textwrap.wrap(found.measured, WIDTH, initial_indent=INDENT * 6, subsequent_indent=INDENT * 6)]


def _cells(row: Row) -> list[str]:
    left = "text-align:left;vertical-align:top"
    cells = []
    for name, value in _columns(row)._asdict().items():
        colour = f";border-left:6px solid {_COLOURS[row.finding.verdict]};color:{INK}" if name == "verdict" else ""
        cells.append(f"<td style='{left}{colour}'>{escape(value)}</td>")
    return cells
