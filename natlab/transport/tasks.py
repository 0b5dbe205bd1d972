"""Running several things at once, in an order that can be repeated.

`asyncio.wait` returns sets and `TaskGroup` cancels in set order, so what happens next would depend on memory
addresses. Here everything goes by the order in which tasks were started, or by the order in which they finished,
which the loop decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Background tasks that end with their owner.

    Finished tasks are forgotten; an error in one is the loop's to report, as for any task.
    """

    __slots__ = ("_closed", "_running")

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], None] = {}  # a dict keeps the order, a set does not
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Starts `work`; after `close`, only drops it."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._running.pop)

    def cancel(self) -> None:
        """Cancels all but the task that calls, oldest first; nothing new starts."""
        self._closed = True
        current = asyncio.current_task()
        for task in list(self._running):
            if task is not current:
                task.cancel()

    async def close(self) -> None:
        """Cancels all, and waits until they have ended."""
        self.cancel()
        await self.join()

    async def join(self) -> None:
        """Waits until all but the task that calls have ended, those started meanwhile included."""
        current = asyncio.current_task()
        while others := [task for task in self._running if task is not current and not task.done()]:
            await settle(others)


async def settle(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Waits until all have ended, however they end."""
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_success(
    attempts: Sequence[Coroutine[Any, Any, T]], failed: type[Exception], instead: asyncio.Future[T] | None = None
) -> T | list[Exception]:
    """Runs all at once until one succeeds, and cancels the others; none runs any more on return.

    Args:
        failed: the errors that count as a failed attempt; any other ends everything.
        instead: a result from elsewhere that makes the attempts needless.

    Returns:
        The first result, or every error, in the order of `attempts`.
    """
    if len(attempts) == 1 and instead is None:
        try:
            return await attempts[0]
        except failed as only:
            return [only]
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(attempt) for attempt in attempts]
    finished: asyncio.Queue[asyncio.Future[T]] = asyncio.Queue()
    for future in [*tasks, *([instead] if instead else [])]:
        future.add_done_callback(finished.put_nowait)
    try:
        for _ in tasks:
            done = await finished.get()
            if not isinstance(done.exception(), failed):
                return done.result()
        return [error for task in tasks if isinstance(error := task.exception(), Exception)]
    except GeneratorExit:  # dropped with its whole loop, an abandoned lab for example: nothing can be awaited any more
        tasks.clear()
        raise
    finally:
        for task in tasks:
            task.cancel()
        await settle(tasks)
