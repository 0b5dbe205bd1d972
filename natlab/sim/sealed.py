"""A loop that reaches nothing outside of it: asyncio's ways to real sockets, names, threads and programs, all shut.

asyncio's own answer is a `NotImplementedError` without a word, and the slip is a likely one: the sockets of the
reader's own computer, handed to the `run` of a lab. So each of these methods says whose `run` it should have been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from natlab.errors import LabError

_OUTSIDE = (
    "add_reader", "add_writer", "connect_", "create_", "getaddrinfo", "getnameinfo", "remove_reader", "remove_writer",
    "run_in_executor", "sendfile", "sock_", "start_tls", "subprocess_",
)  # fmt: skip
"""How the names of these methods begin; a loop has its own `create_task` and `create_future`."""


class SealedLoop(asyncio.AbstractEventLoop):
    """What `SimLoop` is made from."""


def _refusing(verb: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise LabError(
            f"no real sockets, threads or programs in simulated time (asyncio's {verb}): in lab.run(...) use the lab's "
            "own computers, lab.host(...) or lab.node(...); the verbs of this_computer() are for its run, here.run(...)"
        )

    return refuse


for _verb in vars(asyncio.AbstractEventLoop):
    if _verb.startswith(_OUTSIDE):
        setattr(SealedLoop, _verb, _refusing(_verb))
