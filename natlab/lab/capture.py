"""From a journal to what a capture at some places would have seen.

A capture sees what passes a place's own network card. What became of a packet further out on the link, where it was
lost or copied, no capture at this end can tell; the journal can (`lab.packets`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from natlab.events import Journal, PacketSeen, Verdict
from natlab.wire.pcapng import Sighting

_ON_A_LINK = (Verdict.LOST, Verdict.DUPLICATED)


def first_sent(journal: Journal) -> Iterator[Sighting]:
    """Each packet once, as it left the host that made it."""
    return (_sighting(seen) for seen in journal.of(PacketSeen) if seen.verdict is Verdict.SENT)


def seen_at(journal: Journal, places: Collection[str]) -> Iterator[Sighting]:
    """All that these places saw: at a NAT box the packet as it left, with the rule where it was dropped."""
    return (
        _sighting(seen) for seen in journal.of(PacketSeen) if seen.place in places and seen.verdict not in _ON_A_LINK
    )


def _sighting(seen: PacketSeen) -> Sighting:
    comment = f"{seen.verdict}: {seen.reason}" if seen.reason else ""
    return Sighting(seen.time, seen.place, seen.packet, comment)
