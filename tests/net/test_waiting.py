import asyncio

import pytest

from natlab.net.waiting import Waiters
from natlab.sim.loop import SimLoop


@pytest.fixture
def loop():
    loop = SimLoop()
    yield loop
    loop.close()


def test_all_are_woken_in_the_order_they_came(loop):
    waiters, woken = Waiters(), []

    async def wait(name):
        await waiters.wait()
        woken.append(name)

    async def main():
        tasks = [asyncio.ensure_future(wait(name)) for name in "abc"]
        await asyncio.sleep(1)
        waiters.wake()
        await asyncio.gather(*tasks)
        waiters.wake()

    loop.run(main())
    assert woken == ["a", "b", "c"]


def test_who_gives_up_is_forgotten(loop):
    waiters = Waiters()

    async def main():
        for _ in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await waiters.wait()

    loop.run(main())
    assert not waiters._futures


def test_who_watches_is_called_at_once_and_each_time(loop):
    waiters, woken = Waiters(), []
    waiters.watcher = lambda: woken.append("watcher")

    async def main():
        task = asyncio.ensure_future(waiters.wait())
        task.add_done_callback(lambda _: woken.append("waiter"))
        await asyncio.sleep(1)
        waiters.wake()
        assert woken == ["watcher"]
        await task
        waiters.wake()

    loop.run(main())
    assert woken == ["watcher", "waiter", "watcher"]
