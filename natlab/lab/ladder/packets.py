"""An arrow for each packet, from the places it was seen at.

`PacketSeen` events of one flight number are one packet: its sender, the NAT boxes that rewrote it, and where it ended.
A segment sent again with the same end (a SYN that keeps being dropped, say) is told on the first arrow; one that fares
differently gets an arrow of its own, because that difference is often the point. So does a copy that a link made: it
shares its original's way up to there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from natlab.events import Event, PacketSeen, Verdict
from natlab.lab.ladder.steps import Step, StepKind, Stop
from natlab.packet import Flag, IPProtocol, Packet, describe, end_of


def packet_steps(events: Iterable[Event], since: float = -math.inf, until: float = math.inf) -> list[Step]:
    """One step for each packet sent in this time, its repetitions in this time folded, in the order first sent."""
    folded: dict[tuple[object, ...], Step] = {}
    for hops in _flights(events):
        if not since <= hops[0].time <= until:
            continue
        step = _step(hops)
        key = (_identity(hops), step.label, step.places, step.end)
        if key in folded:
            step = replace(folded[key], again=(*folded[key].again, step.time))
        folded[key] = step
    return list(folded.values())


def _flights(events: Iterable[Event]) -> Iterator[list[PacketSeen]]:
    """The events of each packet, in order."""
    flights: dict[int, list[PacketSeen]] = {}
    for event in events:
        if isinstance(event, PacketSeen):
            flights.setdefault(event.packet.flight, _before(event, flights)).append(event)
    yield from flights.values()


def _before(event: PacketSeen, flights: dict[int, list[PacketSeen]]) -> list[PacketSeen]:
    """Where a packet was before it is first heard of: a copy was where its original was."""
    original = event.before
    if event.verdict is not Verdict.DUPLICATED or original is None:
        return []
    return list(flights.get(original.flight, []))


def _step(hops: list[PacketSeen]) -> Step:
    packet, last = hops[0].packet, hops[-1]
    stopped = last.verdict in (Verdict.DROPPED, Verdict.LOST)
    is_copy = any(hop.verdict is Verdict.DUPLICATED for hop in hops)
    return Step(
        kind=StepKind.PACKET,
        topic=topic_of(packet),
        label=f"copy of {_label(packet)}" if is_copy else _label(packet),
        detail=_detail(packet),
        stops=tuple(_stops(hops)),
        end=": ".join(filter(None, (last.verdict.value, last.reason))) if stopped else "",
    )


def _stops(hops: list[PacketSeen]) -> Iterator[Stop]:
    """Where the packet was. What happens on a link is no stop of its own, unless the packet never got to the place."""
    before = ""
    for hop in hops:
        on_the_link = hop.verdict is Verdict.DUPLICATED or (hop.verdict is Verdict.LOST and hop.place == before)
        if not on_the_link:
            yield Stop(hop.time, hop.place, _rewriting(hop))
            before = hop.place


def topic_of(packet: Packet) -> str:
    """The word of `SHOWABLE` for a packet."""
    if packet.protocol == IPProtocol.UDP:
        return "udp"
    if packet.icmp is not None:
        return "icmp"
    if packet.flags & (Flag.SYN | Flag.RST):
        return "handshake"
    if packet.flags & Flag.FIN:
        return "closing"
    return "data" if packet.payload else "ack"


def _label(packet: Packet) -> str:
    if packet.protocol == IPProtocol.UDP:
        return "UDP"
    if packet.icmp is not None:
        return f"ICMP {packet.icmp.kind}"
    return f"data {len(packet.payload)} B" if topic_of(packet) == "data" else packet.flag_names


def _detail(packet: Packet) -> str:
    """Whom it is for; a datagram also says which socket sent it, since no handshake tells, and an error what about."""
    source = f":{packet.source.port} " if packet.protocol == IPProtocol.UDP else ""
    about = f", for {describe(packet.quoted)}" if packet.quoted is not None else ""
    return f"{source}to {end_of(packet, packet.destination)}{about}"


def _rewriting(hop: PacketSeen) -> str:
    """What a NAT box changed: `from` the external endpoint going out, `to` the internal one coming in."""
    before, packet = hop.before, hop.packet
    if before is None:
        return ""
    source = f"from {end_of(packet, packet.source)}" if packet.source != before.source else ""
    target = f"to {end_of(packet, packet.destination)}" if packet.destination != before.destination else ""
    quoted = packet.quoted
    about = f"about {describe(quoted)}" if quoted is not None and quoted != before.quoted else ""
    return " ".join(filter(None, (source, target, about)))


def _identity(hops: list[PacketSeen]) -> tuple[object, ...]:
    """What a retransmission shares with the first transmission. Datagrams and ICMP have no such thing."""
    packet = hops[0].packet
    if packet.protocol != IPProtocol.TCP:
        return (hops[-1].packet.flight,)
    return (packet.source, packet.destination, packet.flags, packet.seq, packet.ack, len(packet.payload))
