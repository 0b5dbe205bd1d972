"""`lab.mappings`: each NAT mapping over its life.

A mapping is what a NAT box remembers: this internal endpoint is that external endpoint. With endpoint-independent
mapping it holds for every destination and `remote` is empty; otherwise it holds only towards `remote`
(RFC 4787 section 4.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from natlab.events import Journal, MappingCreated, MappingEnded, MappingRefreshed
from natlab.lab.views.frame import frame


class MappingRow(NamedTuple):
    """
    Columns:
        box: string, the NAT box.
        protocol: string, TCP or UDP.
        internal: string, IP:PORT on the inside.
        external: string, IP:PORT the world sees.
        remote: string, what the mapping depends on: "", an IP address, or IP:PORT.
        created: float64, seconds since the lab began.
        last_used: float64, seconds since the lab began.
        expires: float64, seconds since the lab began; when it ends (or ended) if nobody uses it.
        ended_by: string, "" while it lives.
    """

    box: str
    protocol: str
    internal: str
    external: str
    remote: str
    created: float
    last_used: float
    expires: float
    ended_by: str


@dataclass(slots=True)
class _Life:
    """A mapping while its events are read."""

    born: MappingCreated
    last_used: float
    expires: float
    ended_by: str = ""


def mappings(journal: Journal, now: float = -math.inf) -> pd.DataFrame:
    """One row for each mapping ever made, oldest first; columns as `MappingRow`.

    Args:
        now: seconds since the lab began. A box notices an expired mapping only when a packet asks for it;
            mappings whose time is up by now are shown as ended by "timeout" all the same.
    """
    return frame(MappingRow, (_row(life, now) for life in _lives(journal)))


def _lives(journal: Journal) -> list[_Life]:
    by_number: dict[tuple[str, int], _Life] = {}
    lives: list[_Life] = []
    for event in journal.events:
        match event:
            case MappingCreated():
                lives.append(_Life(event, last_used=event.time, expires=event.expires))
                by_number[event.place, event.mapping] = lives[-1]
            case MappingRefreshed() if (event.place, event.mapping) in by_number:
                life = by_number[event.place, event.mapping]
                life.last_used, life.expires = event.time, event.expires
            case MappingEnded() if (event.place, event.mapping) in by_number:
                life = by_number[event.place, event.mapping]
                life.expires, life.ended_by = event.time, event.reason
            case _:
                pass
    return lives


def _row(life: _Life, now: float) -> MappingRow:
    born = life.born
    return MappingRow(
        box=born.place,
        protocol=born.protocol.upper(),
        internal=str(born.internal),
        external=str(born.external),
        remote=born.remote,
        created=born.time,
        last_used=life.last_used,
        expires=life.expires,
        ended_by=life.ended_by or ("timeout" if life.expires <= now else ""),
    )
