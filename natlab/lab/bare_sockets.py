"""The sockets of bare hosts, as objects that a notebook can hold.

    listen ──> BareListener ──accept()──> BareConnection      TCP
    dial ───────────────────────────────> BareConnection
    udp ─────> BareUdpSocket ──receive()──> Datagram          UDP

Each wraps a socket of `natlab.net` and says what went wrong where that one keeps silent, as a network does: a datagram
that is too long, or sent by a socket that is closed; a verb handed to the `run` of another lab, where it would wait in
vain. Their host makes them (`natlab.lab.bare`) and remembers them until they are closed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError
from natlab.lab import bad_input
from natlab.net import TcpConnection, TcpListener, UdpSocket
from natlab.sim import SimLoop
from natlab.sim.udp import LONGEST

if TYPE_CHECKING:
    from natlab.lab.bare import BareHost


class SocketRow(NamedTuple):
    """
    Columns:
        made_by: string, listen, dial, accept or udp.
        local: string, IP:PORT of this end.
        remote: string, IP:PORT of the other end; "" for a listener and for UDP.
        reuse_port: bool, whether SO_REUSEPORT is set; an accepted connection has it from its listener.
    """

    made_by: str
    local: str
    remote: str
    reuse_port: bool


@dataclass(frozen=True, slots=True, repr=False)
class Datagram:
    """One UDP datagram as its receiver got it: the bytes, and the endpoint it came from."""

    data: bytes
    source: Endpoint

    def __repr__(self) -> str:
        return f"{self.data!r} from {self.source}"


class BareSocket:
    """What the four kinds of sockets have in common.

    Attributes:
        host: the computer it is on.
        local: its endpoint there.
        row: how `host.sockets` shows it.
        closed: whether it was closed here.
    """

    def __init__(self, host: BareHost, local: Endpoint, row: SocketRow, end: Callable[[], None]) -> None:
        self.host = host
        self.local = local
        self.row = row
        self.closed = False
        self._end = end
        self._loop = asyncio.get_running_loop()

    def check_loop(self) -> None:
        """Raises LabError where another loop runs than the one it lives in, whose time never passes meanwhile."""
        if self.closed or asyncio.get_running_loop() is self._loop:
            return
        if isinstance(self._loop, SimLoop):
            raise LabError(f"{self!r} lives in its lab's time: hand this to lab.run(...) of that lab")
        raise LabError(f"{self!r} is a real socket: make it and use it with its own computer's run, here.run(...)")

    def close(self) -> None:
        """Closes it and frees its port, at once: a connection ends with RST, the other end's read with ClosedError."""
        self.closed = True
        self.host._forget(self)
        self._end()


class BareListener(BareSocket):
    """A listening TCP socket."""

    def __init__(self, host: BareHost, listener: TcpListener, reuse_port: bool) -> None:
        row = SocketRow("listen", str(listener.local), "", reuse_port)
        super().__init__(host, listener.local, row, listener.close)
        self._listener = listener

    def __repr__(self) -> str:
        return f"<{self.host.name} listens at TCP {self.local}{_flag(self.row)}>"

    async def accept(self) -> BareConnection:
        """Waits for the next connection."""
        self.check_loop()
        return self.host._accepted(await self._listener.accept(), self.row.reuse_port)


class BareConnection(BareSocket):
    """A TCP connection. `remote` is the other end as this end sees it: behind a NAT that is the external endpoint."""

    def __init__(self, host: BareHost, connection: TcpConnection, made_by: str, reuse_port: bool) -> None:
        row = SocketRow(made_by, str(connection.local), str(connection.remote), reuse_port)
        super().__init__(host, connection.local, row, connection.reset)
        self.remote = connection.remote
        self._connection = connection

    def __repr__(self) -> str:
        arrow = "->" if self.row.made_by == "dial" else "<-"
        return f"<{self.host.name} TCP {self.local} {arrow} {self.remote}{_flag(self.row)}>"

    async def write(self, data: bytes | str) -> None:
        """Sends all of it; text as UTF-8.

        Raises:
            ClosedError: the connection was reset or closed.
        """
        self.check_loop()
        await self._connection.write(_bytes(data))

    async def read(self) -> bytes:
        """Waits for bytes and returns what is there; `b""` once the other end has closed its side.

        Raises:
            ClosedError: the connection was reset.
        """
        self.check_loop()
        return await self._connection.read()


class BareUdpSocket(BareSocket):
    """A bound UDP socket: one endpoint for every peer."""

    def __init__(self, host: BareHost, socket: UdpSocket, reuse_port: bool) -> None:
        super().__init__(host, socket.local, SocketRow("udp", str(socket.local), "", reuse_port), socket.close)
        self._socket = socket

    def __repr__(self) -> str:
        return f"<{self.host.name} UDP {self.local}{_flag(self.row)}>"

    async def send(self, data: bytes | str, to: To) -> None:
        """Sends one datagram, text as UTF-8. It is on its way when this returns, and may be lost.

        Raises:
            ValueError: it is too long, or of another version of IP than its destination.
            ClosedError: the socket was closed.
            LabError: the socket, or the one it is for, is one of another lab, or a real one.
        """
        self.check_loop()
        if isinstance(to, BareSocket):
            to.check_loop()
        remote, datagram = self.host.resolve(to), _bytes(data)
        if remote.version != self.local.version:
            bind = "with" if remote.version == 6 else "without"
            raise ValueError(f"{self.local} is no address to send to {remote} from: bind a socket {bind} ipv6=True")
        if len(datagram) > LONGEST:
            raise ValueError(f"a datagram has room for {LONGEST} bytes, not {len(datagram)}: send several")
        if self.closed:
            raise ClosedError(f"the UDP socket at {self.local} is closed")
        self._socket.send(datagram, remote)

    async def receive(self) -> Datagram:
        """Waits for the next datagram."""
        self.check_loop()
        return Datagram(*await self._socket.receive())


To = Endpoint | str | BareSocket
"""Where to: an endpoint, its text, or a socket that has one."""


def _bytes(data: bytes | str) -> bytes:
    bad_input.check_one_of(data, (bytes, str), "what to send is bytes, or text")
    return data.encode() if isinstance(data, str) else data


def _flag(row: SocketRow) -> str:
    return ", SO_REUSEPORT" if row.reuse_port else ""
