"""One HTTP exchange over one connection: a client that fetches, a server that answers.

    client                               server
       │ ── SYN, SYN ACK, ACK ─────────────> │
       │ ── GET /description.xml ──────────> │
       │ <─ 200 OK, the document ─────────── │
       │ <─ FIN, FIN ACK, ACK ────────────── │

Strangers are on both sides: heads and bodies are bounded (`natlab.wire.http`), an exchange has ten seconds, and a
server has sixteen clients at a time; further ones are reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, SocketError, UnreachableError
from natlab.net import Network, Stream, TcpConnection, TcpListener
from natlab.wire import http
from natlab.wire.http import Message

__all__ = ["Handler", "fetch", "respond", "serve"]

TIMEOUT = 10.0
CLIENTS = 16

Handler = Callable[[Message, Endpoint], bytes]
"""A request and where it came from; the whole response, head and body (`respond`)."""


async def fetch(network: Network, server: Endpoint, request: bytes) -> Message:
    """Sends a request over a connection of its own, and returns the response.

    Raises:
        UnreachableError: nobody listens, or there was no answer in time.
        DecodeError: what came is no HTTP, or too much of it.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            connection = await network.dial_tcp(server)
            try:
                await connection.write(request)
                response = await _read(connection)
            except BaseException:
                connection.reset()
                raise
            await connection.close_write()
            return response
    except (TimeoutError, SocketError, ClosedError) as error:
        raise UnreachableError(f"no HTTP response from {server}", [(str(server), error)]) from error


async def serve(listener: TcpListener, handler: Handler) -> None:
    """Answers clients until the listener is closed."""
    exchanges: dict[asyncio.Task[None], None] = {}
    try:
        while True:
            connection = await listener.accept()
            if len(exchanges) >= CLIENTS:
                connection.reset()
                continue
            task = asyncio.ensure_future(_exchange(connection, handler))
            exchanges[task] = None
            task.add_done_callback(exchanges.pop)
    except ClosedError:
        return
    finally:
        for task in list(exchanges):
            task.cancel()


def respond(status: str, document: bytes = b"") -> bytes:
    """A response: `respond("200 OK", document)`."""
    fields = {"Server": "natlab UPnP/1.1 natlab/1.0", "Ext": "", "Connection": "close"}
    content = {"Content-Type": 'text/xml; charset="utf-8"'} if document else {"Content-Length": "0"}
    return http.encode(f"HTTP/1.1 {status}", fields | content, document)


async def _exchange(connection: TcpConnection, handler: Handler) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            try:
                response = handler(await _read(connection, is_request=True), connection.remote)
            except DecodeError:
                response = respond("400 Bad Request")
            await connection.write(response)
            await connection.close_write()
            while await connection.read():  # until the client has closed its side, too
                pass
    except (TimeoutError, ClosedError):
        connection.reset()
    except asyncio.CancelledError:
        connection.reset()
        raise


async def _read(stream: Stream, is_request: bool = False) -> Message:
    """One message. A response without a length ends with the connection, a request without one has no body."""
    data = b""
    while http.END_OF_HEAD not in data:
        if len(data) > http.MAX_HEAD:
            raise DecodeError(f"an HTTP head of more than {http.MAX_HEAD} bytes")
        chunk = await stream.read()
        if not chunk:
            raise DecodeError("the connection ended within an HTTP head")
        data += chunk
    head, _, body = data.partition(http.END_OF_HEAD)
    message = http.decode_head(head)
    length = message.content_length
    if length is None and is_request:
        length = 0
    while length is None or len(body) < length:
        chunk = await stream.read()
        if not chunk and length is not None:
            raise DecodeError("the connection ended within an HTTP body")
        if not chunk:
            break
        body += chunk
        if len(body) > http.MAX_BODY:
            raise DecodeError(f"an HTTP body of more than {http.MAX_BODY} bytes")
    return Message(message.start, message.fields, body if length is None else body[:length])
