import asyncio

import pytest

from natlab.sim.loop import SimLoop
from natlab.sim.waiting import Waiters


@pytest.fixture
def loop():
    loop = SimLoop()
    yield loop
    loop.close()


def test_all_are_woken_in_the_order_they_came(loop):
    waiters, woken = Waiters(loop), []

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
    waiters = Waiters(loop)

    async def main():
        for _ in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await waiters.wait()

    loop.run(main())
    assert not waiters._futures
