import asyncio
import gc

import pytest

from natlab.sim import SimLoop
from natlab.transport.tasks import Tasks, first_success


def run(main):
    loop = SimLoop()
    try:
        return loop.run(main())
    finally:
        loop.close()


async def after(seconds, result, log=None):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if log is not None:
            log.append(f"{result} cancelled")
        raise
    if isinstance(result, Exception):
        raise result
    return result


def test_the_first_success_wins_and_the_others_are_cancelled_in_order():
    log = []

    async def main():
        attempts = [after(3, "a", log), after(1, ValueError()), after(2, "c"), after(9, "d", log)]
        return await first_success(attempts, ValueError)

    assert run(main) == "c"
    assert log == ["a cancelled", "d cancelled"]


def test_when_all_fail_the_errors_come_in_the_order_of_the_attempts():
    errors = [ValueError("slow"), ValueError("fast")]

    async def main():
        return await first_success([after(2, errors[0]), after(1, errors[1])], ValueError)

    assert run(main) == errors


@pytest.mark.parametrize(("outcome", "result"), [("a", "a"), (error := ValueError(), [error])])
def test_one_attempt_alone(outcome, result):
    async def main():
        return await first_success([after(1, outcome)], ValueError)

    assert run(main) == result


def test_a_result_from_elsewhere_ends_the_attempts():
    async def main():
        instead = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, instead.set_result, "accepted")
        return await first_success([after(5, "dialled")], ValueError, instead)

    assert run(main) == "accepted"


def test_an_unexpected_error_ends_everything():
    async def main():
        with pytest.raises(ZeroDivisionError):
            await first_success([after(1, ZeroDivisionError()), after(2, "late")], ValueError)
        assert len(asyncio.all_tasks()) == 1

    run(main)


def test_cancelling_the_race_cancels_the_attempts():
    log = []

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await first_success([after(5, "a", log), after(6, "b", log)], ValueError)
        assert len(asyncio.all_tasks()) == 1

    run(main)
    assert log == ["a cancelled", "b cancelled"]


def test_tasks_end_with_their_owner_and_none_start_later():
    log = []

    async def main():
        tasks = Tasks()
        tasks.start(after(5, "a", log), "a")
        tasks.start(after(6, "b", log), "b")
        await asyncio.sleep(1)
        await tasks.close()
        assert len(tasks) == 0
        tasks.start(after(1, "late", log), "late")
        assert len(tasks) == 0

    run(main)
    assert log == ["a cancelled", "b cancelled"]


def test_joining_waits_for_those_started_meanwhile():
    log = []

    async def main():
        tasks = Tasks()

        async def parent():
            await asyncio.sleep(1)
            tasks.start(child(), "child")

        async def child():
            await asyncio.sleep(1)
            log.append("child done")

        tasks.start(parent(), "parent")
        await tasks.join()

    run(main)
    assert log == ["child done"]


def test_attempts_dropped_with_their_whole_loop_say_nothing():
    """A lab that nobody closed, collected while a dial is under way: Python would complain of whatever still awaits."""
    loop = SimLoop()
    loop.create_task(first_success([asyncio.sleep(9), asyncio.sleep(8)], ValueError))
    loop.advance(1)
    del loop
    gc.collect()
