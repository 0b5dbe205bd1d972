"""RFC 4787, Network Address Translation (NAT) Behavioral Requirements for Unicast UDP: each requirement, measured.

Section 12 of the RFC lists them, 4 to 11 explain them. RFC 7857 section 8 lets a box give up port parity.

*Not measured*: REQ-5a and REQ-5b (what may be configured), REQ-7 (a box that gets its address from outside), REQ-10a
(switches for an administrator).
"""

from __future__ import annotations

from collections.abc import Sequence

from natlab.lab.report import behaviour
from natlab.lab.report.prober import Prober
from natlab.lab.report.requirement import Finding, Level, Requirement, judged, not_measured
from natlab.lab.report.silence import shortest_fatal
from natlab.packet import IPProtocol, Packet
from natlab.wire.fragments import cut

__all__ = ["REQUIREMENTS", "TWO_MINUTES", "alive", "closes_after"]

UDP = int(IPProtocol.UDP)
TWO_MINUTES, FIVE_MINUTES = 120, 300  # seconds
PIECES, PIECE = 3, 400  # of a datagram that is too long for a link, and bytes in each
CONVERSATION = 3.0  # seconds; Linux takes nothing for a conversation that is over within 2 s


async def mapping(prober: Prober) -> Finding:
    return await behaviour.mapping_is_endpoint_independent(prober, UDP)


async def pooling(prober: Prober) -> Finding:
    return await behaviour.pairs_addresses(prober, UDP)


async def overloading(prober: Prober) -> Finding:
    return await behaviour.overloads(prober, UDP)


async def port_range(prober: Prober) -> Finding:
    return await behaviour.keeps_range(prober, UDP)


async def parity(prober: Prober) -> Finding:
    return await behaviour.keeps_parity(prober, UDP)


# Timers


async def alive(prober: Prober, silence: float, *, answered: bool = False, keepalives: Sequence[float] = ()) -> bool:
    """Alice sends to xenia; is xenia let in after a silence?

    Args:
        silence: seconds between alice's last datagram and xenia's.
        answered: whether xenia has answered her first, and she has spoken once more.
        keepalives: seconds before each further datagram of alice's.
    """
    alice = prober.alice()
    door = await prober.opens(UDP, alice, prober.xenia())
    if door is None:
        return False
    if answered:
        await prober.reaches(UDP, prober.xenia(), door)
    for seconds in (CONVERSATION, *keepalives) if answered else keepalives:
        await prober.wait(seconds)
        await prober.opens(UDP, alice, prober.xenia())
    await prober.wait(silence)
    return await prober.reaches(UDP, prober.xenia(), door) == alice


async def closes_after(prober: Prober, answered: bool) -> int | None:
    """The shortest silence in whole seconds after which the remote is no longer let in, see `silence.py`."""
    return await shortest_fatal(lambda silence: alive(prober, silence, answered=answered), prober.patience)


async def at_least(prober: Prober, needed: int) -> Finding:
    unanswered, answered = await closes_after(prober, False), await closes_after(prober, True)
    measured = f"{_seconds(prober, unanswered)} unanswered, {_seconds(prober, answered)} answered; {needed} s needed"
    known = [seconds for seconds in (unanswered, answered) if seconds is not None]
    if any(seconds < needed for seconds in known):
        return judged(False, measured)
    if len(known) < 2 and prober.patience < needed:
        return not_measured(f"longer than the {prober.patience:.0f} s that were tried")
    return judged(True, measured)


def _seconds(prober: Prober, seconds: int | None) -> str:
    return f"more than {prober.patience:.0f} s" if seconds is None else f"{seconds} s"


async def two_minutes(prober: Prober) -> Finding:
    return await at_least(prober, TWO_MINUTES)


async def five_minutes(prober: Prober) -> Finding:
    return await at_least(prober, FIVE_MINUTES)


async def outbound_refresh(prober: Prober) -> Finding:
    """A datagram at three quarters of the timer, and a knock as long after it."""
    timer = await closes_after(prober, False)
    if timer is None:
        return not_measured(f"the timer is longer than the {prober.patience:.0f} s that were tried")
    kept = await alive(prober, 0.75 * timer, keepalives=[0.75 * timer])
    return judged(kept, f"a datagram from inside starts the {timer} s {'again' if kept else 'not again'}")


# Filtering, hairpinning, and the rest


async def filtering(prober: Prober) -> Finding:
    return await behaviour.filtering_is_mild(prober, UDP)


async def hairpinning(prober: Prober) -> Finding:
    return await behaviour.hairpins(prober, UDP)


async def payloads(prober: Prober) -> Finding:
    return await behaviour.alters_payload(prober, UDP)


async def determinism(prober: Prober) -> Finding:
    return await behaviour.is_deterministic(prober, UDP)


async def strays(prober: Prober) -> Finding:
    return await behaviour.survives_strays(prober, UDP)


async def address_conflict(prober: Prober) -> Finding:
    return not_measured("takes a box that gets its external address from outside, by DHCP")


async def too_long(prober: Prober) -> Finding:
    return not_measured("takes a link with a smaller MTU")


async def fragments(prober: Prober) -> Finding:
    """A long datagram each way, in three pieces: as they were cut, and the last one first."""
    alice, xenia = prober.alice(), prober.xenia()
    door = await prober.opens(UDP, alice, xenia)
    if door is None:
        return not_measured("no conversation could be opened")
    passed = []
    for number, last_first in enumerate((False, True)):
        sent = [
            prober.first(UDP, source, to, bytes([number]) * PIECES * PIECE)
            for source, to in ((alice, xenia), (xenia, door))
        ]
        got = [await prober.send(*_pieces(packet, 1 + number, last_first)) for packet in sent]
        payloads = got[0].to(xenia), got[1].to(alice)
        passed.append(all([packet.payload for packet in came] == [sent[0].payload] for came in payloads))
    return judged(all(passed), _PIECES_PASS[passed[0], passed[1]])


def _pieces(packet: Packet, identification: int, last_first: bool) -> list[Packet]:
    """The packet, cut into `PIECES`."""
    pieces = list(cut(packet, 20 + PIECE + 8, identification))
    return pieces[::-1] if last_first else pieces


_PIECES_PASS = {
    (True, True): "pieces pass, in and out of order",
    (True, False): "pieces pass in order only",
    (False, True): "pieces pass out of order only",
    (False, False): "pieces do not pass",
}


MUST, SHOULD, MAY = Level

REQUIREMENTS = tuple(
    Requirement(4787, *row)
    for row in (
        ("REQ-1", MUST, "4.1", "An endpoint inside is seen at one external endpoint, by every remote.", mapping),
        ("REQ-2", SHOULD, "4.1", "With several external addresses, a host has one of them: paired pooling.", pooling),
        ("REQ-3", MUST, "4.2.1", "No two hosts are seen at one external endpoint: no port overloading.", overloading),
        ("REQ-3a", SHOULD, "4.2.1", "A port below 1024 becomes one below 1024, and another one above.", port_range),
        ("REQ-4", SHOULD, "4.2.2", "Even ports stay even, odd ones odd.", parity),
        ("REQ-5", MUST, "4.3", "A mapping outlives two minutes of silence.", two_minutes),
        ("REQ-5c", SHOULD, "4.3", "Better five minutes.", five_minutes),
        ("REQ-6", MUST, "4.3", "A datagram from inside starts the timer again.", outbound_refresh),
        ("REQ-7", MUST, "4.4", "The same network inside and outside does no harm.", address_conflict),
        ("REQ-8", SHOULD, "5", "Filtering is endpoint-independent, or address-dependent.", filtering),
        (
            "REQ-9",
            MUST,
            "6",
            "Hosts inside reach each other at their external endpoints, and come from them.",
            hairpinning,
        ),
        ("REQ-10", SHOULD, "7", "Payloads are left alone.", payloads),
        ("REQ-11", MUST, "8", "Mapping and filtering stay as they are when two hosts want one port.", determinism),
        ("REQ-11, early", MUST, "8", "... and when a packet comes too early.", strays),
        ("REQ-13", MUST, "10", "A datagram that is too long, and must not be cut, is answered by ICMP.", too_long),
        ("REQ-14", MUST, "11", "Fragments pass, in any order.", fragments),
    )
)
