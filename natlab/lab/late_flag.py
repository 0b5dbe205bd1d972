"""SO_REUSEPORT set late: what the kernel that this runs on makes of it. Real sockets, on loopback only.

    first socket    flag?  bind  flag?  listen or connect  flag?
    second socket                                                 flag  bind  connect or listen
    third socket                                                                                 connect: who gets it?

The manual's rule is the one to program by: the flag "must be set on each socket (including the first socket) prior to
calling bind(2)" (Linux, socket(7)). The simulated hosts know nothing else: there the flag is an argument of the verb
that binds. A kernel may be milder. Linux (measured on 6.18) asks whether the first socket has the flag only when the
second one binds. Other systems may do otherwise, and Windows has no such flag.
"""

from __future__ import annotations

import errno
import platform
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pandas as pd

from natlab.net.sockets import CAN_REUSE_PORT

LOOPBACK = "127.0.0.1"
NEVER, BEFORE_BIND, AFTER_BIND, IN_USE = "never", "before bind", "after bind", "in use"
MOMENTS = (NEVER, BEFORE_BIND, AFTER_BIND, IN_USE)
"""When the first socket gets the flag; in use: after listen(2) or connect(2)."""
SHARED, NOT_REACHED, NO_FLAG = "shared", "not reached", "no such flag"
PATIENCE = 2.0  # seconds; on loopback all is there at once

Use = Callable[[socket.socket], None]


def late_flag() -> pd.DataFrame:
    """Makes two TCP sockets for one port. The second has the flag before it binds; the first gets it sooner or later.

    Returns:
        a row for each order, a column for each moment. "shared": the dialled connection carries bytes, and a third
        socket's connection reaches the listener. Else the name of the error, "not reached", or "no such flag" on a
        system that has none.
    """
    orders = {"listen, then dial from its port": True, "dial, then listen at its port": False}
    rows = [[_verdict(listener_first, moment) for moment in MOMENTS] for listener_first in orders.values()]
    table = pd.DataFrame(rows, index=list(orders), columns=list(MOMENTS))
    return table.rename_axis(columns=f"{platform.system()}: the first gets it")


def _verdict(listener_first: bool, moment: str) -> str:
    if moment != NEVER and not CAN_REUSE_PORT:
        return NO_FLAG
    with ExitStack() as sockets:
        server, first, second, third = (sockets.enter_context(_tcp()) for _ in range(4))
        server.bind((LOOPBACK, 0))
        server.listen()

        def dial(sock: socket.socket) -> None:
            sock.connect(server.getsockname())

        uses: list[Use] = [_listen, dial] if listener_first else [dial, _listen]
        try:
            # A dial need not bind: connect(2) takes a port itself. Most programs dial so.
            _use(first, uses[0], moment, (LOOPBACK, 0) if listener_first or moment == AFTER_BIND else None)
            _use(second, uses[1], BEFORE_BIND if CAN_REUSE_PORT else NEVER, first.getsockname())
            listener, dialled = (first, second) if listener_first else (second, first)
            return SHARED if _stands(dialled, server) and _reaches(third, listener) else NOT_REACHED
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))


def _listen(sock: socket.socket) -> None:
    sock.listen()


def _use(sock: socket.socket, use: Use, moment: str, local: tuple[str, int] | None) -> None:
    """Binds it, if it is to have a port of its own choice, and listens or dials; the flag is set at its moment."""
    if moment == BEFORE_BIND:
        _set_flag(sock)
    if local is not None:
        sock.bind(local)
    if moment == AFTER_BIND:
        _set_flag(sock)
    use(sock)
    if moment == IN_USE:
        _set_flag(sock)


def _stands(dialled: socket.socket, server: socket.socket) -> bool:
    """Whether what the dialled connection sends arrives at the server."""
    accepted, _ = server.accept()
    with accepted:
        accepted.settimeout(PATIENCE)
        dialled.sendall(b"x")
        return accepted.recv(1) == b"x"


def _reaches(third: socket.socket, listener: socket.socket) -> bool:
    """Whether the connection of a third socket to the shared port is the listener's to accept."""
    try:
        third.connect(listener.getsockname())
        accepted, who = listener.accept()
    except OSError:  # refused, or another socket's
        return False
    accepted.close()
    return bool(who == third.getsockname())


def _tcp() -> socket.socket:
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    return sock


def _set_flag(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
