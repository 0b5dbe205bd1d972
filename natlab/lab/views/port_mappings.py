"""`lab.port_mappings`: each port that a host asked its gateway for, by NAT-PMP, PCP or UPnP.

A lease is the gateway's promise; the NAT mapping that keeps it is a row of `lab.mappings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from natlab.endpoint import Endpoint
from natlab.events import Journal, PortMapped, PortMapRefused, PortUnmapped
from natlab.lab.views.frame import frame


class PortMappingRow(NamedTuple):
    """
    Columns:
        box: string, the NAT box.
        service: string, "nat-pmp", "pcp" or "upnp": how the host asked.
        protocol: string, TCP or UDP.
        internal: string, IP:PORT of the host.
        external: string, IP:PORT the world sees; "" if it got none.
        asked: float64, seconds since the lab began.
        renewals: int64, how often it was renewed.
        expires: float64, seconds since the lab began; when it ends (or ended) unless it is renewed; inf for never.
        ended_by: string, "" while it lasts; or why it was refused.
    """

    box: str
    service: str
    protocol: str
    internal: str
    external: str
    asked: float
    renewals: int
    expires: float
    ended_by: str


@dataclass(slots=True)
class _Lease:
    """A lease while its events are read."""

    granted: PortMapped
    expires: float
    renewals: int = 0
    ended_by: str = ""


def port_mappings(journal: Journal, now: float = -math.inf) -> pd.DataFrame:
    """One row for each lease and each refusal, oldest first; columns as `PortMappingRow`.

    Args:
        now: seconds since the lab began. A gateway notices that a lease is over only when somebody asks it; leases
            whose time is up by now are shown as over all the same.
    """
    return frame(PortMappingRow, (_row(entry, now) for entry in _entries(journal)))


def _entries(journal: Journal) -> list[_Lease | PortMapRefused]:
    entries: list[_Lease | PortMapRefused] = []
    live: dict[tuple[str, str, Endpoint], _Lease] = {}
    for event in journal.events:
        match event:
            case PortMapped(_, place, _, protocol, _, external) if (
                event.renewed and (place, protocol, external) in live
            ):
                lease = live[place, protocol, external]
                lease.expires, lease.renewals = event.expires, lease.renewals + 1
            case PortMapped(_, place, _, protocol, _, external):
                live[place, protocol, external] = _Lease(event, event.expires)
                entries.append(live[place, protocol, external])
            case PortUnmapped(_, place, protocol, external) if (place, protocol, external) in live:
                lease = live.pop((place, protocol, external))
                lease.expires, lease.ended_by = event.time, event.reason
            case PortMapRefused():
                entries.append(event)
            case _:
                pass
    return entries


def _row(entry: _Lease | PortMapRefused, now: float) -> PortMappingRow:
    if isinstance(entry, PortMapRefused):
        asked = (entry.place, entry.service, entry.protocol, str(entry.internal))
        return PortMappingRow(*asked, "", entry.time, 0, entry.time, f"refused: {entry.reason}")
    event = entry.granted
    return PortMappingRow(
        box=event.place,
        service=event.service,
        protocol=event.protocol,
        internal=str(event.internal),
        external=str(event.external),
        asked=event.time,
        renewals=entry.renewals,
        expires=entry.expires,
        ended_by=entry.ended_by or ("its lease was over" if entry.expires <= now else ""),
    )
