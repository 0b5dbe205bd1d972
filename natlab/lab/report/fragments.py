"""RFC 4787 sections 10 and 11: datagrams that are too long for the link outside, and datagrams that come in pieces.

    alice ── 1500 bytes ──> box ✗ 1400        REQ-13    DF: "packet too big" goes back to alice
                            box ══ 2 pieces ══> xenia   REQ-13a   no DF: it is cut, and the first piece goes first
    alice <── whole, or again in pieces ── box <══ 3 pieces ══ xenia     REQ-14, in whatever order they come

A flood of first pieces, whose others never come, is how REQ-14a is tried: all that puts pieces together has to bound
what waits, and a box that takes no new pieces then is shut for everybody else's.
"""

from __future__ import annotations

from natlab.endpoint import Endpoint
from natlab.lab.report.prober import Outcome, Prober
from natlab.lab.report.requirement import Finding, Level, Requirement, judged, not_measured
from natlab.packet import IcmpKind, IPProtocol, Packet
from natlab.wire.fragments import cut

__all__ = ["REQUIREMENTS"]

UDP = int(IPProtocol.UDP)
TOO_MUCH = 100  # bytes by which a datagram is too long for the link outside
HEADERS = 28  # bytes of IP and UDP
PIECES, PIECE = 3, 400  # of a datagram that comes in pieces, and bytes in each
FLOOD = 3000  # datagrams of which the first piece comes only, each way


# Datagrams that are too long


async def too_long(prober: Prober) -> Finding:
    alice = prober.alice()
    outcome = await prober.send(_long(prober, alice))
    if outcome.outside:
        return judged(False, "it goes on, " + ("cut" if outcome.outside[0].fragment else "whole"))
    told = [packet.icmp for packet in outcome.inside if packet.icmp and packet.destination.ip == alice.ip]
    if not told or told[0].kind is not IcmpKind.TOO_BIG:
        return judged(False, "it is dropped, and the sender is not told why")
    return judged(told[0].mtu == prober.mtu, f"its sender is told: {IcmpKind.TOO_BIG}, MTU {told[0].mtu}")


async def is_cut(prober: Prober) -> Finding:
    sent, outcome = await _sent_to_be_cut(prober)
    arrived = [packet.payload for packet in outcome.to(sent.destination)] == [sent.payload]
    return judged(arrived, f"it arrives in {len(outcome.outside)} pieces" if arrived else "it does not arrive whole")


async def first_piece_first(prober: Prober) -> Finding:
    _, outcome = await _sent_to_be_cut(prober)
    offsets = [packet.fragment.offset for packet in outcome.outside if packet.fragment]
    if len(offsets) < 2:
        return not_measured("it does not come out in pieces")
    return judged(offsets == sorted(offsets), f"they begin at bytes {', '.join(map(str, offsets))}")


async def _sent_to_be_cut(prober: Prober) -> tuple[Packet, Outcome]:
    sent = _long(prober, prober.alice())._replace(df=False)
    return sent, await prober.send(sent)


def _long(prober: Prober, source: Endpoint) -> Packet:
    return prober.first(UDP, source, prober.xenia(), bytes(prober.mtu + TOO_MUCH - HEADERS))


# Datagrams in pieces


async def any_order(prober: Prober) -> Finding:
    """A datagram each way, in three pieces: as they were cut, and the last one first."""
    alice, xenia = prober.alice(), prober.xenia()
    door = await prober.opens(UDP, alice, xenia)
    if door is None:
        return not_measured("no conversation could be opened")
    passed = [await _pass(prober, alice, xenia, door, last_first) for last_first in (False, True)]
    return judged(all(passed), _PIECES_PASS[passed[0], passed[1]])


async def flood(prober: Prober) -> Finding:
    """First pieces only, then a datagram in order and one that is whole, each way."""
    alice, xenia = prober.alice(), prober.xenia()
    door = await prober.opens(UDP, alice, xenia)
    if door is None or not await _pass(prober, alice, xenia, door):
        return not_measured("pieces do not pass without a flood either")
    for source, to in ((alice, xenia), (xenia, door)):
        await prober.send(*(_pieces(prober, source, to)[1][0] for _ in range(FLOOD)))
    whole = await prober.opens(UDP, alice, xenia) == door and await prober.reaches(UDP, xenia, door) == alice
    lost = [
        what
        for what, passes in (("whole datagrams", whole), ("pieces", await _pass(prober, alice, xenia, door)))
        if not passes
    ]
    after = f"after {2 * FLOOD} first pieces whose others never come"
    return judged(not lost, f"{after}, {lost[0]} do not pass" if lost else f"{after}, others still pass")


async def _pass(prober: Prober, alice: Endpoint, xenia: Endpoint, door: Endpoint, last_first: bool = False) -> bool:
    """Whether a datagram in pieces gets through each way."""
    for source, to, end in ((alice, xenia, xenia), (xenia, door, alice)):
        payload, pieces = _pieces(prober, source, to)
        outcome = await prober.send(*(pieces[::-1] if last_first else pieces))
        if [packet.payload for packet in outcome.to(end)] != [payload]:
            return False
    return True


def _pieces(prober: Prober, source: Endpoint, to: Endpoint) -> tuple[bytes, list[Packet]]:
    """The payload of a datagram, and the datagram, cut into `PIECES` with an identification of its own."""
    number = prober.number()
    payload = number.to_bytes(4, "big") * (PIECES * PIECE // 4)
    return payload, list(cut(prober.first(UDP, source, to, payload), 20 + PIECE + 8, number))


_PIECES_PASS = {
    (True, True): "pieces pass, in and out of order",
    (True, False): "pieces pass in order only",
    (False, True): "pieces pass out of order only",
    (False, False): "pieces do not pass",
}


MUST, SHOULD, _ = Level

REQUIREMENTS = tuple(
    Requirement(4787, *row)
    for row in (
        ("REQ-13", MUST, "10", "A datagram that is too long, and must not be cut, is answered by ICMP.", too_long),
        ("REQ-13a", MUST, "10", "One that is too long, and may be cut, is cut.", is_cut),
        ("REQ-13a, order", SHOULD, "10", "... and its pieces are sent in order.", first_piece_first),
        ("REQ-14", MUST, "11", "Pieces of datagrams pass, in any order.", any_order),
        ("REQ-14a", MUST, "11", "A flood of pieces does not keep others from passing.", flood),
    )
)
