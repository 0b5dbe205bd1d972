"""Letting time pass in a lab.

    lab.run(coroutine)              until it is done, and its result
    await lab.arun(coroutine)       the same, for a notebook that has other things to do meanwhile
    lab.advance(seconds)            and all that happens in them
    lab.step()                      to the next event
    lab.at(seconds, verb, ...)      something that is to happen by itself

Time is virtual: it stands still between cells and jumps to the next event inside these verbs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, Unpack

from natlab.errors import LabError
from natlab.lab import bad_input
from natlab.sim import SimLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SLICE = 200  # events between two breaths of the outer loop in `arun`


class Run:
    """The time of a lab."""

    def __init__(self) -> None:
        self._loop = SimLoop()  # type: ignore[abstract]  # what it lacks raises NotImplementedError

    @property
    def now(self) -> float:
        """Virtual seconds since the lab began."""
        return self._loop.time()

    def run(self, awaitable: Awaitable[T], limit: float = 600.0) -> T:
        """Lets virtual time pass until the awaitable is done, and returns its result.

        Works in a script and inside a notebook's running loop.

        Args:
            limit: virtual seconds it may take.

        Raises:
            DeadlockError: it can never be done, or the limit has passed; the message names what waits.
            LabError: called from inside the simulation, or the lab was closed.
            ValueError: it is nothing that can be awaited here, or the limit is no number of seconds.
        """
        self._check_run(awaitable, limit)
        return self._loop.run(awaitable, limit)

    def _check_run(self, awaitable: Awaitable[T], limit: float) -> None:
        bad_input.check_awaitable(awaitable, "lab.run")
        with bad_input.dropping(awaitable):
            self._check_open()
            bad_input.check_future(awaitable, self._loop)
            if self._loop.is_running():
                raise LabError("time is passing already, this code runs inside lab.run(...): await the verb itself")
            bad_input.check_seconds(limit, "limit=")

    async def arun(self, awaitable: Awaitable[T], limit: float = 600.0) -> T:
        """`run` for a notebook that has other things to do: gives way to its loop every few hundred events."""
        self._check_run(awaitable, limit)
        task, began = asyncio.ensure_future(awaitable, loop=self._loop), self.now
        task.add_done_callback(self._loop.halt)
        try:
            while self._slice(task, began + limit):  # noqa: ASYNC110  # it gives way between slices, and waits for nothing
                await asyncio.sleep(0)
            return task.result() if task.done() else self._loop.run(task, limit, began)
        finally:
            if task.cancel():
                self._loop.advance(0.0)

    def _slice(self, task: asyncio.Future[T], end: float) -> bool:
        """Runs some events; False once the task is done or nothing is left to happen before the end."""
        return all(not task.done() and self._loop.step(end, task) for _ in range(_SLICE))

    def advance(self, seconds: float) -> None:
        """Lets virtual seconds pass, and all that happens in them.

        Raises:
            ValueError: no number of seconds, or an infinite one.
        """
        self._check_open()
        bad_input.check_seconds(seconds, "how far to advance")
        self._loop.advance(seconds)

    def step(self) -> bool:
        """Lets the next event happen, and what follows from it at once; False when nothing is left to happen."""
        self._check_open()
        return self._loop.step()

    def at(self, seconds: float, verb: Callable[[Unpack[Ts]], None], *arguments: *Ts) -> None:
        """Does something at a later time: `lab.at(5.0, lab.partition, "relay")`.

        Args:
            seconds: since the lab began.
            verb: an ordinary function; what it raises, the run under way raises.

        Raises:
            ValueError: the time has passed, or it is no such function.
        """
        self._check_open()
        bad_input.check_seconds(seconds, "when something happens")
        with bad_input.dropping(verb):
            bad_input.check_callable_now(verb)
        if seconds < self.now:
            raise ValueError(f"it is {self.now:.3f} s already: choose a later time than {seconds} s")
        self._loop.call_at(seconds, verb, *arguments)

    def close(self) -> None:
        """Ends everything that runs in the lab. The journal stays."""
        self._loop.close()

    def _check_idle(self, what: str) -> None:
        """For what lets time pass itself."""
        if self._loop.is_running():
            raise LabError(f"{what} takes time, and time is passing already: do it between two runs of the lab")

    def _check_open(self) -> None:
        if self._loop.is_closed():
            raise LabError("this lab was closed: what happened in it can be looked at; for more, make a new Lab(...)")
