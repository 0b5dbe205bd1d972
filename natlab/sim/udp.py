"""UDP on a simulated host (RFC 768): datagrams out, datagrams in, a queue for each socket.

A datagram goes to the socket bound to its destination; one bound to that very address is preferred over one bound to
the wildcard. Among sockets that share an endpoint by SO_REUSEPORT the sender's endpoint decides, always the same way.
A datagram for nobody is answered with ICMP "port unreachable", unless it was multicast. One too long for IP vanishes,
and one to an address of a version of IP that the socket or its host has not.

Not modelled: connected sockets (so nobody hears of ICMP errors), broadcast, checksums. A multicast datagram goes to one
of the sockets that share its group, not to all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar
from zlib import crc32

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.events import Verdict
from natlab.net.waiting import Waiters
from natlab.packet import IPProtocol, Packet
from natlab.sim.capture import Tap
from natlab.sim.loop import SimLoop
from natlab.sim.ports import MULTICAST_GROUPS, WILDCARDS, Binding, PortTable, loopback_of, wildcard_of

T = TypeVar("T")

LONGEST = 65_507  # bytes in a datagram: the length field of IPv4 counts 28 bytes of headers too
RECEIVE_QUEUE = 512  # datagrams a socket keeps for a reader; more are dropped


class SimUdpSocket:
    """A `natlab.net.UdpSocket`."""

    def __init__(self, layer: UdpLayer, binding: Binding) -> None:
        self._layer = layer
        self._binding = binding
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._waiters = Waiters()
        self._closed = False

    @property
    def local(self) -> Endpoint:
        return self._binding.local

    def send(self, data: bytes, to: Endpoint) -> None:
        if not self._closed:
            self._layer.send(self.local, to, data)

    async def receive(self) -> tuple[bytes, Endpoint]:
        self._layer.loop.require_running()
        while not self._queue:
            if self._closed:
                raise ClosedError(f"the UDP socket at {self.local} is closed")
            await self._waiters.wait()
        return self._queue.popleft()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._layer.closed(self, self._binding)
            self._waiters.wake()

    def deliver(self, data: bytes, source: Endpoint) -> bool:
        """A datagram for this socket; False when its queue is full."""
        if len(self._queue) >= RECEIVE_QUEUE:
            return False
        self._queue.append((data, source))
        self._waiters.wake()
        return True


class UdpLayer:
    """The UDP sockets of one host.

    Args:
        transmit: hands a packet to the IP layer.
        source_ip: the local address from which a destination is reached.
        unreachable: is told of a datagram for nobody.
    """

    def __init__(
        self,
        loop: SimLoop,
        tap: Tap,
        rng: Random,
        transmit: Callable[[Packet], None],
        source_ip: Callable[[str], str],
        unreachable: Callable[[Packet], None],
    ) -> None:
        self.loop = loop
        self._tap = tap
        self._transmit = transmit
        self._source_ip = source_ip
        self._unreachable = unreachable
        self._ports = PortTable(rng)
        self._sockets: dict[Endpoint, list[SimUdpSocket]] = {}

    def bind(self, local: Endpoint, reuse_port: bool) -> SimUdpSocket:
        binding = self._ports.bind(local, reuse_port)
        socket = SimUdpSocket(self, binding)
        self._sockets.setdefault(binding.local, []).append(socket)
        return socket

    def closed(self, socket: SimUdpSocket, binding: Binding) -> None:
        self._ports.release(binding)
        sharing = self._sockets[binding.local]
        sharing.remove(socket)
        if not sharing:
            del self._sockets[binding.local]

    def send(self, local: Endpoint, to: Endpoint, data: bytes) -> None:
        if len(data) > LONGEST or (":" in local.ip) is not (":" in to.ip):
            return
        if to.ip in WILDCARDS:
            to = Endpoint(loopback_of(to.ip), to.port)  # as Linux takes it
        ip = self._source_ip(to.ip) if local.ip in WILDCARDS else local.ip
        if not ip or (":" in ip) is not (":" in to.ip):
            return
        self._transmit(Packet(IPProtocol.UDP, Endpoint(ip, local.port), to, data))

    def at(self, to: Endpoint) -> list[SimUdpSocket] | None:
        """The sockets that share this endpoint, or the wildcard with its port."""
        return self._sockets.get(to) or self._sockets.get(Endpoint(wildcard_of(to.ip), to.port))

    def receive(self, packet: Packet) -> None:
        to = packet.destination
        sharing = self.at(to)
        if sharing is None:
            verdict, reason = Verdict.DROPPED, f"no UDP socket on port {to.port}"
        elif pick(sharing, packet).deliver(packet.payload, packet.source):
            verdict, reason = Verdict.DELIVERED, ""
        else:
            verdict, reason = Verdict.DROPPED, "receive queue full"
        if self._tap.on:
            self._tap.seen(packet, verdict, reason)
        if sharing is None and to.ip not in MULTICAST_GROUPS:
            self._unreachable(packet)


def pick(sharing: Sequence[T], packet: Packet) -> T:
    """The one of several sockets on an endpoint that gets this packet: a hash of the two endpoints decides."""
    if len(sharing) == 1:
        return sharing[0]
    return sharing[crc32(f"{packet.source} {packet.destination}".encode()) % len(sharing)]
