"""The prober: it plays the computers on both sides of a box, and writes down what comes through.

    alice  192.168.1.2 ─╮           ╭─ 12.0.0.1  xenia
    bob    192.168.1.3 ─┼──[ box ]──┼─ 13.0.0.1  yves
    ...                ─╯           ╰─ 14.0.0.1  zoe

    opens(source, to)       the first packet of a conversation, outwards: at which external endpoint is it seen?
    reaches(source, door)   the same from outside to an external endpoint, the door: who inside gets it?
    Talk                    a TCP connection through the box, both ends, with the right numbers in each segment

A first packet is a datagram for UDP, a SYN for TCP and a ping for ICMP, and most questions about a box are the same for
all three. No two probes share a port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from natlab.endpoint import Endpoint
from natlab.lab.report.ground import Ground
from natlab.packet import Flag, IPProtocol, Packet, echo_request
from natlab.wire.fragments import Reassembly

__all__ = ["ACK", "FIN", "RST", "SYN", "Outcome", "Prober", "Talk"]

XENIA, YVES, ZOE = "12.0.0.1", "13.0.0.1", "14.0.0.1"
SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
WINDOW = 65_535

FIRST_PORT = 5000  # even; a fresh port is the next one
REMOTE_PORT = 7000


class Outcome(NamedTuple):
    """What came out of the box on each side after a packet went in; what came in pieces is there in pieces."""

    inside: list[Packet]
    outside: list[Packet]

    def to(self, end: Endpoint) -> list[Packet]:
        """What came to one computer's endpoint, put together."""
        return [packet for packet in _whole((*self.inside, *self.outside)) if packet.destination == end]


def _whole(packets: Iterable[Packet]) -> Iterator[Packet]:
    reassembly = Reassembly()
    for packet in packets:
        whole = packet if packet.fragment is None else reassembly.add(packet, 0)
        if isinstance(whole, Packet):
            yield whole


class Prober:
    """See above.

    Args:
        ground: the box between its two plugs.

    Attributes:
        hosts: the addresses of all computers inside.
        mtu: bytes; the link outside takes no longer packets.
        patience: seconds; no silence is tried that is longer.
    """

    def __init__(self, ground: Ground) -> None:
        self.hosts = ground.hosts
        self.mtu = ground.mtu
        self.patience = ground.patience
        self._ground = ground
        self._ports = count(FIRST_PORT)
        self._numbers = count(1)
        self._turn = asyncio.Lock()  # one packet at a time: what comes out was caused by it

    # Endpoints

    def alice(self, port: int | None = None) -> Endpoint:
        """One of her endpoints; a fresh one by default."""
        return Endpoint(self.hosts[0], next(self._ports) if port is None else port)

    def bob(self, port: int) -> Endpoint:
        return Endpoint(self.hosts[1], port)

    def xenia(self, port: int = REMOTE_PORT) -> Endpoint:
        return Endpoint(XENIA, port)

    def yves(self, port: int = REMOTE_PORT) -> Endpoint:
        return Endpoint(YVES, port)

    def zoe(self, port: int = REMOTE_PORT) -> Endpoint:
        return Endpoint(ZOE, port)

    def readdress_box(self, ip: str) -> None:
        """From now on the box has this address outside."""
        self._ground.readdress(ip)

    # Packets

    async def send(self, *packets: Packet) -> Outcome:
        """Sends packets, each from the side its source is on."""
        async with self._turn:
            for packet in packets:
                plug = self._ground.inside if packet.source.ip in self.hosts else self._ground.outside
                plug.send(packet)
            await asyncio.sleep(self._ground.settle)
            return self._outcome()

    async def wait(self, seconds: float) -> Outcome:
        """Lets time pass; what came out of the box by itself."""
        await asyncio.sleep(seconds)
        async with self._turn:  # else what another probe waits for is taken away from it
            return self._outcome()

    def _outcome(self) -> Outcome:
        return Outcome(self._ground.inside.received(), self._ground.outside.received())

    def number(self) -> int:
        """One that no other packet has."""
        return next(self._numbers)

    def first(self, protocol: int, source: Endpoint, to: Endpoint, payload: bytes = b"") -> Packet:
        """The first packet of a conversation, which no other packet equals."""
        number = self.number()
        if protocol == IPProtocol.TCP:
            return Packet(protocol, source, to, payload, flags=SYN, seq=number * 1_000_000, window=WINDOW)
        if protocol == IPProtocol.ICMP:
            return echo_request(source, to.ip, number % 65536)
        return Packet(protocol, source, to, payload or b"probe %d" % number)

    def answer(self, seen: Packet) -> Packet:
        """What the remote end says to a first datagram or SYN."""
        back = self.first(seen.protocol, seen.destination, seen.source)
        return back._replace(flags=SYN | ACK, ack=seen.seq + 1) if seen.protocol == IPProtocol.TCP else back

    async def opens(self, protocol: int, source: Endpoint, to: Endpoint) -> Endpoint | None:
        """The external endpoint at which `to` sees the first packet from `source`; None if it sees none."""
        packet = self.first(protocol, source, to)
        seen = (await self.send(packet)).outside
        return seen[0].source if seen and seen[0].destination == packet.destination else None

    async def reaches(self, protocol: int, source: Endpoint, door: Endpoint) -> Endpoint | None:
        """Which internal endpoint gets the first packet that `source` sends to the door; None: nobody."""
        seen = (await self.send(self.first(protocol, source, door))).inside
        return seen[0].destination if seen else None

    async def doors(self, protocol: int, source: Endpoint, remotes: Sequence[Endpoint]) -> list[Endpoint | None]:
        """The external endpoints at which several remotes see one internal endpoint."""
        return [await self.opens(protocol, source, remote) for remote in remotes]


class Talk:
    """A TCP connection between an internal and a remote endpoint, played at both ends.

    Attributes:
        door: the external endpoint, once a segment has come out there; None before, unless it was known.
    """

    def __init__(self, prober: Prober, internal: Endpoint, remote: Endpoint, door: Endpoint | None = None) -> None:
        self._prober = prober
        self.internal, self.remote = internal, remote
        self.door = door
        self._sent = [prober.first(IPProtocol.TCP, internal, remote).seq, 500_000_000]  # next number of each end

    async def out(self, flags: int, payload: bytes = b"") -> bool:
        """A segment from inside: whether the remote end gets it, from the door if that is known."""
        outcome = await self._send(0, self.internal, self.remote, flags, payload)
        got = outcome.to(self.remote)
        if got and self.door is None:
            self.door = got[0].source
        return bool(got) and got[0].source == self.door

    async def said(self, flags: int, payload: bytes) -> bytes | None:
        """A segment from inside: what the remote end gets of its payload."""
        got = (await self._send(0, self.internal, self.remote, flags, payload)).to(self.remote)
        return got[0].payload if got else None

    async def back(self, flags: int, payload: bytes = b"") -> bool:
        """A segment from outside, to the door: whether the internal end gets it, from the remote end."""
        if self.door is None:
            return False
        got = (await self._send(1, self.remote, self.door, flags, payload)).to(self.internal)
        return bool(got) and got[0].source == self.remote

    async def out_again(self, flags: int) -> bool:
        """A SYN or FIN from inside with the number that the last one had."""
        self._sent[0] -= 1
        return await self.out(flags)

    async def back_again(self, flags: int) -> bool:
        """The same from outside."""
        self._sent[1] -= 1
        return await self.back(flags)

    def jump(self, distance: int) -> None:
        """The internal end goes on with other numbers: those of another socket on its port."""
        self._sent[0] += distance

    async def open(self) -> bool:
        """The ordinary handshake, begun inside."""
        return await self.out(SYN) and await self.back(SYN | ACK) and await self.out(ACK)

    async def _send(self, end: int, source: Endpoint, to: Endpoint, flags: int, payload: bytes) -> Outcome:
        seq, ack = self._sent[end], self._sent[1 - end] if flags & ACK else 0
        self._sent[end] += len(payload) + bool(flags & (SYN | FIN))
        return await self._prober.send(Packet(int(IPProtocol.TCP), source, to, payload, flags, seq, ack, WINDOW))
