"""STUN, the client: a Binding Request there, and back comes the endpoint from which it was seen.

Specification: RFC 8489 section 6. Over UDP either message may be lost, so the client repeats its request; over TCP it
only waits.

    client                                    server            UDP, with the default timers (section 6.2.1)
       │ ──── Binding Request ───────────────> │                0.0 s
       │ ──── the same, same transaction ────> │                0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s
       │ <─── Binding Response ─────────────── │                or at 39.5 s: failed
                XOR-MAPPED-ADDRESS

What arrives meanwhile and is no response to this transaction is silently discarded (section 6.3). Where a response
comes *from* does not matter here: behaviour discovery asks for answers from elsewhere, and looks at their source.

Not modelled: an RTO estimated from earlier round trips (section 6.2.1 recommends to cache one; every transaction begins
at the initial value), TLS and DTLS, SRV look-ups, ALTERNATE-SERVER, authentication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, ProtocolError, RefusedError, UnreachableError
from natlab.net import TcpConnection, UdpSocket
from natlab.protocol.framing import read_exactly
from natlab.wire import stun
from natlab.wire.stun import ChangeRequest, Message, MessageClass

__all__ = ["PORT", "Answer", "Timers", "ask_tcp", "ask_udp", "binding_request", "read_stun"]

PORT = 3478
"""The port of STUN over UDP and TCP (RFC 8489 section 18.6)."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long a client tries (RFC 8489 section 6.2.1).

    Attributes:
        rto: seconds to the first repetition; they double from then on.
        rc: requests sent at most.
        rm: times `rto` from the last request to giving up.
    """

    rto: float = 0.5
    rc: int = 7
    rm: int = 16

    def waits(self) -> Iterator[float]:
        """Seconds to wait after each request, the last one included."""
        yield from (self.rto * 2**sent for sent in range(self.rc - 1))
        yield self.rto * self.rm

    @property
    def total(self) -> float:
        """Seconds until a transaction has failed; over TCP this is Ti (section 6.2.2)."""
        return sum(self.waits())


DEFAULT_TIMERS = Timers()


@dataclass(frozen=True, slots=True)
class Answer:
    """A success response, and the endpoint it came from."""

    message: Message
    source: Endpoint

    @property
    def mapped(self) -> Endpoint:
        """The endpoint from which the server saw the request.

        Raises:
            ProtocolError: the response does not say.
        """
        if self.message.xor_mapped_address is None:
            raise ProtocolError(f"a Binding Response from {self.source} without XOR-MAPPED-ADDRESS")
        return self.message.xor_mapped_address


def binding_request(rng: Random, *, change: ChangeRequest | None = None, response_port: int | None = None) -> Message:
    """A new Binding Request; its transaction ID comes from `rng`."""
    return Message(
        MessageClass.REQUEST, stun.new_transaction_id(rng), change_request=change, response_port=response_port
    )


async def ask_udp(
    socket: UdpSocket,
    server: Endpoint,
    request: Message,
    timers: Timers = DEFAULT_TIMERS,
    *,
    answer_at: UdpSocket | None = None,
) -> Answer:
    """One transaction over UDP. Nobody else may read from the socket meanwhile.

    Args:
        answer_at: the socket to wait at, if the request asks for a response to another port.

    Raises:
        UnreachableError: no response in time.
        RefusedError: an error response; `.status` is its code.
        ProtocolError: a success response with an attribute that must be understood and is not (section 6.3.3).
        ClosedError: the socket was closed.
    """
    data = stun.encode(request)
    for wait in timers.waits():
        socket.send(data, server)
        try:
            async with asyncio.timeout(wait):
                return await _response(answer_at or socket, request)
        except TimeoutError:
            continue
    raise UnreachableError(f"no STUN response from {server} to {timers.rc} requests in {timers.total:g} s")


async def ask_tcp(connection: TcpConnection, request: Message, timers: Timers = DEFAULT_TIMERS) -> Answer:
    """One transaction over an open TCP connection; errors are those of `ask_udp`, and DecodeError for what is no STUN.

    Raises:
        UnreachableError: no response in time, or the connection ended before it.
    """
    try:
        async with asyncio.timeout(timers.total):
            await connection.write(stun.encode(request))
            while (message := await read_stun(connection)).transaction_id != request.transaction_id:
                pass
    except (TimeoutError, ClosedError) as error:
        raise UnreachableError(f"no STUN response from {connection.remote} over TCP") from error
    return _checked(message, connection.remote)


async def read_stun(connection: TcpConnection) -> Message:
    """Reads one message from a connection that carries nothing but STUN.

    Raises:
        DecodeError: what comes is not STUN, or too long.
        ClosedError: the connection ended before the message did.
    """
    header = await read_exactly(connection, stun.HEADER_SIZE)
    return stun.decode(header + await read_exactly(connection, stun.body_length(header)))


async def _response(socket: UdpSocket, request: Message) -> Answer:
    """Waits for the response to this request; discards all else."""
    while True:
        data, source = await socket.receive()
        try:
            message = stun.decode(data)
        except DecodeError:
            continue
        if message.message_class is not MessageClass.REQUEST and message.transaction_id == request.transaction_id:
            return _checked(message, source)


def _checked(message: Message, source: Endpoint) -> Answer:
    """RFC 8489 sections 6.3.3 and 6.3.4."""
    if message.error is not None and message.message_class is MessageClass.ERROR_RESPONSE:
        raise RefusedError(f"{source} answers {message.error.code} {message.error.reason}", message.error.code)
    if message.message_class is not MessageClass.SUCCESS_RESPONSE or message.not_understood:
        raise ProtocolError(f"a STUN response from {source} that cannot be understood")
    return Answer(message, source)
