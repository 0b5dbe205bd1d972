"""IP fragments: a packet that is too long for a link, cut into pieces, and put together again (RFC 791, RFC 8200).

    UDP header ─ 1400 bytes ──────────────────────────────┐         with an MTU of 1280
    ├─ IP │ bytes 0 to 1255, more fragments ──────────────┤ ─────>  the first has the ports
    └─ IP │ bytes 1256 to 1407 ─┤                                   the second has none
    each has the addresses, and the identification of the whole

A piece cannot be translated or filtered for itself, since only the first knows the ports. So whoever looks at ports,
the destination as well as a NAT box, waits until all are there; a lost piece loses the whole.

What waits is bounded, in number and in time, and a piece that overlaps another, or contradicts where the whole ends, is
the end of it (RFC 5722): fragments are an old way to tire out, or to deceive, who puts them together (RFC 4787
REQ-14a).

Not modelled: the ICMP error when a datagram's time is over; reading fragments from bytes (`ip.py` refuses them).
"""

from __future__ import annotations

from collections.abc import Iterator

from natlab.endpoint import Endpoint
from natlab.packet import Fragment, IPProtocol, Packet
from natlab.wire.ip import MAX_PACKET

__all__ = ["FIRST_COME_MOST", "KEPT", "MOST", "TIMEOUT", "Reassembly", "cut"]

MOST = 64  # datagrams that may wait at a time; the oldest gives way
KEPT = "fragments: kept until the others are there"  # the one answer of `Reassembly.add` that gives up nothing
FIRST_COME_MOST = 2048  # those that came first stay; Linux has 4 MiB for them (net.ipv4.ipfrag_high_thresh)
TIMEOUT = 30_000_000_000  # nanoseconds, as in Linux (net.ipv4.ipfrag_time)


def cut(packet: Packet, mtu: int, identification: int) -> Iterator[Packet]:
    """The pieces of a packet, or of a piece, for a link with this MTU."""
    header = 48 if packet.source.version == 6 else 20  # IPv6 has a header for fragments (RFC 8200 section 4.5)
    whole, base, total, more = packet, 0, packet.size - min(header, 40), False
    if packet.fragment is not None:
        whole, identification, base, total, more = packet.fragment
    step = (mtu - header) // 8 * 8
    ends = Endpoint(packet.source.ip, 0), Endpoint(packet.destination.ip, 0)
    for offset in range(0, total, step):
        length = min(step, total - offset)
        piece = Fragment(whole, identification, base + offset, length, more or offset + length < total)
        yield Packet(IPProtocol.FRAGMENT, *ends, flight=packet.flight, ttl=packet.ttl, df=packet.df, fragment=piece)


class _Waiting:
    """What is there of one datagram."""

    __slots__ = ("end", "expires", "pieces")

    def __init__(self, expires: int) -> None:
        self.expires = expires
        self.pieces: dict[int, int] = {}  # offset -> end
        self.end: int | None = None  # of the last piece

    def contradicts(self, piece: Fragment) -> bool:
        """Whether a piece is empty, overlaps another, or does not fit to where the datagram ends."""
        offset, end = piece.offset, piece.offset + piece.length
        most = MAX_PACKET if self.end is None else self.end
        if offset >= end or end > most or (not piece.more and end < max(self.pieces.values(), default=0)):
            return True
        return any(offset < other_end and other < end for other, other_end in self.pieces.items())

    @property
    def is_whole(self) -> bool:
        return sum(end - offset for offset, end in self.pieces.items()) == self.end


class Reassembly:
    """Puts pieces together. Times are virtual, in integer nanoseconds.

    Args:
        in_order: pieces must come in order, the first one first; else the datagram is given up.
        first_come: whether new datagrams are refused where too many wait already, instead of the oldest given up.
    """

    def __init__(self, in_order: bool = False, first_come: bool = False) -> None:
        self._in_order = in_order
        self._first_come = first_come
        self._waiting: dict[tuple[str, str, int], _Waiting] = {}

    def add(self, packet: Packet, now: int) -> Packet | str:
        """A piece: the whole packet, if this was the last one missing, or why there is none yet, or none any more."""
        piece = packet.fragment
        assert piece is not None
        key = packet.source.ip, packet.destination.ip, piece.identification
        waiting = self._find(key, now)
        if waiting is None:
            return "fragments: too many wait for their others, and those that came first stay"
        end = piece.offset + piece.length
        is_next = not self._in_order or piece.offset == max(waiting.pieces.values(), default=0)
        if waiting.contradicts(piece) or not is_next:
            del self._waiting[key]
            return "fragments: it overlaps another, or is out of order, so all of them are given up"
        waiting.pieces[piece.offset] = end
        if not piece.more:
            waiting.end = end
        if not waiting.is_whole:
            return KEPT
        del self._waiting[key]
        return piece.whole._replace(ttl=packet.ttl, flight=packet.flight, df=False)

    def clear(self) -> None:
        self._waiting.clear()

    def _find(self, key: tuple[str, str, int], now: int) -> _Waiting | None:
        waiting = self._waiting.get(key)
        if waiting is None or waiting.expires <= now:
            self._waiting.pop(key, None)
            if not self._make_room(now):
                return None
            waiting = self._waiting[key] = _Waiting(now + TIMEOUT)
        return waiting

    def _make_room(self, now: int) -> bool:
        """Whether one more datagram may wait; they stand in the order in which their time is over."""
        if len(self._waiting) < (FIRST_COME_MOST if self._first_come else MOST):
            return True
        oldest = next(iter(self._waiting))
        if self._first_come and self._waiting[oldest].expires > now:
            return False
        del self._waiting[oldest]
        return True
