"""A computer on the simulated internet: its interfaces, its route out, its UDP, TCP and ICMP. It is a
`natlab.net.Network`.

    udp / streams / icmp sockets, ports, connections
         │   ▲
      transmit  receive  which way a packet goes, who gets it
         │   ▲
       uplink            to the router it hangs on

It has two interfaces, a network card and loopback. Packets to its own addresses never leave it and take no time, so on
loopback two SYNs can never cross, exactly as on a real computer. It has IPv4, IPv6 or both; every socket is of one of
the two (IPV6_V6ONLY, RFC 3493 section 5.3).

Not modelled: several network cards, forwarding, firewalls on the host itself.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.events import Verdict
from natlab.packet import IcmpKind, IPProtocol, Packet, echo_request, icmp_error
from natlab.sim.capture import Tap
from natlab.sim.icmp import IcmpLayer
from natlab.sim.links import Deliver
from natlab.sim.loop import SimLoop
from natlab.sim.path_mtu import PathMtu
from natlab.sim.ports import (
    LOOPBACK,
    LOOPBACK6,
    MULTICAST_GROUPS,
    WILDCARD,
    WILDCARD6,
    loopback_of,
    wildcard_of,
)
from natlab.sim.streams import SimTcpConnection, SimTcpListener, TcpLayer
from natlab.sim.udp import SimUdpSocket, UdpLayer
from natlab.wire.fragments import Reassembly

PING_DATA = bytes(56)  # as much as `ping` sends
EPOCH = 1_767_225_600.0  # Unix time at which every lab begins: 2026-01-01 00:00 UTC


class Host:
    """One computer.

    Attributes:
        name: what events call it.
        ips: the addresses of its network card, IPv4 before IPv6.
        ip: the first of them.
        ip6: its IPv6 address, "" for none.
        gateway_ip: the IPv4 address of the router it hangs on; None without IPv4, or on the core of the internet.
    """

    def __init__(
        self, name: str, ips: Sequence[str], loop: SimLoop, tap: Tap, rng: Random, flight: Callable[[], int]
    ) -> None:
        self.name = name
        self.ips = tuple(ips)
        self.ip = ips[0]
        self.ip6 = ips[-1] if ":" in ips[-1] else ""
        self._own = (*ips, LOOPBACK6) if self.ip6 else self.ips
        self.gateway_ip: str | None = None
        self._loop = loop
        self._tap = tap
        self._flight = flight
        self._uplink: Deliver
        self._inward: deque[Packet] = deque()  # packets to itself, not yet delivered
        self._source_ip = self._source_of_either if self.ip6 else self._source
        self._path_mtu = PathMtu()
        self._reassembly = Reassembly()
        self._tcp = TcpLayer(loop, tap, rng, self._transmit)
        self._icmp = IcmpLayer(
            loop, tap, rng, self._transmit, self._tcp, self._path_mtu, lambda local: self._udp.at(local) is not None
        )
        self._udp = UdpLayer(loop, tap, rng, self._transmit, self._source_ip, self._icmp.port_unreachable)

    def connect(self, uplink: Deliver) -> None:
        """Plugs in the network cable."""
        self._uplink = uplink

    # ---- natlab.net.Network

    def now(self) -> float:
        return EPOCH + self._loop.time()

    def addresses(self) -> list[str]:
        return [*self.ips, LOOPBACK, LOOPBACK6] if self.ip6 else [self.ip, LOOPBACK]

    def gateway(self) -> str | None:
        return self.gateway_ip

    async def listen_tcp(self, local: Endpoint, *, reuse_port: bool = False) -> SimTcpListener:
        self._loop.require_running()
        self._check_local(local)
        return self._tcp.listen(local, reuse_port)

    async def dial_tcp(
        self, remote: Endpoint, *, local: Endpoint | None = None, reuse_port: bool = False
    ) -> SimTcpConnection:
        self._loop.require_running()
        wildcard, loopback = wildcard_of(remote.ip), loopback_of(remote.ip)
        if remote.ip == wildcard:
            remote = Endpoint(loopback, remote.port)  # as Linux takes it
        local = local or Endpoint(wildcard, 0)
        self._check_local(local)
        source = self._source_ip(remote.ip)
        if not source or not local.version == remote.version == Endpoint(source, 0).version:
            raise SocketError(errno.ENETUNREACH, f"{self.name} has no route to {remote}")
        if local.ip == loopback != source and remote.ip not in self._own:
            raise SocketError(errno.EINVAL, f"{remote} cannot be reached from {local}")
        if local.ip == wildcard:
            local = Endpoint(source, local.port)
        return await self._tcp.dial(local, remote, reuse_port)

    async def bind_udp(self, local: Endpoint, *, reuse_port: bool = False) -> SimUdpSocket:
        self._loop.require_running()
        if local.ip not in MULTICAST_GROUPS:
            self._check_local(local)
        return self._udp.bind(local, reuse_port)

    # ---- beyond the seam: programs need privileges for it on many systems

    async def ping(
        self, to: str, *, identifier: int = 0, sequence: int = 1, ttl: int = 64, timeout: float = 1.0
    ) -> Packet | None:
        """One echo request to the address `to`: the reply, or an error about it, or None after `timeout` seconds.

        Args:
            identifier: what a NAT box tells pings apart by; 0 takes a new one.
            ttl: how many hops it may make; the router at which it has none left says so.

        Raises:
            SocketError: ENETUNREACH, the address is of a version of IP that the computer has not.
        """
        ip = self._source_ip(to)
        if not ip or wildcard_of(ip) != wildcard_of(to):
            raise SocketError(errno.ENETUNREACH, f"{self.name} has no route to {to}")
        source = Endpoint(ip, identifier or self.ping_identifier())
        return await self._icmp.ping(echo_request(source, to, sequence, PING_DATA, ttl), timeout)

    def ping_identifier(self) -> int:
        """A new one, for a series of pings."""
        return self._icmp.identifier()

    def _check_local(self, local: Endpoint) -> None:
        if local.ip not in self._own and local.ip not in (LOOPBACK, WILDCARD, WILDCARD6):
            raise SocketError(errno.EADDRNOTAVAIL, f"{local.ip} is no address of {self.name}")

    # ---- the IP layer

    def _source(self, destination: str) -> str:
        """The address a packet to `destination` leaves from. Here for a host without IPv6."""
        return LOOPBACK if destination.startswith("127.") else self.ip

    def _source_of_either(self, destination: str) -> str:
        """The same for a host with IPv6; "" if it has no address of that version."""
        if ":" in destination:
            return LOOPBACK6 if destination == LOOPBACK6 else self.ip6
        return LOOPBACK if destination.startswith("127.") else self.ip if self.ip != self.ip6 else ""

    def _transmit(self, packet: Packet) -> None:
        """Sends a packet out, or around to ourselves."""
        if self._tap.on:
            packet = packet._replace(flight=self._flight())
            self._tap.seen(packet, Verdict.SENT)
        if packet.destination.ip in self._own or packet.destination.ip.startswith("127."):
            self._loop_back(packet)
        elif self._path_mtu.known and packet.protocol != IPProtocol.TCP:
            for piece in self._path_mtu.pieces(packet, self._loop.now_ns):
                self._uplink(piece)
        else:
            self._uplink(packet)

    def too_big_outward(self, packet: Packet, mtu: int) -> None:
        """A packet of ours does not fit our own link: we tell ourselves."""
        error = icmp_error(IcmpKind.TOO_BIG, packet.source.ip, packet, mtu)
        if error is not None:
            self._transmit(error)

    def _loop_back(self, packet: Packet) -> None:
        """Delivers at once; answers that come up meanwhile wait for their turn instead of recursing."""
        self._inward.append(packet)
        if len(self._inward) > 1:
            return
        while self._inward:
            self.receive(self._inward[0])
            self._inward.popleft()

    def receive(self, packet: Packet) -> None:
        """A packet for this host arrives."""
        if packet.protocol == IPProtocol.UDP:
            self._udp.receive(packet)
        elif packet.protocol == IPProtocol.TCP:
            self._tcp.receive(packet)
        elif packet.fragment is None:
            self._icmp.receive(packet)
        elif isinstance(whole := self._reassembly.add(packet, self._loop.now_ns), Packet):
            self.receive(whole)
