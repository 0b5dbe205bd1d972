"""Waiting for a stream: look what there is, wait for a change, and look again.

    await read() ──> read_now ── None: nothing yet ──> changes.wait() ─┐
                        ▲                                              │ changes.wake(): bytes came, there is room,
                        └──────────────────────────────────────────────┘ it has ended ...

A coroutine that waits costs a task, and most connections of a node are idle. So who owns a stream for good may `watch`
it instead: a plain call, made at each change, that looks for itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, CancelledError, Future, get_running_loop
from collections.abc import Callable

Later = Callable[[Callable[[], None]], object]


def end_of_turn(loop: AbstractEventLoop) -> Later:
    """Has a function called once all that is due now is done: at the end of this turn of the loop.

    In a lab, at the end of this instant: programs take no time there, so an instant is one turn of everybody.
    """
    later: Later = getattr(loop, "call_at_end_of_instant", loop.call_soon)
    return later


class Waiters:
    """Those who wait for one thing, in the order they came. All are woken by any change, and look for themselves.

    Attributes:
        watcher: called at each change, before the others are woken; None for nobody.
    """

    __slots__ = ("_futures", "watcher")

    def __init__(self) -> None:
        self.watcher: Callable[[], None] | None = None
        self._futures: dict[Future[None], None] | None = None  # most of the time there are none

    async def wait(self) -> None:
        future: Future[None] = Future(loop=get_running_loop())
        if self._futures is None:
            self._futures = {}
        waiting = self._futures
        waiting[future] = None
        try:
            await future
        except CancelledError:
            waiting.pop(future, None)
            raise

    def wake(self) -> None:
        if self.watcher is not None:
            self.watcher()
        if self._futures:
            futures, self._futures = self._futures, None
            for future in futures:
                if not future.done():
                    future.set_result(None)


class WatchableStream(ABC):
    """`read`, `write` and `watch` of a `natlab.net.ByteStream`, for what can tell at once what there is.

    Attributes:
        changes: to be woken whenever `read_now` or `write_now` may have another answer.
    """

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes = Waiters()

    @abstractmethod
    def read_now(self, limit: int = 65536) -> bytes | None: ...

    @abstractmethod
    def write_now(self, data: bytes | memoryview) -> int: ...

    async def read(self, limit: int = 65536) -> bytes:
        while (data := self.read_now(limit)) is None:
            await self.changes.wait()
        return data

    async def write(self, data: bytes) -> None:
        data = bytes(data)  # what waits must not change; free of cost for bytes
        taken = self.write_now(data)
        while taken < len(data):
            await self.changes.wait()
            taken += self.write_now(memoryview(data)[taken:])

    def watch(self, changed: Callable[[], None] | None) -> None:
        self.changes.watcher = changed
