"""One stream of a connection: a dialogue reads and writes, Yamux counts windows, the connection moves the bytes.

    dialogue ──> MuxedStream ──> Yamux session ──> connection ──> the stream below
                 write_now        frames, windows   flush: at the end of this turn of the loop

It has no task and no buffer of its own: what has come waits in the session, until it is read or skipped. Both sides end
one by one (`close_write`, `peer_finished`), or at once (`reset`); then the connection forgets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from natlab.errors import ClosedError
from natlab.net.waiting import WatchableStream
from natlab.upgrade import yamux

if TYPE_CHECKING:
    from natlab.transport.connection import Connection


class MuxedStream(WatchableStream):
    """One stream of a connection: a `natlab.net.ByteStream`.

    Attributes:
        id: the Yamux stream number.
        connection: what it runs over.
    """

    __slots__ = ("_ahead", "_closed", "_finished", "_session", "_write_closed", "connection", "id")

    def __init__(self, connection: Connection, session: yamux.Session, number: int) -> None:
        super().__init__()
        self.id = number
        self.connection = connection
        self._session = session
        self._ahead = b""
        self._finished = False  # the peer has closed its side
        self._write_closed = False
        self._closed: str | None = None

    def read_now(self, limit: int = 65536) -> bytes | None:
        if self._ahead:
            data, self._ahead = self._ahead[:limit], self._ahead[limit:]
            return data
        if self._closed is not None:
            raise ClosedError(self._closed)
        if data := self._session.read(self.id, limit):
            self.connection.flush()  # the window it opens
            return data
        self.connection.check_loop()  # before anybody waits where nothing can ever come
        return b"" if self._finished else None

    def write_now(self, data: bytes | memoryview) -> int:
        self.connection.check_loop()
        if self._closed is not None:
            raise ClosedError(self._closed)
        if self._write_closed:
            raise ClosedError("this side of the stream is closed")
        if not self.connection.room():
            return 0
        taken = self._session.write(self.id, data)
        self.connection.flush()
        return taken

    async def close_write(self) -> None:
        self.connection.check_loop()
        if self._write_closed or self._closed is not None:
            return
        self._write_closed = True
        self._session.close_write(self.id)
        self.connection.flush()
        if self._finished:
            self.connection.forget(self)

    async def close(self) -> None:
        """Closes our side and reads no more: what the peer still sends is skipped. Twice is harmless."""
        await self.close_write()
        self._end("the stream was closed by us")
        self._session.close_read(self.id)
        self.connection.forget(self)

    def reset(self) -> None:
        if self._closed is not None:
            return
        self._end("the stream was reset by us")
        self._session.reset(self.id)
        self.connection.flush()
        self.connection.forget(self)

    def unread(self, data: bytes) -> None:
        """The next `read` gives `data` again, before anything else."""
        self._ahead = data + self._ahead

    # What the connection calls

    def peer_finished(self) -> None:
        self._finished = True
        self.changes.wake()
        if self._write_closed:
            self.connection.forget(self)

    def peer_reset(self) -> None:
        self._end("the stream was reset by the peer")

    def overrun(self) -> None:
        self._end("the stream was reset by us: too much has come over the connection that nobody reads")

    def connection_ended(self) -> None:
        self._end(str(self.connection.closed))

    def _end(self, reason: str) -> None:
        self._closed = self._closed or reason
        self._ahead = b""
        self.changes.wake()
