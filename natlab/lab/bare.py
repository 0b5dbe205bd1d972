"""Bare computers, for the lessons below libp2p: hosts with sockets that a notebook can hold.

    host.listen(port), host.dial(to), host.udp(port)    ──> sockets, see `natlab.lab.bare_sockets`
    host.classify(stun server)                          ──> Classification   which NAT am I behind?
    host.ping(to), host.traceroute(to)                  ──> how far, and what is on the way
    host.map_port(port)                                 ──> PortMapping      open to strangers, by the gateway

The verbs are coroutines, handed to `lab.run(...)`, or to `here.run(...)` on the reader's own computer
(`natlab.lab.this_computer`). Whatever has an endpoint can be dialled or sent to: a listener, a UDP socket, an
`Endpoint`, or its text "11.0.0.1:4001". `attempt` turns a refusal into a value, to be shown like any other.

A host remembers what it has open, as `ss` shows it: `host.sockets`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

import pandas as pd

from natlab.endpoint import Endpoint
from natlab.errors import LabError, SocketError, UnreachableError
from natlab.lab import bad_input, pinging
from natlab.lab.bare_sockets import BareConnection, BareListener, BareSocket, BareUdpSocket, SocketRow, To
from natlab.lab.classify import Classification
from natlab.lab.pinging import Named
from natlab.lab.views.frame import frame
from natlab.net import Network, TcpConnection
from natlab.packet import IPProtocol
from natlab.portmap import GatewayConfig, PortMapper, PortMapping, Service
from natlab.portmap.mapper import LIFETIME, ORDER
from natlab.protocol import stun
from natlab.protocol.behaviour_discovery import discover_udp
from natlab.protocol.stun_server import Site, StunServer
from natlab.protocol.tcp_discovery import discover_tcp
from natlab.sim import NatRouter

T = TypeVar("T")
S = TypeVar("S", bound="BareSocket")

DIAL_TIMEOUT = 3.0  # seconds; enough for two SYNs, the first and its repetition one second later


@dataclass(frozen=True, slots=True, repr=False)
class Refusal:
    """What `attempt` returns for a listen, bind or dial that failed. `name` is the error's, e.g. "EADDRINUSE"."""

    error: SocketError

    @property
    def name(self) -> str:
        return errno.errorcode.get(self.error.errno, str(self.error.errno))

    def __repr__(self) -> str:
        return str(self.error)


async def attempt(verb: Awaitable[T]) -> T | Refusal:
    """Awaits a verb that may be refused: its result, or the refusal."""
    bad_input.check_awaitable(verb, "attempt")
    try:
        return await verb
    except SocketError as error:
        return Refusal(error)


class BareHost:
    """A computer without libp2p, made by `lab.host(name)`.

    Attributes:
        name: what tables and ladders call it.
        ip: the address that its sockets are bound to, unless they are to be IPv6.
        ip6: its IPv6 address, "" for none.
    """

    def __init__(self, name: str, ip: str, network: Network, rng: Random, ip6: str = "") -> None:
        self.name = name
        self.ip = ip
        self.ip6 = ip6
        self._network = network
        self._rng = rng
        self._open: list[BareSocket] = []
        self._mappers: dict[tuple[str, tuple[Service, ...]], PortMapper] = {}

    def __repr__(self) -> str:
        return f"<host {self.name} at {self.ip}, open sockets: {len(self._open)}>"

    async def listen(self, port: int = 0, *, reuse_port: bool = False, ipv6: bool = False) -> BareListener:
        """Listens for TCP connections.

        Args:
            port: 0 takes a free one.
            reuse_port: set SO_REUSEPORT before binding; sockets that all have it may share the port.
            ipv6: listen on the IPv6 address of a computer that has both.

        Raises:
            SocketError: EADDRINUSE, another socket has the port.
            LabError: the computer has no IPv6.
        """
        bad_input.check_flag(reuse_port, "reuse_port=")
        listener = await self._network.listen_tcp(self._local(port, ipv6), reuse_port=reuse_port)
        return self._keep(BareListener(self, listener, reuse_port))

    async def dial(
        self, to: To, from_port: int = 0, *, reuse_port: bool = False, timeout: float = DIAL_TIMEOUT
    ) -> BareConnection:
        """Opens a TCP connection.

        Args:
            from_port: the local port; 0 takes an ephemeral one.
            reuse_port: set SO_REUSEPORT before binding, so that the port may be one that listens already.
            timeout: seconds until it gives up.

        Raises:
            SocketError: ETIMEDOUT (no answer), ECONNREFUSED (RST), EADDRINUSE (another socket has the local port),
                EADDRNOTAVAIL (there is a connection between these two endpoints already), ENETUNREACH (it is IPv6
                and this computer has none, or the other way round).
        """
        if isinstance(to, BareSocket):
            to.check_loop()
        remote = self.resolve(to)
        local = self._local(from_port, remote.version == 6 and bool(self.ip6))
        bad_input.check_seconds(timeout, "timeout=")
        bad_input.check_flag(reuse_port, "reuse_port=")
        try:
            async with asyncio.timeout(timeout):
                connection = await self._network.dial_tcp(remote, local=local, reuse_port=reuse_port)
        except TimeoutError:
            raise SocketError(errno.ETIMEDOUT, f"dial {remote}: no answer in {timeout:g} s") from None
        return self._keep(BareConnection(self, connection, "dial", reuse_port))

    async def udp(self, port: int = 0, *, reuse_port: bool = False, ipv6: bool = False) -> BareUdpSocket:
        """Binds a UDP socket; arguments and errors are those of `listen`."""
        bad_input.check_flag(reuse_port, "reuse_port=")
        socket = await self._network.bind_udp(self._local(port, ipv6), reuse_port=reuse_port)
        return self._keep(BareUdpSocket(self, socket, reuse_port))

    async def serve_stun(
        self, alternate: BareHost | None = None, ports: tuple[int, int] = (stun.PORT, stun.PORT + 1)
    ) -> StunServer:
        """Starts a STUN server, which answers until its `close`.

        Args:
            alternate: the computer with the server's second address; without one it says where it sees somebody, but
                is of no use to `classify`.
            ports: the two ports of each; the first one only without an `alternate`.

        Raises:
            SocketError: EADDRINUSE, another socket has one of the ports.
            ValueError: no such ports, or the two addresses are of two versions of IP.
        """
        if not isinstance(ports, tuple) or len(ports) != 2:
            raise ValueError(f"ports= is a pair of ports, such as (3478, 3479), not {ports!r}")
        for port in ports:
            bad_input.check_port(port, "a STUN server")
        bad_input.check_one_of(alternate, (BareHost, type(None)), "alternate= is another host, made by lab.host(...)")
        second = None
        if alternate is not None:
            second = Site(alternate._network, alternate._local(0, alternate.ip6 != "" and ":" in self.ip).ip)
            if (":" in second.ip) is not (":" in self.ip):
                raise ValueError(f"{self.ip} and {second.ip} are of two IP versions: a server's addresses are of one")
        server = StunServer(Site(self._network, self.ip), second, ports)
        await server.start()
        return server

    async def classify(self, server: StunServer | To, transport: Literal["udp", "tcp"] = "udp") -> Classification:
        """Finds out which NAT this computer is behind, by asking a STUN server with two addresses (RFC 5780).

        Args:
            server: what `serve_stun` returned, or the endpoint of any such server.
            transport: a NAT may treat the two differently. The filtering of TCP takes a server of natlab's.

        Raises:
            UnreachableError: the server does not answer.
            ProtocolError: the server has no second address.
            RefusedError: TCP's filtering was asked of a server that does not dial back.
            LabError: this computer has no address of the server's version of IP.
        """
        if transport not in ("udp", "tcp"):
            raise ValueError(f'the transport is "udp" or "tcp", not {transport!r}')
        discover = discover_udp if transport == "udp" else discover_tcp
        to = self.resolve(server.endpoint if isinstance(server, StunServer) else server)
        local = self._local(0, to.version == 6)
        if local.version != to.version:
            raise LabError(f"{self.name} has no IPv4 address, and {to} is one: ask a server with an IPv6 address")
        return Classification(await discover(self._network, local.ip, to, self._rng))

    async def map_port(
        self,
        port: int,
        protocol: Literal["tcp", "udp"] = "tcp",
        *,
        external_port: int = 0,
        lifetime: int = LIFETIME,
        by: str | None = None,
        gateway: str | None = None,
    ) -> PortMapping:
        """Asks the gateway to open a port, and keeps it open until its `close`.

        Args:
            external_port: the one it would like outside; 0: the same.
            lifetime: seconds, of each lease; it is renewed in time.
            by: one protocol, "pcp", "nat-pmp" or "upnp"; by default each in turn until one works.
            gateway: its address, if it is not this computer's default gateway.

        Raises:
            UnreachableError: there is no gateway, or it gave out no port; `.attempts` says why.
        """
        if protocol not in ("tcp", "udp"):
            raise ValueError(f'the protocol is "tcp" or "udp", not {protocol!r}')
        bad_input.check_port(port, "what is to be opened")
        bad_input.check_port(external_port or port, "external_port=")
        bad_input.check_whole(lifetime, "lifetime=", most=2**32 - 1)
        address = self._network.gateway() if gateway is None else bad_input.checked_ip(gateway, "gateway=")
        if address is None:
            raise UnreachableError(f"{self.name} has no gateway that it knows of: if there is one, name it (gateway=)")
        services = ORDER if by is None else GatewayConfig(services=(by,)).services  # type: ignore[arg-type]
        key = address, services
        if key not in self._mappers:
            self._mappers[key] = PortMapper(self._network, self.ip, address, self._rng, services)
        return await self._mappers[key].open(IPProtocol[protocol.upper()], port, external_port, lifetime)

    async def ping(self, to: str | Named | NatRouter, timeout: float = pinging.PING_TIMEOUT) -> float | None:
        """Sends one ICMP echo request: the round-trip time in seconds, or None if no reply comes.

        Args:
            to: an address, a host, or a NAT box, which stands for its external address.
            timeout: seconds to wait for the reply.
        """
        bad_input.check_seconds(timeout, "timeout=")
        return await pinging.ping(self._network, to, timeout)

    async def traceroute(
        self, to: str | Named | NatRouter, most: int = 30, timeout: float = pinging.PING_TIMEOUT
    ) -> pd.DataFrame:
        """Who is on the way, found by probes that may make 1, 2, 3, ... hops; columns as `pinging.HopRow`.

        Args:
            most: hops after which it gives up.
            timeout: seconds to wait for each answer.
        """
        bad_input.check_seconds(timeout, "timeout=")
        bad_input.check_whole(most, "most=", most=255)
        return frame(pinging.HopRow, [hop async for hop in pinging.hops(self._network, to, most, timeout)])

    @property
    def sockets(self) -> pd.DataFrame:
        """What was opened on this host and not closed here, oldest first; columns as `SocketRow`."""
        return frame(SocketRow, (socket.row for socket in self._open))

    def close(self) -> None:
        """Closes every socket, and keeps no port open at the gateway any longer: what it has there runs out."""
        for mapper in self._mappers.values():
            mapper.abandon()
        self._mappers.clear()
        while self._open:
            self._open[0].close()

    def resolve(self, to: To) -> Endpoint:
        """The endpoint of what `dial` and `send` take.

        Raises:
            ValueError: it is no endpoint and has none.
        """
        match to:
            case BareSocket():
                return to.local
            case Endpoint():
                return to
            case str():
                return Endpoint.parse(to)
        raise ValueError(f'where to? Name a listener, a UDP socket, or an endpoint such as "11.0.0.1:80", not {to!r}')

    def _local(self, port: int, ipv6: bool) -> Endpoint:
        bad_input.check_flag(ipv6, "ipv6=")
        if ipv6 and not self.ip6:
            raise LabError(f"{self.name} has no IPv6 address: make it with lab.host({self.name!r}, ipv6=True)")
        return Endpoint.of(self.ip6 if ipv6 else self.ip, port)

    def _keep(self, socket: S) -> S:
        self._open.append(socket)
        return socket

    def _accepted(self, connection: TcpConnection, reuse_port: bool) -> BareConnection:
        return self._keep(BareConnection(self, connection, "accept", reuse_port))

    def _forget(self, socket: BareSocket) -> None:
        if socket in self._open:
            self._open.remove(socket)
