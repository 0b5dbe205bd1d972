"""Several boxes side by side: a map of requirements and boxes, each verdict a colour and a mark.

    comparison([nat_report("home"), nat_report("linux")])

A requirement that is violated is shown by its level: a MUST that is broken weighs more than a SHOULD.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from natlab.lab.figure import Figure
from natlab.lab.heat_map import Shade, heat_map
from natlab.lab.palette import FAINT, GREEN, ORANGE, PAPER, VERMILION
from natlab.lab.report.requirement import Level, Row, Verdict
from natlab.lab.report.table import Report

__all__ = ["comparison"]

_SHADES = {
    "conforms": Shade(GREEN, "+", "conforms"),
    "violates MUST": Shade(VERMILION, "!!", "violates a MUST"),
    "violates SHOULD": Shade(ORANGE, "!", "violates a SHOULD"),
    "not applicable": Shade(FAINT, "–", "not applicable"),
    "not measured": Shade(PAPER, "?", "not measured"),
}


def comparison(reports: Sequence[Report]) -> Figure:
    """The map of some reports."""
    columns = {report.box: {row.requirement.name: _word(row) for row in report.rows} for report in reports}
    table = pd.DataFrame(columns).rename_axis(index="requirement", columns="box")
    clean = sum(not report.violated() for report in reports)
    title = f"{clean} of {len(reports)} boxes keep all of {len(table)} requirements"
    return heat_map(table, _SHADES, title=title, note="Measured by probes from outside each box.")


def _word(row: Row) -> str:
    verdict, level = row.finding.verdict, row.requirement.level
    return (
        f"{verdict} {Level.MUST if level is Level.MUST else Level.SHOULD}" if verdict is Verdict.VIOLATES else verdict
    )
