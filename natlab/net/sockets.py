"""The computer's own sockets, as a `natlab.net.Network`.

    Network          here                 below
    listen_tcp  ──>  SystemListener   ──> an asyncio server
    dial_tcp    ──>  SystemConnection ──> an asyncio transport, read through BufferedProtocol
    bind_udp    ──>  SystemUdpSocket  ──> an asyncio datagram transport

What is asked of each TCP socket, and why:

- SO_REUSEPORT where `reuse_port` is set: one local endpoint both listens and dials, the precondition of hole punching
  (specs `relay/DCUtR.md`; RFC 5128 section 3.4). The kernel wants the flag on *every* socket of it.
- SO_REUSEADDR on listeners: connections of an earlier listener, even in TIME-WAIT, do not keep the port from it. Dials
  do not get it: with it two of them share a port that nobody flagged for sharing (socket(7)).
- TCP_NODELAY: the handshakes are many small messages.
- SO_LINGER 0 on reset: RST instead of FIN and TIME_WAIT, so that the 4-tuple is free for the next dial.

Everything a stranger can grow is bounded: bytes read ahead, connections accepted ahead, datagrams received ahead.
Error numbers are the kernel's. *Not modelled*: interfaces one by one; `addresses` asks the routing table which address
this computer would use towards the internet, and `gateway` knows Linux's only. A multicast group is joined on the
interface that the routing table names.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError
from natlab.net.waiting import Waiters, WatchableStream
from natlab.wire.inbox import Inbox

READ_AHEAD = 1 << 18
"""Bytes kept for a reader before the kernel's window has to fill."""
CHUNK = 2 + 65535
"""Bytes taken from the kernel at a time: the longest Noise message with its length, so that of a busy stream each read
is one whole message, and nothing has to be put together."""
BACKLOG = 128
"""Connections accepted before someone asks for them; later ones are reset."""
DATAGRAMS_AHEAD = 1024
"""Datagrams kept before someone asks for them; later ones are lost."""
LINGER = "HH" if sys.platform == "win32" else "ii"  # struct linger: on | seconds
CAN_REUSE_PORT = hasattr(socket, "SO_REUSEPORT")
TOWARDS_INTERNET = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
"""Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket sends nothing, it only asks for the route."""


OpenSocket = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]


class SystemNetwork:
    """The network this computer is on.

    Args:
        open_socket: makes the sockets; by default this process does, where it is. A socket belongs for good to the
            network namespace it was made in.
    """

    def __init__(self, open_socket: OpenSocket = socket.socket) -> None:
        self._open_socket = open_socket

    def now(self) -> float:
        return time.time()

    def addresses(self) -> list[str]:
        routed = [self._source_address(probe, family) for probe, family in TOWARDS_INTERNET]
        return [*filter(None, routed), "127.0.0.1"]

    def gateway(self) -> str | None:
        return _default_gateway() if self._open_socket is socket.socket else None

    async def listen_tcp(self, local: Endpoint, *, reuse_port: bool = False) -> SystemListener:
        with _errors(f"listen on {local}"):
            sock = self._socket(local, socket.SOCK_STREAM, reuse_port)
            try:
                if sys.platform != "win32":  # there it would let others take the port over
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(local)
                listener = SystemListener(Endpoint.of(*sock.getsockname()[:2]))
                await listener.serve(sock)
            except BaseException:
                sock.close()
                raise
        return listener

    async def dial_tcp(
        self, remote: Endpoint, *, local: Endpoint | None = None, reuse_port: bool = False
    ) -> SystemConnection:
        if local is not None and local.version != remote.version:
            raise SocketError(errno.ENETUNREACH, f"dial {remote}: there is no way to it from {local}")
        with _errors(f"dial {remote}"):
            sock = self._socket(remote, socket.SOCK_STREAM, reuse_port and local is not None)
            try:
                if local is not None:
                    sock.bind(local)
                await asyncio.get_running_loop().sock_connect(sock, remote)
                return await _adopt(sock)
            except BaseException:
                _linger_zero(sock)
                sock.close()
                raise

    async def bind_udp(self, local: Endpoint, *, reuse_port: bool = False) -> SystemUdpSocket:
        loop = asyncio.get_running_loop()
        with _errors(f"bind {local}"):
            sock = self._socket(local, socket.SOCK_DGRAM, reuse_port)
            try:
                sock.bind(local)
                if local.version == 4 and local.address.is_multicast:
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, local.address.packed + bytes(4))
                _, udp = await loop.create_datagram_endpoint(lambda: SystemUdpSocket(sock), sock=sock)
            except BaseException:
                sock.close()
                raise
        return udp

    def _socket(self, at: Endpoint, kind: socket.SocketKind, reuse_port: bool) -> socket.socket:
        sock = self._open_socket(socket.AF_INET6 if at.version == 6 else socket.AF_INET, kind)
        sock.setblocking(False)
        if reuse_port and CAN_REUSE_PORT:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if at.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock

    def _source_address(self, towards: str, family: socket.AddressFamily) -> str | None:
        with self._open_socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((towards, 9))
            except OSError:  # no route
                return None
            return str(probe.getsockname()[0])


class _Landing(threading.local):
    """Where bytes from the kernel land, one buffer for each thread and so for each loop.

    asyncio hands over what it has read before it reads again, and most connections are idle: a buffer for each would be
    most of their memory.
    """

    def __init__(self) -> None:
        self.chunk = memoryview(bytearray(CHUNK))


_LANDING = _Landing()


class SystemConnection(WatchableStream, asyncio.BufferedProtocol):
    """One TCP connection, a `natlab.net.TcpConnection`."""

    __slots__ = (
        "_closed", "_ended", "_full", "_made", "_paused", "_received", "_transport", "_write_closed", "local", "remote",
    )  # fmt: skip
    local: Endpoint
    remote: Endpoint

    def __init__(self, made: Callable[[SystemConnection], None] | None = None) -> None:
        super().__init__()
        self._made = made
        self._transport: asyncio.Transport | None = None
        self._received = Inbox()
        self._paused = False  # we do not read: enough has been read ahead
        self._full = False  # the kernel takes no more for now
        self._ended = False  # the peer's FIN is here
        self._write_closed = False
        self._closed: ClosedError | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's is not, formally
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = Endpoint.of(*sock.getsockname()[:2])
        self.remote = Endpoint.of(*transport.get_extra_info("peername")[:2])
        if self._made is not None:
            self._made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _LANDING.chunk

    def buffer_updated(self, nbytes: int) -> None:
        self._received.put(_LANDING.chunk[:nbytes])
        self.changes.wake()
        if len(self._received) >= READ_AHEAD and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self.changes.wake()
        if self._write_closed:
            self._end(ClosedError("the connection was closed"))
        return not self._write_closed  # true keeps our side open

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ClosedError(f"the connection was lost: {exc}" if exc else "the connection was closed"))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.changes.wake()

    # The seam

    def read_now(self, limit: int = 65536) -> bytes | None:
        if not self._received:
            if self._ended:
                return b""
            if self._closed is not None:
                raise self._closed
            return None
        data = self._received.take(limit)
        if self._paused and len(self._received) < READ_AHEAD // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write_now(self, data: bytes | memoryview) -> int:
        transport = self._open_transport()
        if self._full:
            return 0
        transport.write(data)
        return len(data)

    async def close_write(self) -> None:
        if self._write_closed or self._closed is not None or self._transport is None:
            return
        self._write_closed = True
        self._transport.write_eof()
        if self._ended:
            self._transport.close()

    def reset(self) -> None:
        self._received.clear()
        self._ended = False
        self._end(ClosedError("the connection was reset by us"))
        if self._transport is not None:
            _linger_zero(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def _open_transport(self) -> asyncio.Transport:
        if self._closed is not None:
            raise self._closed
        if self._write_closed or self._transport is None:
            raise ClosedError("this side of the connection is closed")
        return self._transport

    def _end(self, reason: ClosedError) -> None:
        if self._closed is None:
            self._closed = reason
        self.changes.wake()


class SystemListener:
    """A listening TCP socket, a `natlab.net.TcpListener`."""

    def __init__(self, local: Endpoint) -> None:
        self.local = local
        self._server: asyncio.Server | None = None
        self._ready: deque[SystemConnection] = deque()
        self._arrivals = Waiters()
        self._closed = False

    async def serve(self, sock: socket.socket) -> None:
        """Starts to accept on a bound socket, and owns it from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SystemConnection(self._made), sock=sock, backlog=BACKLOG)

    async def accept(self) -> SystemConnection:
        while not self._ready:
            if self._closed:
                raise ClosedError(f"the listener on {self.local} was closed")
            await self._arrivals.wait()
        return self._ready.popleft()

    def close(self) -> None:
        self._closed = True
        self._arrivals.wake()
        if self._server is not None:
            self._server.close()
        while self._ready:
            self._ready.popleft().reset()

    def _made(self, connection: SystemConnection) -> None:
        if self._closed or len(self._ready) >= BACKLOG:
            connection.reset()
            return
        self._ready.append(connection)
        self._arrivals.wake()


class SystemUdpSocket(asyncio.DatagramProtocol):
    """A bound UDP socket, a `natlab.net.UdpSocket`."""

    local: Endpoint

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._transport: asyncio.DatagramTransport | None = None
        self._datagrams: deque[tuple[bytes, Endpoint]] = deque()
        self._arrivals = Waiters()
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # which 3.11's selector transport is not, formally
        self.local = Endpoint.of(*transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if len(self._datagrams) < DATAGRAMS_AHEAD:
            self._datagrams.append((data, Endpoint.of(str(addr[0]), addr[1])))
            self._arrivals.wake()

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of an earlier datagram: the seam says datagrams may be lost, and this one was."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._arrivals.wake()

    def send(self, data: bytes, to: Endpoint) -> None:
        if self._transport is None or self._closed:
            return
        if data:
            self._transport.sendto(data, to)
        else:  # asyncio's sendto forgets an empty datagram
            with suppress(OSError):
                self._sock.sendto(data, to)

    async def receive(self) -> tuple[bytes, Endpoint]:
        while not self._datagrams:
            if self._closed:
                raise ClosedError(f"the socket on {self.local} was closed")
            await self._arrivals.wait()
        return self._datagrams.popleft()

    def close(self) -> None:
        self._closed = True
        self._arrivals.wake()
        if self._transport is not None:
            self._transport.abort()


def _default_gateway() -> str | None:
    """What the routing table of Linux says; elsewhere nobody is asked."""
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    routes = [line.split() for line in lines]  # interface, destination, gateway, ...: hexadecimal, in the host's order
    gateways = [route[2] for route in routes if route[1] == "00000000" and route[2] != "00000000"]
    return socket.inet_ntoa(struct.pack("=I", int(gateways[0], 16))) if gateways else None


async def _adopt(sock: socket.socket) -> SystemConnection:
    """Gives a connected socket to an asyncio transport."""
    sock.setblocking(False)
    _, connection = await asyncio.get_running_loop().create_connection(SystemConnection, sock=sock)
    return connection


def _linger_zero(sock: socket.socket) -> None:
    with suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Maps the kernel's errors to ours."""
    try:
        yield
    except socket.gaierror as error:  # its numbers are no errnos: "fe80::1%eth7", and there is no eth7
        raise SocketError(errno.EADDRNOTAVAIL, what) from error
    except OSError as error:
        raise SocketError(error.errno or errno.EIO, what) from error
