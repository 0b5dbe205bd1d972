"""What a host has found out about the NAT it is behind: `lab.run(alice.classify(server))`.

    first, second = lab.host("stun"), lab.host("stun 2")       a server takes two addresses, on two ports each
    server = lab.run(first.serve_stun(second))
    found = lab.run(alice.classify(server))                    RFC 5780's tests, from alice's own ports
    found.mapping, found.filtering, found.probes

`natlab.protocol.behaviour_discovery` makes the tests and says what they can tell; this shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from natlab.lab.views.frame import frame
from natlab.nat import Behaviour
from natlab.protocol.behaviour_discovery import Discovery, Probe

__all__ = ["Classification", "ProbeRow"]

SILENCE = "nobody: silence"


class ProbeRow(NamedTuple):
    """
    Columns:
        test: string, its name in RFC 5780.
        section: string, of RFC 5780.
        local: string, IP:PORT the question was sent from.
        sent_to: string, IP:PORT of the server that was asked.
        asked: string, what else was asked for: "change IP and port", "change port", or "".
        answered_by: string, IP:PORT the answer came from, or "nobody: silence".
        mapped: string, IP:PORT at which the server saw the question come from; "" for silence.
    """

    test: str
    section: str
    local: str
    sent_to: str
    asked: str
    answered_by: str
    mapped: str


@dataclass(frozen=True, slots=True, repr=False)
class Classification:
    """What `classify` returns: the verdict, and the probes it rests on."""

    discovery: Discovery

    def __repr__(self) -> str:
        who = "behind a NAT" if self.natted else "no NAT"
        return f"<{self.discovery.transport}: {who}, mapping {self.mapping}, filtering {self.filtering}>"

    @property
    def natted(self) -> bool:
        """Whether the server sees another endpoint than our own."""
        return self.discovery.natted

    @property
    def mapping(self) -> Behaviour:
        return self.discovery.mapping

    @property
    def filtering(self) -> Behaviour:
        return self.discovery.filtering

    @property
    def probes(self) -> pd.DataFrame:
        """The tests in the order made; columns as `ProbeRow`."""
        return frame(ProbeRow, map(_row, self.discovery.probes))


def _row(probe: Probe) -> ProbeRow:
    return ProbeRow(
        probe.test,
        probe.section,
        str(probe.local),
        str(probe.sent_to),
        str(probe.change),
        str(probe.answered_from or SILENCE),
        str(probe.mapped or ""),
    )
