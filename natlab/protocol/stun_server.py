"""STUN, the server: it says from where it sees whoever asks, and answers from another endpoint if asked to.

Specifications: RFC 8489 section 6.3.1; RFC 5780 section 6, which gives the server two addresses and two ports:

    A1:P1  the one clients are told        A2:P1
    A1:P2                                  A2:P2

A request that arrives at Da:Dp is answered from there, unless its CHANGE-REQUEST says otherwise (section 6.1, table 1;
Ca is the other address, Cp the other port):

    flags                   answered from      OTHER-ADDRESS
    none                    Da:Dp              Ca:Cp
    change IP               Ca:Dp              Ca:Cp
    change port             Da:Cp              Ca:Cp
    change IP and port      Ca:Cp              Ca:Cp

The two addresses may belong to two computers, as section 2.3 allows: here they only have to be in one process. With one
address the server is a plain STUN server, which refuses CHANGE-REQUEST with 420.

**Dial-back, ours.** Over TCP a STUN server must never open a connection to the client (RFC 8489 section 6.2.2), so
RFC 5780 measures filtering for UDP only. natlab's server does it nevertheless, when asked by CHANGE-REQUEST over TCP:

    client                                          server
       │ ── TCP from Y: Binding Request ──────────> │ Da:Dp          CHANGE-REQUEST in it
       │ <─ SYN to the endpoint it was seen from ── │ Ca:Cp          or as the table says
       │ <─ Binding Response ────────────────────── │                over the new connection, if there is one
       │ <─ Binding Response, or error 447 ──────── │ Da:Dp          what became of it, over the old one

It dials only the endpoint that the request came from, so it cannot be turned against anybody else. 447 is "Connection
Timeout or Failure" (RFC 6062).

Not modelled: authentication, TLS, PADDING (unknown, so 420), and what section 6.3.1 calls the easiest way, to remember
transactions: the Binding method is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, SocketError
from natlab.net import Network, TcpConnection, TcpListener, UdpSocket
from natlab.protocol.stun import PORT, read_stun
from natlab.wire import stun
from natlab.wire.stun import Attribute, ChangeRequest, ErrorCode, Message, MessageClass

__all__ = ["DIAL_BACK_TIMEOUT", "Site", "StunServer"]

T = TypeVar("T")

SOFTWARE = "natlab"
UNKNOWN_ATTRIBUTE = ErrorCode(420, "Unknown Attribute")
CONNECTION_FAILURE = 447
DIAL_BACK_TIMEOUT = 5.0
"""Seconds for a dial-back: enough for three SYNs, at 0, 1 and 3 s."""
IDLE = 60.0
"""Seconds a TCP client may be silent. RFC 8489 section 6.2.2 leaves closing to the client, unless it is gone."""
MAX_UNKNOWN = 64
"""Types listed in UNKNOWN-ATTRIBUTES: a stranger can send more than fit into the answer."""
CONNECTIONS = 256
"""TCP clients at a time; more are reset."""


@dataclass(frozen=True, slots=True)
class Site:
    """One of the server's addresses, and the network of the computer that has it."""

    network: Network
    ip: str


class StunServer:
    """A STUN server over UDP and TCP, with behaviour discovery if it has two sites.

    Args:
        primary: where clients find it.
        alternate: the second address.
        ports: the two ports; without an `alternate` only the first one is used.

    Attributes:
        endpoint: A1:P1, what clients are told.
    """

    def __init__(self, primary: Site, alternate: Site | None = None, ports: tuple[int, int] = (PORT, PORT + 1)) -> None:
        if alternate is not None and (alternate.ip == primary.ip or ports[0] == ports[1]):
            raise ValueError("behaviour discovery takes two different addresses and two different ports")
        self._sites = [primary] if alternate is None else [primary, alternate]
        self._ports = ports[: len(self._sites)]
        self.endpoint = Endpoint(primary.ip, ports[0])
        self._sockets: dict[Endpoint, UdpSocket] = {}
        self._listeners: list[TcpListener] = []
        self._connections: dict[TcpConnection, None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}

    def __repr__(self) -> str:
        return f"<STUN server at {self.endpoint}{f', also {other}' if (other := self._other(self.endpoint)) else ''}>"

    async def start(self) -> None:
        """Opens its sockets and begins to answer.

        Raises:
            SocketError: EADDRINUSE, EADDRNOTAVAIL; then none stays open.
        """
        try:
            for site in self._sites:
                for port in self._ports:
                    await self._open(site, Endpoint(site.ip, port))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes all it has opened; who waits for an answer gets none."""
        for socket in self._sockets.values():
            socket.close()
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.reset()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _open(self, site: Site, local: Endpoint) -> None:
        self._sockets[local] = await site.network.bind_udp(local)
        self._spawn(self._answer_udp(self._sockets[local]))
        self._listeners.append(await site.network.listen_tcp(local, reuse_port=True))
        self._spawn(self._accept(self._listeners[-1]))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    # ---- what both transports share

    def _other(self, local: Endpoint) -> Endpoint | None:
        """Ca:Cp, if there is one."""
        return self._origin(local, ChangeRequest(ip=True, port=True)) if len(self._sites) > 1 else None

    def _origin(self, local: Endpoint, change: ChangeRequest) -> Endpoint:
        """From where a request that arrived at `local` is answered: RFC 5780 table 1."""
        ip = _other_of([site.ip for site in self._sites], local.ip) if change.ip else local.ip
        return Endpoint(ip, _other_of(self._ports, local.port) if change.port else local.port)

    def _response(self, request: Message, source: Endpoint, local: Endpoint) -> Message:
        """The response to a request that came from `source` and arrived at `local`."""
        unknown = list(request.not_understood)
        if request.change_request is not None and len(self._sites) == 1:
            unknown.append(Attribute.CHANGE_REQUEST)
        if unknown:
            return _error(request, UNKNOWN_ATTRIBUTE, tuple(unknown))
        return Message(
            MessageClass.SUCCESS_RESPONSE,
            request.transaction_id,
            mapped_address=source,
            xor_mapped_address=source,
            response_origin=self._origin(local, request.change_request or ChangeRequest()),
            other_address=self._other(local),
            software=SOFTWARE,
        )

    # ---- UDP

    async def _answer_udp(self, socket: UdpSocket) -> None:
        """Answers what arrives at one of the four sockets; from which one, the response itself says."""
        while True:
            try:
                data, source = await socket.receive()
                request = stun.decode(data)
            except DecodeError:
                continue  # RFC 8489 section 6.3: silently discarded
            except ClosedError:
                return
            if request.message_class is not MessageClass.REQUEST:
                continue
            response = self._response(request, source, socket.local)
            sender = self._sockets[response.response_origin or socket.local]
            port = source.port if request.response_port is None else request.response_port
            sender.send(stun.encode(response), Endpoint(source.ip, port))

    # ---- TCP

    async def _accept(self, listener: TcpListener) -> None:
        while True:
            try:
                connection = await listener.accept()
            except ClosedError:
                return
            if len(self._connections) >= CONNECTIONS:
                connection.reset()
                continue
            self._connections[connection] = None
            self._spawn(self._answer_tcp(connection))

    async def _answer_tcp(self, connection: TcpConnection) -> None:
        """Answers the requests on one connection until the client ends it."""
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    request = await read_stun(connection)
                if request.message_class is MessageClass.REQUEST:
                    await connection.write(stun.encode(await self._dial_back(request, connection)))
        except ClosedError:
            await connection.close_write()
        except (DecodeError, TimeoutError):
            connection.reset()
        finally:
            del self._connections[connection]

    async def _dial_back(self, request: Message, connection: TcpConnection) -> Message:
        """The response to a request over TCP; if it asks for another origin, after an attempt to deliver it from there.

        This is ours and no STUN: see the top of the file.
        """
        response = self._response(request, connection.remote, connection.local)
        origin = response.response_origin
        if origin is None or origin == connection.local:
            return response
        network = next(site.network for site in self._sites if site.ip == origin.ip)
        try:
            async with asyncio.timeout(DIAL_BACK_TIMEOUT):
                back = await network.dial_tcp(connection.remote, local=origin, reuse_port=True)
        except (SocketError, TimeoutError) as error:
            return _error(request, ErrorCode(CONNECTION_FAILURE, f"{origin} to {connection.remote}: {error}"))
        self._connections[back] = None
        self._spawn(self._deliver(response, back))
        return response

    async def _deliver(self, response: Message, back: TcpConnection) -> None:
        """Sends the response over a connection dialled back, and lets the client close it."""
        try:
            async with asyncio.timeout(IDLE):
                await back.write(stun.encode(response))
                while await back.read():
                    pass
        except (ClosedError, TimeoutError):
            pass
        finally:
            del self._connections[back]
            back.reset()


def _error(request: Message, error: ErrorCode, unknown: tuple[int, ...] = ()) -> Message:
    return Message(
        MessageClass.ERROR_RESPONSE,
        request.transaction_id,
        error=error,
        unknown_attributes=unknown[:MAX_UNKNOWN],
        software=SOFTWARE,
    )


def _other_of(pair: Sequence[T], one: T) -> T:
    return pair[1] if one == pair[0] else pair[0]
