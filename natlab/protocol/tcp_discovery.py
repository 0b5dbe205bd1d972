"""Which NAT am I behind, for TCP? RFC 5780's tests over TCP, and a dial-back of ours where it has none.

Mapping: section 3.1 of RFC 5780 says that the tests of section 4.3 can be used for TCP as well. The client dials the
server's endpoints *from one local port*, which takes port reuse, and compares from where it was seen.

Filtering: RFC 5780 stops at UDP, since a STUN server must not open TCP connections (RFC 8489 section 6.2.2). Ours does
(`natlab.protocol.stun_server`, "Dial-back, ours"): asked by CHANGE-REQUEST, it dials the endpoint it sees us at from
its other address or port. The client listens on the very port it has dialled from, so what the NAT lets in, it accepts:

    Y listens          │ ── Binding Request: change both ────────────> │ A1:P1
    and dials          │ <─ SYN: let in? ───────────────────────────── │ A2:P2
                       │ <─ Binding Response, over this connection ─── │
                       │ <─ Binding Response (447 if that failed) ──── │ A1:P1

Only natlab's server speaks the second half; others refuse with an error, and then the filtering stays unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, RefusedError, SocketError, UnreachableError
from natlab.net import Network, TcpConnection, TcpListener
from natlab.protocol.behaviour_discovery import Discovery, Recorder, discover
from natlab.protocol.stun import DEFAULT_TIMERS, Answer, Timers, ask_tcp, binding_request, read_stun
from natlab.protocol.stun_server import CONNECTION_FAILURE
from natlab.wire.stun import ChangeRequest, Message

__all__ = ["discover_tcp", "tcp_port"]

DELIVERY = 5.0
"""Seconds in which a connection that the server has opened must also be here, with the response."""


async def discover_tcp(
    network: Network, ip: str, server: Endpoint, rng: Random, timers: Timers = DEFAULT_TIMERS
) -> Discovery:
    """All tests over TCP. Arguments and errors are those of `discover_udp`.

    Raises:
        RefusedError: the server answers with an error; 400 or 420 to filtering test II if it does not dial back.
    """
    return await discover("tcp", lambda: tcp_port(network, ip, rng, timers), server)


@asynccontextmanager
async def tcp_port(network: Network, ip: str, rng: Random, timers: Timers = DEFAULT_TIMERS) -> AsyncIterator[Recorder]:
    """A new local port that listens and dials. Its connections last until the end, and so do the NAT's mappings."""
    listener = await network.listen_tcp(Endpoint(ip, 0), reuse_port=True)
    connections: dict[Endpoint, TcpConnection] = {}

    async def ask(server: Endpoint, change: ChangeRequest) -> Answer:
        if server not in connections:
            connections[server] = await _dial(network, listener.local, server, timers)
        request = binding_request(rng, change=change)
        answer = await _asked(connections[server], request, timers)
        return await _delivered(listener, request) if change else answer

    try:
        yield Recorder(listener.local, ask)
    finally:
        listener.close()
        for connection in connections.values():
            connection.reset()


async def _dial(network: Network, local: Endpoint, server: Endpoint, timers: Timers) -> TcpConnection:
    try:
        async with asyncio.timeout(timers.total):
            return await network.dial_tcp(server, local=local, reuse_port=True)
    except (SocketError, TimeoutError) as error:
        raise UnreachableError(f"no TCP connection to {server}", [(str(server), error)]) from error


async def _asked(connection: TcpConnection, request: Message, timers: Timers) -> Answer:
    """A transaction in which a failed dial-back counts as silence."""
    try:
        return await ask_tcp(connection, request, timers)
    except RefusedError as refused:
        if refused.status == CONNECTION_FAILURE:
            raise UnreachableError(str(refused)) from refused
        raise


async def _delivered(listener: TcpListener, request: Message) -> Answer:
    """Accepts the connection that the server says it has opened; the response must come over it."""
    try:
        async with asyncio.timeout(DELIVERY):
            while True:
                back = await listener.accept()
                try:
                    message = await read_stun(back)
                except (ClosedError, DecodeError):
                    continue  # a stranger
                finally:
                    back.reset()
                if message.transaction_id == request.transaction_id:
                    return Answer(message, back.remote)
    except TimeoutError as error:
        raise UnreachableError(f"nobody has come to {listener.local}: somebody else was dialled") from error
