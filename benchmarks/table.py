"""The table that a run prints: what was measured, natlab's value, somebody else's beside it, and the aim.

A row without an aim is there for information. Every ratio is natlab's value divided by the other's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """What a ratio (or, where nothing stands beside it, natlab's own value) should be.

    Attributes:
        bound: the number to reach.
        at_least: whether more is better.
        unit: of `bound`; empty for a ratio.
    """

    bound: float
    at_least: bool = False
    unit: str = ""

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        what: what was measured.
        value: natlab's, in `unit`.
        other: whom natlab is compared with; empty for nobody.
        other_value: theirs, in `unit`.
        ratio: of the two, the median over the pairs of one run.
    """

    what: str
    unit: str
    value: float
    other: str = ""
    other_value: float | None = None
    ratio: float | None = None
    aim: Aim | None = None

    def cells(self) -> tuple[str, ...]:
        judged = self.value if self.ratio is None else self.ratio
        return (
            self.what,
            f"{_number(self.value)} {self.unit}",
            self.other,
            "" if self.other_value is None else f"{_number(self.other_value)} {self.unit}",
            "" if self.ratio is None else _number(self.ratio),
            str(self.aim or ""),
            "" if self.aim is None else "yes" if self.aim.met(judged) else "NO",
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be measured here, and why."""

    what: str
    reason: str

    def cells(self) -> tuple[str, ...]:
        return (self.what, "", f"skipped: {self.reason}", "", "", "", "")


HEADER = ("measured", "natlab", "beside", "theirs", "ratio", "aim", "met")


def text(rows: list[Row | Skipped]) -> str:
    """The rows as a Markdown table, its columns aligned."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    padded = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]])


def _number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
