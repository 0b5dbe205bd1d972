"""The circuit transport: a connection through a relay.

Specification: libp2p specs `relay/circuit-v2.md`, "Connection Initiation". Once hop and stop have been spoken, the two
ends own one byte stream through the relay, and upgrade it like a TCP connection: the relay sees only ciphertext.

    dialer                          relay                         listener
      │ ── hop CONNECT ─────────────> │ ── stop CONNECT ────────────> │
      │ <════════════ the circuit: multistream, Noise, Yamux ════════> │

A circuit has no endpoints of its own: both ends know it by the relay's address.
"""

from __future__ import annotations

import asyncio

from natlab.errors import SecurityError
from natlab.protocol import circuit
from natlab.transport.connection import Connection, Route
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream
from natlab.wire import address
from natlab.wire.peer_id import PeerId


async def dial(relay: Connection, target: PeerId) -> tuple[MuxedStream, Route]:
    """The dialer's part, over an open connection to the relay.

    Raises:
        RefusedError: the relay said no; `status` is circuit-v2's, e.g. NO_RESERVATION.
        ProtocolError, ClosedError, UnreachableError: the relay broke the dialogue.
    """
    started = asyncio.get_running_loop().time()
    stream = await negotiated(relay.open_stream(), circuit.HOP_ID)
    await circuit.connect(stream, target=target)
    return stream, _route(relay, dialled=True, started=started)


async def accept(stream: MuxedStream) -> tuple[PeerId, Route]:
    """The listener's part, on a stop stream that the relay opened; afterwards `stream` is the circuit.

    Returns:
        Who is calling, as the relay says; the security handshake has to prove it.

    Raises:
        SecurityError: the relay's own connection is itself a circuit.
        RefusedError: the relay's message was none, and we said so.
        ClosedError, UnreachableError: the relay hung up, or fell silent.
    """
    if stream.connection.relayed:
        raise SecurityError("a relay that is itself behind a relay")
    started = asyncio.get_running_loop().time()
    source, _ = await circuit.accept(stream)
    return source, _route(stream.connection, dialled=False, started=started)


def _route(relay: Connection, *, dialled: bool, started: float) -> Route:
    through = address.via_relay(address.with_peer(relay.route.remote, relay.peer))
    return Route(through, through, relayed=True, dialled=dialled, opened_by="dial", started=started)
