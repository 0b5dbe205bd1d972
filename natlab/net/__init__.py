"""The seam: what a node may ask of a network, and nothing more.

A node is written once, against these four protocols, and never knows which network it runs on:

    Network ──listen_tcp──> TcpListener ──accept──> TcpConnection (a ByteStream, and so a Stream)
        │─────dial_tcp────────────────────────────> TcpConnection
        │─────bind_udp────> UdpSocket
        └─────now, addresses, gateway

`natlab.sim` implements it with virtual time and no kernel; `natlab.net.sockets` with the computer's own sockets.

Port reuse: with `reuse_port=True` one local endpoint both listens and dials, as SO_REUSEPORT allows on Linux.
Simultaneous open is no special call. It is what two dials from listening ports do when their SYNs cross. If the
peer's SYN has already been accepted by our listener, the 4-tuple is taken and the dial fails with EADDRNOTAVAIL.

Timeouts are the caller's, by the loop's time (`asyncio.timeout`); cancelling a dial abandons it and frees its port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from natlab.endpoint import Endpoint

__all__ = ["ByteStream", "Network", "Stream", "TcpConnection", "TcpListener", "UdpSocket"]


class Stream(Protocol):
    """An ordered, reliable, two-way flow of bytes: what every dialogue speaks.

    A TCP connection, a Yamux stream, a QUIC stream and a relayed circuit are all streams.
    """

    async def read(self, limit: int = 65536) -> bytes:
        """Waits for at least one byte and returns at most `limit`; `b""` once the peer has closed its side.

        Raises:
            ClosedError: the stream was reset, or closed by us.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Sends all of `data`; returns when it is queued within the flow-control window.

        Raises:
            ClosedError: the stream was reset, or our side is closed.
        """
        ...

    async def close_write(self) -> None:
        """Says that no more will be written (FIN). Reading goes on. Closing twice is harmless."""
        ...

    def reset(self) -> None:
        """Ends both directions at once (RST); readers and writers on both ends get `ClosedError`."""
        ...


class ByteStream(Stream, Protocol):
    """A stream that can also be used without waiting: what an encrypted connection runs on, TCP or a circuit."""

    def read_now(self, limit: int = 65536) -> bytes | None:
        """What `read` would return, or raise, at once; None where it would wait."""
        ...

    def write_now(self, data: bytes | memoryview) -> int:
        """Queues as much of `data` as there is room for, and says how many bytes that was.

        Raises:
            ClosedError: the stream was reset, or our side is closed.
        """
        ...

    def watch(self, changed: Callable[[], None] | None) -> None:
        """Has `changed` called whenever `read_now` or `write_now` may have another answer than before."""
        ...


class TcpConnection(ByteStream, Protocol):
    """A TCP connection. `reset` sends RST at once (SO_LINGER 0), which frees the 4-tuple for the next dial."""

    @property
    def local(self) -> Endpoint: ...

    @property
    def remote(self) -> Endpoint: ...


class TcpListener(Protocol):
    """A listening TCP socket."""

    @property
    def local(self) -> Endpoint: ...

    async def accept(self) -> TcpConnection:
        """Waits for the next connection.

        Raises:
            ClosedError: the listener was closed.
        """
        ...

    def close(self) -> None: ...


class UdpSocket(Protocol):
    """A bound UDP socket."""

    @property
    def local(self) -> Endpoint: ...

    def send(self, data: bytes, to: Endpoint) -> None:
        """Sends one datagram; never waits, may be lost."""
        ...

    async def receive(self) -> tuple[bytes, Endpoint]:
        """Waits for the next datagram: its bytes and who sent it.

        Raises:
            ClosedError: the socket was closed.
        """
        ...

    def close(self) -> None: ...


class Network(Protocol):
    """A place where a node can run: one computer's view of its network."""

    def now(self) -> float:
        """Unix time in seconds: for reservations, vouchers and certificates, never for timeouts."""
        ...

    def addresses(self) -> list[str]:
        """The IP addresses of this computer's interfaces, loopback last, each as canonical text."""
        ...

    def gateway(self) -> str | None:
        """The address of this computer's default gateway, which may be asked for ports; None if it is not known."""
        ...

    async def listen_tcp(self, local: Endpoint, *, reuse_port: bool = False) -> TcpListener:
        """Listens; `0.0.0.0` or `::` means every interface, port 0 a free one.

        128 connections wait to be accepted. Closing resets them, and spares the accepted ones.

        Raises:
            SocketError: EADDRINUSE, EADDRNOTAVAIL (not an address of this computer).
        """
        ...

    async def dial_tcp(
        self, remote: Endpoint, *, local: Endpoint | None = None, reuse_port: bool = False
    ) -> TcpConnection:
        """Connects, from `local` when given (port reuse), else from an ephemeral port.

        Raises:
            SocketError: ECONNREFUSED (RST), ETIMEDOUT, EADDRINUSE (the local port is taken without reuse),
                EADDRNOTAVAIL (the 4-tuple is taken), ENETUNREACH, EHOSTUNREACH, EINVAL (from loopback elsewhere).
        """
        ...

    async def bind_udp(self, local: Endpoint, *, reuse_port: bool = False) -> UdpSocket:
        """Binds a UDP socket. To bind the address of a multicast group is to join it.

        Raises:
            SocketError: EADDRINUSE, EADDRNOTAVAIL.
        """
        ...
