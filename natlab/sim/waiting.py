"""How a coroutine waits for a socket: it looks, waits for a change, and looks again."""

from __future__ import annotations

from asyncio import CancelledError, Future

from natlab.sim.loop import SimLoop


class Waiters:
    """Those who wait for one socket, in the order they came. All are woken by any change, and look for themselves."""

    __slots__ = ("_futures", "_loop")

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._futures: dict[Future[None], None] = {}

    async def wait(self) -> None:
        future: Future[None] = self._loop.create_future()
        self._futures[future] = None
        try:
            await future
        except CancelledError:
            self._futures.pop(future, None)
            raise

    def wake(self) -> None:
        if self._futures:
            futures, self._futures = self._futures, {}
            for future in futures:
                if not future.done():
                    future.set_result(None)
