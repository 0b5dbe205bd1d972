"""The wire between namespaces: TUN devices joined by delay and NAT boxes, in real time on an asyncio loop.

    kernel socket ── tun ──> bytes ──decode──> Packet ── NatBox.outbound ──╮  new source, or dropped
                                                                           │ delay
    kernel socket <─ tun ─── bytes <─readdress─ Packet <─ NatBox.inbound <─╯  new destination, or dropped

Each box, and the middle of the wire, is a hop that takes one from the TTL. Who has none left is told by ICMP, and so is
who sends to an address that nobody has: by a box from its external address, by the middle from 192.0.0.8 (RFC 7600).

The NAT boxes are those of `natlab.nat`, the very ones the simulated internet drives; here they see the packets of a
kernel. Their time is the loop's, in nanoseconds.

A busy computer is late. Packets are delivered in the order of their times all the same, and `lateness` tells whether a
run was what it was meant to be.

*Not modelled*: loss, bandwidth, several hosts behind one box. IPv6, fragments and ICMP other than pings and errors are
dropped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from natlab.errors import DecodeError, LabError
from natlab.nat import Drop, Hairpinned, NatBox, Wait
from natlab.netns.namespace import Namespace
from natlab.netns.readdress import readdress
from natlab.packet import IcmpKind, Packet, icmp_error
from natlab.wire import ip

__all__ = ["Wire"]

MIDDLE = "192.0.0.8"
READS_A_TURN = 64  # packets taken from one TUN device before the others get their turn


@dataclass(frozen=True, slots=True)
class End:
    """What the wire knows of one namespace.

    Attributes:
        tun: file descriptor of its TUN device.
        box: the NAT box it sits behind, or None.
        there, back: seconds from it to the middle of the wire, and from there to it.
    """

    tun: int
    box: NatBox | None
    there: float
    back: float


class Wire:
    """Joins namespaces, while entered with `async with`.

    Attributes:
        lateness: seconds; how much later than it should a packet has arrived, at worst.
    """

    def __init__(self) -> None:
        self.lateness = 0.0
        self._ends: dict[str, End] = {}
        self._tuns = ExitStack()
        self._loop: asyncio.AbstractEventLoop

    def attach(
        self,
        namespace: Namespace,
        address: str,
        *,
        also: Sequence[str] = (),
        box: NatBox | None = None,
        there: float,
        back: float,
    ) -> None:
        """Plugs a namespace in. Others reach it at its own addresses, or at those of the NAT box it sits behind.

        Args:
            also: further addresses of its own.
            there, back: seconds from it to the middle of the wire, and from there to it.

        Raises:
            LabError: another end of the wire has such an address.
        """
        outside = box.external_ips if box else [address, *also]
        if taken := next(filter(self._ends.get, outside), None):
            raise LabError(f"{taken} is already somebody's address on this wire: give each its own")
        tun = namespace.plug_in(address, *also)
        self._tuns.callback(os.close, tun)
        self._ends |= dict.fromkeys(outside, End(tun, box, there, back))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for end in self._ends.values():
            self._loop.add_reader(end.tun, self._read, end)
        return self

    async def __aexit__(self, *_: object) -> None:
        for end in self._ends.values():
            self._loop.remove_reader(end.tun)

    def close(self) -> None:
        """Pulls the plugs: the TUN devices are gone."""
        self._ends.clear()
        self._tuns.close()

    def _read(self, end: End) -> None:
        for _ in range(READS_A_TURN):
            try:
                data = os.read(end.tun, ip.MAX_PACKET)
            except BlockingIOError:
                return
            self._leave(end, data)

    def _leave(self, end: End, data: bytes) -> None:
        """A packet comes out of a namespace."""
        if data[0] >> 4 != 4:
            return
        try:
            packet = ip.decode(data)
        except DecodeError:
            return
        if end.box is None:
            self._send(end, data, packet)
        elif packet.ttl > 1 or packet.destination.ip in end.box.external_ips:
            self._out_of_the_box(end, end.box, data, packet._replace(ttl=packet.ttl - 1))
        else:
            self._write(end, icmp_error(IcmpKind.TIME_EXCEEDED, end.box.external_ip, packet))

    def _out_of_the_box(self, end: End, box: NatBox, data: bytes, packet: Packet) -> None:
        result = box.outbound(packet, self._now_ns())
        if isinstance(result, Packet):
            self._send(end, readdress(data, result), result)
        elif isinstance(result, Hairpinned):
            os.write(end.tun, readdress(data, result.packet))
        else:
            self._answer(box, result, lambda reply: self._write(end, reply))

    def _write(self, end: End, packet: Packet | None) -> None:
        """Hands a packet that was made here to the kernel."""
        if packet is not None:
            os.write(end.tun, ip.encode(packet))

    def _send(self, end: End, data: bytes, packet: Packet) -> None:
        """On its way through the middle, which tells the sender if it goes no further."""
        to = self._ends.get(packet.destination.ip)
        if packet.ttl <= 1:
            self._turn_back(end, icmp_error(IcmpKind.TIME_EXCEEDED, MIDDLE, packet))
        elif to is None:
            self._turn_back(end, icmp_error(IcmpKind.HOST_UNREACHABLE, MIDDLE, packet))
        else:
            packet = packet._replace(ttl=packet.ttl - 1)
            self._carry(to, readdress(data, packet), packet, end.there + to.back)

    def _turn_back(self, end: End, error: Packet | None) -> None:
        if error is not None:
            self._carry(end, ip.encode(error), error, end.there + end.back)

    def _carry(self, to: End, data: bytes, packet: Packet, seconds: float) -> None:
        due = self._loop.time() + seconds
        self._loop.call_at(due, self._arrive, to, data, packet, due)

    def _arrive(self, end: End, data: bytes, packet: Packet, due: float) -> None:
        self.lateness = max(self.lateness, self._loop.time() - due)
        if end.box is None:
            os.write(end.tun, data)
        else:
            self._into_the_box(end, end.box, data, packet)

    def _into_the_box(self, end: End, box: NatBox, data: bytes, packet: Packet) -> None:
        result = box.inbound(packet, self._now_ns())
        if isinstance(result, Drop):
            self._answer(box, result, lambda reply: self._send(end, ip.encode(reply), reply))
        elif result.ttl > 1:
            os.write(end.tun, readdress(data, result._replace(ttl=result.ttl - 1)))
        else:
            error = icmp_error(IcmpKind.TIME_EXCEEDED, box.external_ip, packet)
            if error is not None:
                self._send(end, ip.encode(error), error)

    def _answer(self, box: NatBox, drop: Drop, back: Callable[[Packet], None]) -> None:
        """What the box has to say to a packet that it dropped, now or later."""
        if drop.reply is None:
            return
        if drop.wait is None:
            back(drop.reply)
        else:
            self._loop.call_at(drop.wait.until / 1e9, self._answer_late, box, drop.wait, drop.reply, back)

    def _answer_late(self, box: NatBox, wait: Wait, reply: Packet, back: Callable[[Packet], None]) -> None:
        if box.still_due(wait, self._now_ns()):
            back(reply)

    def _now_ns(self) -> int:
        return round(self._loop.time() * 1e9)
