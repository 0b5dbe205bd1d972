"""What is asked of a NAT box, and what was found: the words of the report.

    Requirement     "RFC 4787 REQ-1", MUST, in a sentence, and the probe that measures it
    Finding         conforms | violates | not applicable | not measured, and what was measured
    Row             the two together: a line of the report

A probe is an async function from a `Prober` to a `Finding`. It knows the box by its packets only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from natlab.lab.report.prober import Prober

__all__ = ["Finding", "Level", "Probe", "Requirement", "Row", "Verdict", "judged", "not_applicable", "not_measured"]


class Level(StrEnum):
    """How strongly an RFC asks (RFC 2119). MUST includes MUST NOT, and so on; RECOMMENDED means SHOULD."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Verdict(StrEnum):
    CONFORMS = "conforms"
    VIOLATES = "violates"
    NOT_APPLICABLE = "not applicable"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """Attributes: verdict; measured, what the probe saw, or why it could not."""

    verdict: Verdict
    measured: str


Probe = Callable[[Prober], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """Attributes:
    rfc, number: e.g. 4787 and "REQ-1".
    level: how strongly it is asked.
    section: of the RFC, where it is explained.
    sentence: what is asked, in our words.
    probe: measures it.
    """

    rfc: int
    number: str
    level: Level
    section: str
    sentence: str
    probe: Probe

    @property
    def name(self) -> str:
        return f"RFC {self.rfc} {self.number}"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report."""

    requirement: Requirement
    finding: Finding


def judged(kept: bool, measured: str) -> Finding:
    return Finding(Verdict.CONFORMS if kept else Verdict.VIOLATES, measured)


def not_applicable(why: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, why)


def not_measured(why: str) -> Finding:
    return Finding(Verdict.NOT_MEASURED, why)
