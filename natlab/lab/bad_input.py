"""What people hand to the verbs of a lab, checked at the door: each complaint says what to hand over instead.

A wrong type is as much a slip of the pen as a wrong value, so both are a `ValueError`; what a lab does not have, or
cannot do any more, is a `LabError`.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from types import NoneType
from typing import TypeGuard

from natlab.endpoint import Endpoint, parse_ip
from natlab.errors import LabError
from natlab.events import Event
from natlab.lab.topology import CORE
from natlab.protocol.dcutr import RoleProfile
from natlab.protocol.reservations import RelayLimits

LONGEST_NAME = 40  # characters
LONGEST_TIME = 1e11  # seconds
MIN_KEEPALIVE = 0.1  # seconds; below, a lab does little else


def check_seconds(given: object, what: str, least: float = 0.0) -> None:
    """Raises ValueError unless it is a finite number, `least` or more."""
    if not _is_number(given) or not least <= given < math.inf:
        raise ValueError(f"{what} is a finite number of seconds, {least:g} or more, not {given!r}")
    if given > LONGEST_TIME:
        raise ValueError(f"{what} is at most {LONGEST_TIME:g} seconds, three thousand years")


def check_time(given: object, what: str) -> None:
    """Raises ValueError unless it is a number that a lab's clock may show; `math.inf` will do."""
    if not _is_number(given) or not (abs(given) <= LONGEST_TIME or abs(given) == math.inf):
        raise ValueError(f"{what} is a time in seconds, not {given!r}")


def check_whole(given: object, what: str, least: int = 0, most: float = math.inf) -> None:
    """Raises ValueError unless it is a whole number in this range."""
    if not isinstance(given, Integral) or isinstance(given, bool) or not least <= int(given) <= most:
        reach = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise ValueError(f"{what} is a whole number, {reach}, not {given!r}")


def check_flag(given: object, what: str) -> None:
    """Raises ValueError unless it is True or False: any other word, "no" among them, would count as true."""
    if not isinstance(given, bool):
        raise ValueError(f"{what} is True or False, not {given!r}")


def check_port(given: object, what: str) -> None:
    """Raises ValueError unless it is one port; 0, which means any elsewhere, is none."""
    if given == 0:
        raise ValueError(f"{what} takes one port: which? 0 means any")
    Endpoint.of("0.0.0.0", given)  # type: ignore[arg-type]  # it looks at the type


def checked_ip(given: object, what: str) -> str:
    """The text of an IP address; raises ValueError if it is none."""
    try:
        return str(parse_ip(str(given)))
    except ValueError:
        raise ValueError(f"{what} is an address such as '192.168.1.1', not {given!r}") from None


def checked_several(given: Iterable[str] | str, what: str) -> list[str]:
    """A list of words; raises ValueError for a single one, whose letters would be taken for words."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"{what} are several, [{given!r}] if it is one, not {given!r}")
    return list(given)


def check_name(given: object) -> None:
    """Raises ValueError unless it can name a host or NAT in tables and pictures."""
    if not isinstance(given, str) or not given.isprintable() or given.strip() != given or not given:
        raise ValueError(f"a name is a word or two of text, such as 'alice', not {given!r}")
    if len(given) > LONGEST_NAME:
        raise ValueError(f"{given[:20]!r}... is too long for a name in pictures: {LONGEST_NAME} characters at most")
    if given == CORE:
        raise ValueError(f"{CORE!r} is what lies between the hosts: choose another name")


def event_kinds(given: object) -> tuple[type[Event], ...] | None:
    """The kinds of events to record; None for all.

    Raises:
        ValueError: something else.
    """
    if given is None:
        return None
    kinds = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(kind, type) and issubclass(kind, Event) for kind in kinds):
        raise ValueError(f"record= takes kinds of events, such as [natlab.events.PacketSeen], not {given!r}")
    return kinds


def check_one_of(given: object, kinds: tuple[type, ...], what: str) -> None:
    """Raises ValueError unless it is of one of these kinds; `what` describes them."""
    if not isinstance(given, kinds):
        raise ValueError(f"{what}, not {given!r}")


def check_node(relay_service: object, hole_punching: object, keepalive: object, reuse_port: object) -> None:
    """What a node is asked to be; raises ValueError."""
    check_flag(reuse_port, "reuse_port=")
    check_one_of(relay_service, (RelayLimits, bool, NoneType), "relay_service= is True, False or a RelayLimits(...)")
    check_one_of(hole_punching, (RoleProfile, NoneType), "hole_punching= is a RoleProfile, such as GO_V048, or None")
    if keepalive is not None:
        check_seconds(keepalive, "keepalive=", least=MIN_KEEPALIVE)


def check_awaitable(given: object, run: str) -> None:
    """Raises ValueError unless time can pass until it is done."""
    if inspect.iscoroutine(given) and inspect.getcoroutinestate(given) != inspect.CORO_CREATED:
        raise ValueError(f"{given.__name__}(...) has been run already: call the verb again, and hand that over")
    if inspect.isawaitable(given):
        return
    if callable(given):
        raise ValueError(f"{run} takes what a verb returns: call it, {_name_of(given)}(...), and hand that over")
    raise ValueError(f"{run} takes what a verb returns, such as alice.dial(relay), not {given!r}")


def check_future(given: object, loop: asyncio.AbstractEventLoop) -> None:
    """Raises ValueError if it lives in another loop than the one that is to wait for it."""
    if asyncio.isfuture(given) and given.get_loop() is not loop:
        raise ValueError(
            f"this {type(given).__name__.strip('_')} lives in another loop: make it within, in a coroutine of yours, "
            "`async def both(): return await asyncio.gather(...)`, and hand over both()"
        )


@contextmanager
def dropping(awaitable: object) -> Iterator[None]:
    """If a check in here fails, a coroutine will never be awaited: closes it, or Python would warn about that."""
    try:
        yield
    except (LabError, ValueError):
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise


def check_callable_now(given: object) -> None:
    """Raises ValueError unless it can be called at a moment, and is done then."""
    if not callable(given):
        raise ValueError(f"what is to happen is a function, such as lab.partition, not {given!r}")
    if inspect.iscoroutinefunction(given):
        raise ValueError(f"{_name_of(given)} takes time, and only what happens at once can be planned: lab.run(...) it")


def unknown(name: object, known: Iterable[str], what: str = "") -> LabError:
    """The complaint about a name that nobody in the lab has; objects are to be named."""
    names = list(known)
    if isinstance(name, list | tuple):
        return LabError(f"names go one by one, {', '.join(map(repr, name))}, not in a {type(name).__name__}")
    there = f"there are: {', '.join(names) or 'none yet'}"
    own = getattr(name, "name", None)
    if own in names:
        return LabError(f"name it, {own!r}, instead of handing over {name!r}")
    near = difflib.get_close_matches(str(name), names, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return LabError(f"there is no {what}{name!r} in this lab{meant} ({there})")


def _is_number(given: object) -> TypeGuard[float]:
    return isinstance(given, Real) and not isinstance(given, bool)


def _name_of(function: object) -> str:
    return getattr(function, "__name__", repr(function))
