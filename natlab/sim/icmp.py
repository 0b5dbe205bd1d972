"""ICMP on a simulated host: it answers pings, sends some, and hears of what went wrong on the way.

    an echo request        answered with the same bytes (RFC 1122 section 3.2.2.6)
    an echo reply, or      the coroutine in `ping` that waits for it
      an error about a ping
    an error about TCP     the connection, if the quoted segment is one that it has in flight (`tcp_icmp.py`)
    an error about UDP     nobody: Linux tells only connected sockets, and the seam has none; but "packet too big" the
                           host itself remembers (`path_mtu.py`), if a socket can have sent what it quotes

A datagram for a port that nobody has is answered with "port unreachable", as Linux does.

Not modelled: Linux's limit of errors per second and receiver, ping sockets' permissions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.packet import IcmpKind, IPProtocol, Packet, echo_reply, icmp_error
from natlab.sim.capture import Tap
from natlab.sim.loop import SimLoop
from natlab.sim.path_mtu import PathMtu
from natlab.sim.streams import TcpLayer

__all__ = ["IcmpLayer"]


class IcmpLayer:
    """The ICMP of one host.

    Args:
        rng: chooses the identifiers of pings.
        transmit: hands a packet to the IP layer.
        is_bound: whether a UDP socket has this endpoint.
    """

    def __init__(
        self,
        loop: SimLoop,
        tap: Tap,
        rng: Random,
        transmit: Callable[[Packet], None],
        tcp: TcpLayer,
        path_mtu: PathMtu,
        is_bound: Callable[[Endpoint], bool],
    ) -> None:
        self._loop = loop
        self._tap = tap
        self._rng = rng
        self._transmit = transmit
        self._tcp = tcp
        self._path_mtu = path_mtu
        self._is_bound = is_bound
        self._awaited: dict[tuple[Endpoint, int], asyncio.Future[Packet]] = {}  # by who asked, and sequence number

    async def ping(self, request: Packet, timeout: float) -> Packet | None:
        """Sends an echo request. Returns the reply, or an error about it, or None after `timeout` seconds.

        Raises:
            ValueError: one with the same identifier and sequence number is under way.
        """
        self._loop.require_running()
        key = request.source, request.seq
        if key in self._awaited:
            raise ValueError(f"a ping with identifier {request.source.port} and number {request.seq} is under way")
        answer: asyncio.Future[Packet] = self._loop.create_future()
        self._awaited[key] = answer
        try:
            self._transmit(request)
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._awaited[key]

    def identifier(self) -> int:
        """A random one, as Linux gives it to a ping socket."""
        return self._rng.randint(1, 65535)

    def receive(self, packet: Packet) -> None:
        verdict, reason = self._dispatch(packet)
        if self._tap.on:
            self._tap.seen(packet, verdict, reason)
        if packet.icmp is not None and packet.icmp.kind is IcmpKind.ECHO_REQUEST:
            self._transmit(echo_reply(packet))

    def _dispatch(self, packet: Packet) -> tuple[Verdict, str]:
        quoted = packet.quoted
        if quoted is not None and quoted.protocol == IPProtocol.TCP:
            told = packet.icmp is not None and self._tcp.error_arrives(packet.icmp, quoted)
            return (Verdict.DELIVERED, "") if told else (Verdict.DROPPED, "no connection has sent what it quotes")
        if quoted is not None and packet.icmp is not None and packet.icmp.kind is IcmpKind.TOO_BIG:
            if quoted.protocol == IPProtocol.UDP and not self._is_bound(quoted.source):
                return Verdict.DROPPED, "no UDP socket can have sent what it quotes"
            self._path_mtu.learn(quoted.destination.ip, packet.icmp.mtu, self._loop.now_ns)
            return Verdict.DELIVERED, ""
        if quoted is not None and quoted.protocol == IPProtocol.UDP:
            return Verdict.DROPPED, "a UDP socket that is not connected is told of no error"
        if packet.icmp is not None and packet.icmp.kind is IcmpKind.ECHO_REQUEST:
            return Verdict.DELIVERED, ""
        answer = self._awaited.get((packet.destination, packet.seq) if quoted is None else (quoted.source, quoted.seq))
        if answer is None or answer.done():
            return Verdict.DROPPED, "no ping waits for it"
        answer.set_result(packet)
        return Verdict.DELIVERED, ""

    def port_unreachable(self, datagram: Packet) -> None:
        """Nobody has the port of this datagram."""
        error = icmp_error(IcmpKind.PORT_UNREACHABLE, datagram.destination.ip, datagram)
        if error is not None:
            self._transmit(error)
