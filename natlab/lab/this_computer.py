"""The reader's own computer as a bare host: real sockets, real time, and nothing but loopback.

    here = this_computer()
    server = here.run(here.listen())           the same verbs as on `lab.host(...)`
    here.run(here.dial(server))

Its sockets are bound to 127.0.0.1 and talk to nothing else, so what a lesson does here, nobody on a network sees. The
kernel chooses ephemeral ports and timing: outputs vary from run to run, verdicts do not.

A notebook's cells run inside its event loop, where Python forbids to run that loop again; `nest_asyncio2` lets us. In
a script, which has no loop, the host brings its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from random import SystemRandom
from typing import TypeVar

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.lab import bad_input
from natlab.lab.bare import BareHost
from natlab.lab.bare_sockets import To
from natlab.net.sockets import SystemNetwork
from natlab.sim import SimLoop

T = TypeVar("T")

LOOPBACK = "127.0.0.1"


def this_computer() -> ThisComputer:
    """The computer this runs on, restricted to loopback."""
    return ThisComputer()


class ThisComputer(BareHost):
    """Bare sockets of the operating system on 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__("this computer", LOOPBACK, SystemNetwork(), SystemRandom())
        self._own_loop: asyncio.AbstractEventLoop | None = None

    def run(self, awaitable: Awaitable[T], limit: float = 10.0) -> T:
        """Waits until the awaitable is done, and returns its result.

        Args:
            limit: real seconds it may take.

        Raises:
            LabError: it took longer; or called from inside a simulation.
            ValueError: it is nothing that can be awaited here, or the limit is no number of seconds.
        """
        bad_input.check_awaitable(awaitable, "run")
        with bad_input.dropping(awaitable):
            bad_input.check_seconds(limit, "limit=")
            loop = self._loop()
            bad_input.check_future(awaitable, loop)
        return loop.run_until_complete(_within(awaitable, limit))

    def resolve(self, to: To) -> Endpoint:
        endpoint = super().resolve(to)
        if endpoint.version == 6 or not endpoint.address.is_loopback:
            raise LabError(f"this computer talks only to itself here, on {LOOPBACK}, not to {endpoint}")
        return endpoint

    def _local(self, port: int, ipv6: bool) -> Endpoint:
        if ipv6 is True:
            raise LabError(
                f"here sockets are on {LOOPBACK} only: leave ipv6=True out, or take a lab.host(..., ipv6=True)"
            )
        return super()._local(port, ipv6)

    def close(self) -> None:
        super().close()
        if self._own_loop is not None:
            self._own_loop.run_until_complete(asyncio.sleep(0))  # transports close in the loop's next turn
            self._own_loop.close()
            self._own_loop = None

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The notebook's own loop, made re-entrant; where none is running, one of ours."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            self._own_loop = self._own_loop or asyncio.new_event_loop()
            return self._own_loop
        if isinstance(running, SimLoop):
            raise LabError("real time cannot pass inside a simulation: call here.run(...) outside of lab.run(...)")
        _make_reentrant(running)
        return running


async def _within(awaitable: Awaitable[T], limit: float) -> T:
    try:
        async with asyncio.timeout(limit) as passing:
            return await awaitable
    except TimeoutError:
        if not passing.expired():
            raise  # the reader's own, from within
        raise LabError(
            f"{limit:g} s have passed, and it still waits: for what? If it needs longer, here.run(..., limit=60)"
        ) from None


def _make_reentrant(loop: asyncio.AbstractEventLoop) -> None:
    """Allows `run_until_complete` on a running loop."""
    import nest_asyncio2  # when first needed, because it changes asyncio for the whole process

    nest_asyncio2.apply(loop)
