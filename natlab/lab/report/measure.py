"""Puts a box on the bench and measures every requirement, each on a box fresh from its box.

nat_report("linux")                      a preset, with axes changed if wanted
measure(KernelNat, REQUIREMENTS)         whatever stands on a `Ground`: here Linux itself
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

from natlab.lab.report import carrier, fragments, icmp, tcp, udp
from natlab.lab.report.ground import Ground, Simulated
from natlab.lab.report.prober import Prober
from natlab.lab.report.requirement import Requirement, Row
from natlab.lab.report.table import Report
from natlab.lab.seed import rng_for
from natlab.nat import NatConfig, configure

__all__ = ["CARRIERS_REQUIREMENTS", "REQUIREMENTS", "measure", "nat_report", "report_on"]


def _place(requirement: Requirement) -> tuple[int, int]:
    """In the order of the RFCs: by the first number in "REQ-12b"."""
    digits = re.search(r"\d+", requirement.number)
    return requirement.rfc, int(digits[0]) if digits else 0


REQUIREMENTS: tuple[Requirement, ...] = tuple(
    sorted((*udp.REQUIREMENTS, *fragments.REQUIREMENTS, *tcp.REQUIREMENTS, *icmp.REQUIREMENTS), key=_place)
)
"""What is asked of every NAT."""

CARRIERS_REQUIREMENTS: tuple[Requirement, ...] = tuple(sorted((*REQUIREMENTS, *carrier.REQUIREMENTS), key=_place))
"""What is asked of a carrier's (RFC 6888)."""


def measure(new_ground: Callable[[], Ground], requirements: Iterable[Requirement] = REQUIREMENTS) -> tuple[Row, ...]:
    """One row for each requirement; no probe finds traces of another."""
    return tuple(_row(new_ground(), requirement) for requirement in requirements)


def _row(ground: Ground, requirement: Requirement) -> Row:
    with ground:
        return Row(requirement, ground.run(requirement.probe(Prober(ground))))


def report_on(name: str, config: NatConfig, seed: int = 0, carrier: bool = False) -> Report:
    """The report on a simulated box of this configuration."""
    asked = CARRIERS_REQUIREMENTS if carrier else REQUIREMENTS
    return Report(name, measure(partial(Simulated, config, partial(rng_for, seed)), asked))


def nat_report(preset: str, seed: int = 0, carrier: bool = False, **axes: str | float | None) -> Report:
    """The report on a simulated box.

    Args:
        preset: a name from `natlab.nat.PRESETS`.
        seed: random ports follow from it.
        carrier: whether it is also measured by what is asked of a carrier's NAT.
        axes: what differs from the preset, as in `Lab.nat`.

    Raises:
        LabError: no such preset or axis, or a value the axis does not have.
    """
    return report_on(preset, configure(preset, **axes), seed, carrier)
