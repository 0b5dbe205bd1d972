"""Sequence checks: does a TCP segment belong to the connection that a box remembers?

A box that tracks connections may go beyond flags and look at numbers, to keep out forged segments (an RST that guesses
the ports, say). It remembers of each side

    end        one past the highest sequence number it has sent
    limit      the highest it may send: what the other side has acknowledged, plus the window that side offers
    window     the largest window it has offered

and lets a segment through if

    its last number   is not more than the other side's window below `end`     not older than any retransmission
    its first number  is not above `limit`                                     not more than the other side asked for
    its ack           is not above the other side's `end`                      nobody acknowledges what was not sent

A SYN without ACK gives its sender a new number. After an RST, or a FIN of each side, it is a new connection on old
ports, and what the box knew of both sides is over. (Measured on Linux 6.18: both pass, none of it is "invalid".)

The trap for hole punching. A host's SYN goes out and the box remembers its number. The peer's SYN comes in, but by now
the host no longer dials, it listens: the listener answers with a SYN ACK that has a number of its own choice.

    host ── SYN, seq 1000 ──> box            remembered: the host's next number is 1001
    host <────────── SYN ──── box <── SYN    of the peer's hole punch
    host ── SYN ACK, seq 7777 ──> ✗ box      not 1001: "invalid"

Linux calls such a segment invalid and lets it out untranslated, where it is of no use to anyone; this box drops it.
It takes a network without delay to get there, or a host that dials, gives up and is dialled: measured with
go-libp2p, which never punched through two such boxes on links without delay, and always did on links of 20 ms.

Specifications: RFC 9293 section 3.10.7 for the numbers. RFC 5382 asks for no such check; REQ-2 demands that every
legal way to open a connection works. Not modelled: window scaling (`Packet.window` is scaled), SACK, and that Linux
believes a SYN with a lower number than the last no sooner than its timer is over.
"""

from __future__ import annotations

from natlab.packet import Flag, Packet

__all__ = ["TcpWindow"]

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)


class _Side:
    """One end of the connection, see above; `end` and `limit` are None while nothing is known."""

    __slots__ = ("end", "has_ended", "limit", "window")

    def __init__(self) -> None:
        self.end: int | None = None
        self.has_ended = False
        self.limit: int | None = None
        self.window = 0


class TcpWindow:
    """What a box remembers of the numbers of one connection."""

    __slots__ = ("_inside", "_is_over", "_outside")

    def __init__(self) -> None:
        self._inside, self._outside = _Side(), _Side()
        self._is_over = False

    def accepts(self, segment: Packet, outbound: bool) -> bool:
        """Whether the segment belongs to the connection; what it says is remembered if so."""
        flags = segment.flags
        opens = flags & (_SYN | _ACK) == _SYN
        if opens and self._is_over:
            self._inside, self._outside, self._is_over = _Side(), _Side(), False
        sender, receiver = (self._inside, self._outside) if outbound else (self._outside, self._inside)
        end = (segment.seq + len(segment.payload) + bool(flags & _SYN) + bool(flags & _FIN)) % 2**32
        if opens:
            sender.end, sender.limit = end, None
        elif not _fits(segment, end, sender, receiver):
            return False
        if sender.end is None or _after(end, sender.end):
            sender.end = end
        sender.window = max(sender.window, segment.window)
        if flags & _ACK:
            limit = (segment.ack + segment.window) % 2**32
            if receiver.limit is None or _after(limit, receiver.limit):
                receiver.limit = limit
        sender.has_ended |= bool(flags & _FIN)
        self._is_over |= bool(flags & _RST) or (sender.has_ended and receiver.has_ended)
        return True


def _fits(segment: Packet, end: int, sender: _Side, receiver: _Side) -> bool:
    if segment.flags & _ACK and receiver.end is not None and _after(segment.ack, receiver.end):
        return False
    if sender.end is None:
        return True
    if segment.flags & _SYN:
        return end == sender.end
    if sender.limit is not None and _after(segment.seq, sender.limit):
        return False
    return not _after(sender.end, (end + max(receiver.window, 1)) % 2**32)


def _after(a: int, b: int) -> bool:
    """Whether sequence number `a` comes after `b`, modulo 2**32 (RFC 9293 section 3.4)."""
    return 0 < (a - b) % 2**32 < 2**31
