"""Virtual time: an asyncio event loop whose clock jumps to the next event.

Tasks, futures, timeouts and queues are asyncio's own, so code written for asyncio runs here unchanged; only the loop
under them differs. There is no selector and no waiting. Two queues hold all that can ever happen:

    ready   callbacks due now, first in first out            (call_soon: how asyncio resumes tasks)
    heap    (nanosecond, sequence, callback, arguments)      (timers, and packets in flight)

    run ──> ready not empty? run its first
            else pop the heap's smallest, set the clock to it, run it
            until the awaited result is there

Equal times run in the order they were scheduled, so one seed gives one history. Time is an integer of nanoseconds
inside (sums of floats would depend on their order) and seconds outside.

    run(awaitable)   drive until it is done           DeadlockError: nothing left to happen, or past `limit`
    advance(s)       let s virtual seconds pass
    step()           one timed event and all it makes ready

In a notebook another loop is already running. `_entered` parks it, with its current task, and puts it back.
Ctrl-C sets a flag that is looked at between two events, so no half-done event is left behind.

Not modelled: real sockets, names, threads and programs (`natlab.sim.sealed`); signals and whatever else a loop may
have, for which asyncio's methods raise NotImplementedError.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import threading
from asyncio import Future, Handle, Task, TimerHandle
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from heapq import heapify, heappop, heappush
from types import FrameType
from typing import Any, TypeVar, TypeVarTuple, Unpack

from natlab.errors import DeadlockError, LabError
from natlab.sim.sealed import SealedLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NANOSECONDS = 1_000_000_000  # in a second
NAMED_IN_DEADLOCK = 12  # tasks a DeadlockError lists before "and n more"
SWEEP_CANCELLED = 100  # cancelled timers tolerated in the heap before it is swept


class SimLoop(SealedLoop):
    """The run loop of one lab.

    Attributes:
        now_ns: nanoseconds of virtual time since the loop was made.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._ready: deque[Handle] = deque()
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._sequence = 0
        self._cancelled_timers = 0
        self._tasks: dict[Task[Any], None] = {}  # all unfinished tasks, in the order they were made
        self._task_number = 0
        self._running = False
        self._closed = False
        self._awaited: Future[Any] | None = None  # whose end is the end of the run under way
        self._halt = False  # leave `_drive` before the next event
        self._interrupted = False
        self._failures: list[BaseException] = []

    # ---- the three ways to let time pass

    def run(self, awaitable: Awaitable[T], limit: float = 600.0, since: float | None = None) -> T:
        """Drives the simulation until `awaitable` is done and returns its result.

        Args:
            limit: virtual seconds it may take.
            since: when they began; None is now.

        Raises:
            DeadlockError: no event is left or the limit has passed, and it still waits. It is cancelled.
            LabError: called from inside the simulation, where a plain `await` does it.
            KeyboardInterrupt: Ctrl-C. The awaitable is cancelled, everything else stays as it was.
            Exception: what the awaitable raised, or what a background task or callback raised unhandled.
        """
        if (self._running or self._closed) and asyncio.iscoroutine(awaitable):
            awaitable.close()  # it will never be awaited, and Python would warn about that
        with self._entered():
            main = asyncio.ensure_future(awaitable, loop=self)
            main.add_done_callback(self.halt)
            self._awaited = main
            try:
                until = self.now_ns if since is None else round(since * NANOSECONDS)
                until += round(limit * NANOSECONDS)
                self._drive(until)
                self._check()
                if not main.done():
                    raise self._deadlock(main, until, limit)
            except BaseException:
                self._abandon(main)
                raise
            return main.result()

    def advance(self, seconds: float) -> None:
        """Lets virtual time pass, and all that happens in it.

        Raises:
            Exception: what a background task or callback raised unhandled.
        """
        if seconds < 0:
            raise ValueError(f"time only goes forward, not by {seconds} s")
        until = self.now_ns + round(seconds * NANOSECONDS)
        with self._entered():
            self._drive(until)
            self._check()
            self.now_ns = until

    def step(self, until: float = math.inf, awaited: Future[Any] | None = None) -> bool:
        """Runs what is ready, then one timed event and all it makes ready.

        Args:
            until: virtual seconds since the loop was made, past which no event is run.
            awaited: at its end the step is over, at the very event at which `run` would stop; it has `halt` for that.

        Returns:
            False when nothing is left to happen up to then, or when `awaited` is done.
        """
        with self._entered():
            self._awaited = awaited
            self._drive(-1)
            moved = self._pop_timed(until * NANOSECONDS)
            self._drive(-1)
            self._check()
            return moved

    def halt(self, done: Future[Any]) -> None:
        """A done callback of what is awaited; others may end late, when nobody runs the loop for them any more."""
        if done is self._awaited:
            self._halt = True

    def require_running(self) -> None:
        """Called first by every verb that takes simulated time.

        Raises:
            LabError: it is awaited on some other loop, for example directly in a notebook cell.
        """
        if asyncio._get_running_loop() is not self:
            raise LabError(
                "this takes simulated time: hand it to lab.run(...) of its own lab instead of awaiting it here"
            )

    # ---- the engine

    def _drive(self, until_ns: int) -> None:
        """Runs events in order, until told to halt or none is left up to `until_ns`. The hot path."""
        ready, heap = self._ready, self._heap
        while not self._halt:
            if ready:
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()
                del handle  # or it keeps a failed task, and its report, until the next event
            elif heap and heap[0][0] <= until_ns:
                when, _, callback, arguments = heappop(heap)
                if callback is _fire and arguments[0].cancelled():
                    self._cancelled_timers -= 1
                    continue
                self.now_ns = when
                callback(*arguments)
            else:
                return

    def _pop_timed(self, until_ns: float) -> bool:
        """Runs the next timed event; False if there is none."""
        if self._halt or not self._anything_timed() or self._heap[0][0] > until_ns:
            return False
        self.now_ns, _, callback, arguments = heappop(self._heap)
        callback(*arguments)
        return True

    def _anything_timed(self) -> bool:
        """Whether an event is in the heap; afterwards its smallest is not a cancelled timer."""
        heap = self._heap
        while heap and heap[0][2] is _fire and heap[0][3][0].cancelled():
            heappop(heap)
            self._cancelled_timers -= 1
        return bool(heap)

    def _check(self) -> None:
        """Raises what went wrong behind the awaitable's back."""
        if self._interrupted:
            raise KeyboardInterrupt
        if self._failures:
            raise self._failures.pop(0)

    def _abandon(self, main: Future[Any]) -> None:
        """Cancels `main` and lets it clean up as far as it can in this instant."""
        self._halt = self._interrupted = False
        main.cancel()
        self._drive(self.now_ns)
        if main.done() and not main.cancelled():
            main.exception()  # the error that led here matters more

    def _deadlock(self, main: Future[Any], until_ns: int, limit: float) -> DeadlockError:
        why = "nothing can happen any more"
        if self._anything_timed():
            why = f"{limit:g} virtual seconds have passed"
            self.now_ns = until_ns
        others = [_describe(task) for task in self._tasks if task is not main]
        more = len(others) - NAMED_IN_DEADLOCK
        lines = [_describe(main), *others[:NAMED_IN_DEADLOCK], *([f"and {more} more"] if more > 0 else [])]
        return DeadlockError(f"at {self.time():.3f} s {why}, still waiting:\n  " + "\n  ".join(lines))

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Makes this the running loop; parks the loop and task it was called from, and puts them back."""
        if self._closed:
            raise LabError("this lab's loop is closed")
        if self._running:
            raise LabError(
                "simulated time is already running here: write `await ...`, or `await asyncio.sleep(seconds)`"
            )
        outer = asyncio._get_running_loop()
        parked = asyncio.current_task(outer) if outer else None
        if outer and parked:
            asyncio.tasks._leave_task(outer, parked)  # from 3.14 on, one thread has one current task
        asyncio._set_running_loop(self)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finalize)
        self._running, self._halt, self._interrupted = True, bool(self._failures), False
        try:
            with self._interruptible():
                yield
        finally:
            self._running, self._awaited = False, None
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            if outer and parked:
                asyncio.tasks._enter_task(outer, parked)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C sets a flag while we run; a second one, in an event that does not end, interrupts at once."""
        previous = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or previous is None:
            yield
            return

        def interrupt(_: int, __: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = self._halt = True

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        """An async generator was dropped half-way: run its `finally` blocks in simulated time."""
        if not self._closed:
            self.create_task(generator.aclose())

    # ---- scheduling: what asyncio asks of a loop

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.now_ns / NANOSECONDS

    def call_at_ns(self, when_ns: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Schedules a call that cannot be cancelled, as one plain heap entry. An error in it ends the run."""
        self._sequence += 1
        heappush(self._heap, (when_ns, self._sequence, callback, args))

    def call_at_end_of_instant(self, callback: Callable[[], object]) -> None:
        """Schedules a call behind all that is ready, what that makes ready, and all that was scheduled for now."""
        self.call_at_ns(self.now_ns, callback)

    def call_soon(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        return self._call_timer(self.now_ns + _nanoseconds(delay), callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        return self._call_timer(_nanoseconds(when), callback, args, context)

    def _call_timer(
        self, when_ns: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> TimerHandle:
        timer = TimerHandle(when_ns / NANOSECONDS, callback, args, self, context)
        if not isinstance(when_ns, int):
            return timer  # `await asyncio.sleep(math.inf)`: never
        timer._scheduled = True  # type: ignore[attr-defined]  # asks for `_timer_handle_cancelled`
        self.call_at_ns(max(when_ns, self.now_ns), _fire, timer)
        return timer

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """Keeps cancelled timers, of which `asyncio.timeout` makes many, from filling the heap."""
        self._cancelled_timers += 1
        if self._cancelled_timers > SWEEP_CANCELLED and self._cancelled_timers * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2] is not _fire or not entry[3][0].cancelled()]
            heapify(self._heap)
            self._cancelled_timers = 0

    def create_future(self) -> Future[Any]:
        return Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> Task[T]:
        self._task_number += 1
        task = Task(coro, loop=self, name=name or f"task {self._task_number}", context=context)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.__delitem__)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """asyncio reports an error nobody handles: the run under way, or else the next one, raises it."""
        failure = context.get("exception")
        if failure is not None:
            failure.add_note(f"natlab: {context.get('message')}")
            self._failures.append(failure)
            self._halt = True

    # ---- state

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Cancels every task, lets each clean up within this instant, and forgets what was scheduled."""
        if self._closed:
            return
        with self._entered():
            for task in list(self._tasks):
                task.cancel()
            self._drive(self.now_ns)
        self._closed = True
        self._ready.clear()
        self._heap.clear()


def _nanoseconds(seconds: float) -> float:
    """A whole number of them; infinity stays what it is."""
    exact = seconds * NANOSECONDS
    return round(exact) if exact < math.inf else math.inf


def _fire(timer: TimerHandle) -> None:
    timer._scheduled = False  # type: ignore[attr-defined]
    timer._run()


def _describe(waiting: Future[Any]) -> str:
    """`task 3: Node.dial > dial_tcp > SimTcpConnection.read`: the chain of coroutines, outermost first."""
    if not isinstance(waiting, Task):
        return repr(waiting)
    chain: list[str] = []
    coroutine: Any = waiting.get_coro()
    while coroutine is not None and hasattr(coroutine, "__qualname__"):
        chain.append(coroutine.__qualname__.replace(".<locals>", ""))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return f"{waiting.get_name()}: {' > '.join(chain)}"
