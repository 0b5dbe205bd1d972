"""The wire between namespaces: TUN devices joined by delay and NAT boxes, in real time on an asyncio loop.

    kernel socket ── tun ──> bytes ──decode──> Packet ── NatBox.outbound ──╮  new source, or dropped
                                                                           │ delay
    kernel socket <─ tun ─── bytes <─readdress─ Packet <─ NatBox.inbound <─╯  new destination, or dropped

The NAT boxes are those of `natlab.nat`, the very ones the simulated internet drives; here they see the packets of a
kernel. Their time is the loop's, in nanoseconds.

A busy computer is late. Packets are delivered in the order of their times all the same, and `lateness` tells whether a
run was what it was meant to be.

*Not modelled*: loss, bandwidth, several hosts behind one box, TTL. ICMP, IPv6 and fragments are dropped: neither the
NAT boxes nor the simulated hosts know them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from natlab.errors import DecodeError, LabError
from natlab.nat import Drop, Hairpinned, NatBox
from natlab.netns.namespace import Namespace
from natlab.netns.readdress import readdress
from natlab.packet import Packet
from natlab.wire import ip

__all__ = ["Wire"]

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
        """Plugs a namespace in. Others reach it at its own addresses, or at that of the NAT box it sits behind.

        Args:
            also: further addresses of its own.
            there, back: seconds from it to the middle of the wire, and from there to it.

        Raises:
            LabError: another end of the wire has such an address.
        """
        outside = [box.external_ip] if box else [address, *also]
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
        result = end.box.outbound(packet, self._now_ns()) if end.box else packet
        if isinstance(result, Packet):
            self._send(end, readdress(data, result), result)
        elif isinstance(result, Hairpinned):
            os.write(end.tun, readdress(data, result.packet))

    def _send(self, end: End, data: bytes, packet: Packet) -> None:
        """On its way: what is sent to nobody is lost."""
        to = self._ends.get(packet.destination.ip)
        if to is not None:
            due = self._loop.time() + end.there + to.back
            self._loop.call_at(due, self._arrive, to, data, packet, due)

    def _arrive(self, end: End, data: bytes, packet: Packet, due: float) -> None:
        self.lateness = max(self.lateness, self._loop.time() - due)
        result = end.box.inbound(packet, self._now_ns()) if end.box else packet
        if not isinstance(result, Drop):
            os.write(end.tun, readdress(data, result))
        elif result.reply is not None:
            self._send(end, ip.encode(result.reply), result.reply)

    def _now_ns(self) -> int:
        return round(self._loop.time() * 1e9)
