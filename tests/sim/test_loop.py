"""The virtual clock: order, limits, deadlocks, errors that surface, and living inside another loop."""

import asyncio
import gc
import os
import signal
import time

import pytest

from natlab.errors import DeadlockError, LabError
from natlab.sim.loop import SimLoop


@pytest.fixture
def loop():
    loop = SimLoop()
    yield loop
    loop.close()


async def value_after(seconds, value):
    await asyncio.sleep(seconds)
    return value


def test_an_hour_passes_in_no_time(loop):
    started = time.monotonic()
    assert loop.run(value_after(3600, "tea"), limit=4000) == "tea"
    assert loop.time() == 3600.0
    assert loop.now_ns == 3600 * 10**9
    assert time.monotonic() - started < 5


def test_time_stands_still_between_runs(loop):
    loop.run(value_after(1.5, None))
    loop.run(value_after(0.25, None))
    assert loop.now_ns == 1_750_000_000


def test_equal_times_run_in_the_order_scheduled(loop):
    seen = []
    loop.call_at(1.0, seen.append, "timer")
    loop.call_at_ns(10**9, seen.append, "packet")
    loop.call_later(1.0, seen.append, "later")
    loop.call_soon(seen.append, "soon")
    loop.advance(1.0)
    assert seen == ["soon", "timer", "packet", "later"]


def test_the_end_of_an_instant_comes_after_all_that_happens_in_it(loop):
    seen = []

    async def answers(heard):
        await heard.wait()
        seen.append("answer")

    async def main():
        heard = asyncio.Event()
        answering = [asyncio.ensure_future(answers(heard)) for _ in range(2)]
        loop.call_at_ns(10, lambda: (heard.set(), loop.call_at_end_of_instant(lambda: seen.append("end"))))
        loop.call_at_ns(10, seen.append, "something else then")
        loop.call_at_ns(11, seen.append, "later")
        await asyncio.gather(*answering)
        await asyncio.sleep(1)

    loop.run(main())
    assert seen == ["answer", "answer", "something else then", "end", "later"]


def test_asyncio_primitives_work(loop):
    async def lesson():
        queue = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.put("a"))
            group.create_task(value_after(2, None))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.Event().wait()
        return await queue.get(), await asyncio.gather(value_after(1, 1), value_after(2, 2))

    assert loop.run(lesson()) == ("a", [1, 2])
    assert loop.time() == 7.0


def test_cancelled_timers_neither_move_the_clock_nor_fill_the_heap(loop):
    async def many():
        for _ in range(1000):
            async with asyncio.timeout(500):
                await asyncio.sleep(0.001)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"at 1\.000 s nothing can happen"):
        loop.run(many())
    assert len(loop._heap) < 250


def test_what_ends_long_after_its_run_does_not_stop_another(loop):
    """Its limit had passed, and it took its time to clean up: in the middle of somebody else's."""
    seen = []

    async def stubborn():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.0)

    loop.call_at(9.0, seen.append, "at nine")
    with pytest.raises(DeadlockError):
        loop.run(stubborn(), limit=0.5)
    loop.advance(10.0)
    assert seen == ["at nine"] and loop.time() == 10.5


@pytest.mark.parametrize("seconds", [float("inf"), 1e300])
def test_who_sleeps_for_ever_sleeps_and_no_event_comes_of_it(loop, seconds):
    with pytest.raises(DeadlockError, match=r"at 0\.000 s nothing can happen .*\n.*sleep"):
        loop.run(asyncio.sleep(seconds))
    assert not loop.step()


class TestDeadlock:
    def test_empty_heap_names_every_waiting_coroutine(self, loop):
        async def answer():
            await asyncio.Event().wait()

        async def ask():
            await answer()

        async def main():
            background = asyncio.create_task(answer(), name="the answerer")
            await ask()
            await background

        with pytest.raises(DeadlockError) as caught:
            loop.run(main())
        assert "nothing can happen any more" in str(caught.value)
        assert "main > " in str(caught.value) and "ask > " in str(caught.value)
        assert "the answerer: " in str(caught.value)

    def test_the_limit_is_virtual_seconds_from_now(self, loop):
        async def tick():
            while True:
                await value_after(1, None)

        loop.advance(100)
        with pytest.raises(DeadlockError, match="10 virtual seconds have passed"):
            loop.run(tick(), limit=10)
        assert loop.time() == 110.0

    def test_the_clock_stops_at_the_limit_between_two_events(self, loop):
        with pytest.raises(DeadlockError, match=r"at 10\.000 s 10 virtual"):
            loop.run(value_after(60, None), limit=10)
        assert loop.time() == 10.0

    def test_a_cancelled_timer_beyond_the_limit_is_no_event(self, loop):
        loop.call_later(1000, print).cancel()
        with pytest.raises(DeadlockError, match="nothing can happen"):
            loop.run(asyncio.Event().wait())
        assert loop.time() == 0.0

    def test_what_waits_is_cancelled_and_the_loop_goes_on(self, loop):
        cleaned = []

        async def main():
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

        with pytest.raises(DeadlockError):
            loop.run(main())
        assert cleaned == [True]
        assert loop.run(value_after(1, "still usable")) == "still usable"

    def test_many_waiting_tasks_are_counted_not_listed(self, loop):
        async def wait():
            await asyncio.Event().wait()

        tasks = [loop.create_task(wait()) for _ in range(40)]
        with pytest.raises(DeadlockError, match="and 28 more"):
            loop.run(wait())
        assert not any(task.done() for task in tasks)


class TestErrorsSurface:
    def test_of_the_awaitable(self, loop):
        async def fail():
            raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            loop.run(fail())

    def test_of_a_task_nobody_awaits_and_at_once(self, loop):
        async def fail():
            await asyncio.sleep(1)
            raise ValueError("background")

        async def main():
            asyncio.create_task(fail())  # noqa: RUF006  # dropped on purpose
            await asyncio.sleep(60)

        with pytest.raises(ValueError, match="background"):
            loop.run(main())
        assert loop.time() == 1.0

    @pytest.mark.parametrize("schedule", ["call_soon", "call_later", "call_at_ns"])
    def test_of_a_callback(self, loop, schedule):
        def fail():
            raise ValueError("callback")

        if schedule == "call_soon":
            loop.call_soon(fail)
        else:
            getattr(loop, schedule)(1, fail)
        with pytest.raises(ValueError, match="callback"):
            loop.advance(2)
        loop.advance(2)

    def test_between_runs_in_the_next_one(self, loop):
        async def fail():
            raise ValueError("late")

        async def main():
            return [asyncio.create_task(fail())]

        tasks = loop.run(main())
        loop.advance(1)
        tasks.clear()
        gc.collect()
        with pytest.raises(ValueError, match="late"):
            loop.run(value_after(1, None))

    def test_a_handled_task_error_is_nobodys_business(self, loop):
        async def fail():
            raise ValueError("handled")

        async def main():
            task = asyncio.create_task(fail())
            with pytest.raises(ValueError, match="handled"):
                await task
            return "fine"

        assert loop.run(main()) == "fine"


class TestStep:
    def test_one_timed_event_and_what_it_makes_ready(self, loop):
        seen = []

        async def main():
            for _ in range(2):
                await asyncio.sleep(1)
                seen.append(loop.time())

        task = loop.create_task(main())
        assert loop.step() and seen == [1.0]
        assert loop.step() and seen == [1.0, 2.0]
        assert task.done() and not loop.step()

    def test_advance_stops_exactly_there(self, loop):
        seen = []
        loop.call_later(1.0, seen.append, "due")
        loop.call_later(1.000000001, seen.append, "not yet")
        loop.advance(1.0)
        assert seen == ["due"]
        with pytest.raises(ValueError, match="forward"):
            loop.advance(-1)


class TestInsideAnotherLoop:
    def test_the_outer_loop_and_its_task_come_back(self, loop):
        async def notebook():
            task = asyncio.current_task()
            outer = asyncio.get_running_loop()
            assert loop.run(value_after(5, "inner")) == "inner"
            with pytest.raises(DeadlockError):
                loop.run(asyncio.Event().wait())
            assert asyncio.current_task() is task
            assert asyncio.get_running_loop() is outer
            await asyncio.sleep(0)
            return "outer"

        assert asyncio.run(notebook()) == "outer"

    def test_a_verb_awaited_there_says_what_to_do(self, loop):
        async def verb():
            loop.require_running()
            return "ran"

        async def notebook():
            with pytest.raises(LabError, match=r"lab\.run"):
                await verb()
            return loop.run(verb())

        assert asyncio.run(notebook()) == "ran"

    def test_running_inside_the_simulation_is_refused(self, loop):
        async def main():
            with pytest.raises(LabError, match="await"):
                loop.run(value_after(1, None))
            with pytest.raises(LabError, match="already running"):
                loop.advance(1)

        loop.run(main())


class TestInterrupt:
    def test_control_c_leaves_a_usable_lab(self, loop):
        cleaned, before = [], signal.getsignal(signal.SIGINT)

        async def main():
            try:
                await asyncio.sleep(1)
                os.kill(os.getpid(), signal.SIGINT)
                while True:
                    await value_after(1, None)
            finally:
                cleaned.append(True)

        with pytest.raises(KeyboardInterrupt):
            loop.run(main(), limit=1e9)
        assert cleaned == [True]
        assert signal.getsignal(signal.SIGINT) is before
        assert loop.run(value_after(1, "usable")) == "usable"

    def test_a_second_one_breaks_an_event_that_never_ends(self, loop):
        async def main():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

        with pytest.raises(KeyboardInterrupt):
            loop.run(main())
        assert loop.run(value_after(1, "usable")) == "usable"


def test_async_generators_finish_in_simulated_time(loop):
    seen = []

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(1)
            seen.append(loop.time())

    async def main():
        async for _ in numbers():
            break
        await asyncio.sleep(5)

    loop.run(main())
    assert seen == [1.0]


def test_close_cancels_what_is_left():
    loop = SimLoop()
    task = loop.create_task(value_after(1, None))
    loop.advance(0)
    loop.close()
    loop.close()
    assert task.cancelled() and loop.is_closed()
    with pytest.raises(LabError, match="closed"):
        loop.advance(1)
