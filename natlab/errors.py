"""Every error natlab raises, as one tree.

    NatlabError
    ├── ProtocolError            the peer broke a rule of the protocol
    │   ├── DecodeError          its bytes do not parse, or exceed a limit
    │   └── SecurityError        a signature, key or peer ID is not what it must be
    ├── NegotiationError         no protocol in common (multistream-select)
    ├── RefusedError             the peer answered, and its answer is no: `.status`
    ├── UnreachableError         nobody there: `.attempts` holds every try with its cause
    ├── SocketError              the network below said no: `.errno`, as Linux numbers it
    ├── ClosedError              the stream or connection was closed or reset
    └── LabError                 the experiment is ill-posed; the message says what to change
        └── DeadlockError        nothing can happen any more, and somebody still waits

A caller's mistake in an argument is a plain `ValueError` that says what to do.
Errors of other libraries are mapped at the edge, `raise ... from` the original.
"""

from __future__ import annotations

import errno as _errno
import os
from collections.abc import Sequence


class NatlabError(Exception):
    """Root of the tree: `except NatlabError` catches all that natlab raises on purpose."""


class ProtocolError(NatlabError):
    """The peer broke a rule of the protocol; the stream or connection is of no more use."""


class DecodeError(ProtocolError):
    """Bytes from the peer do not parse, or a length in them exceeds its limit."""


class SecurityError(ProtocolError):
    """A signature does not verify, or the peer is not who the address says."""


class NegotiationError(NatlabError):
    """The two ends have no protocol in common."""


class RefusedError(NatlabError):
    """The peer understood and said no.

    Attributes:
        status: the number it answered with (for relays: specs `relay/circuit-v2.md`, "Status codes").
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SocketError(NatlabError):
    """A network (simulated or the computer's own) refused a listen, bind or dial.

    Attributes:
        errno: the error number Linux gives in the same case, e.g. `errno.ECONNREFUSED`.
    """

    def __init__(self, errno: int, detail: str = "") -> None:
        name = _errno.errorcode.get(errno, str(errno))
        super().__init__(f"{os.strerror(errno)} ({name})" + (f": {detail}" if detail else ""))
        self.errno = errno


class UnreachableError(NatlabError):
    """Nobody could be reached.

    Attributes:
        attempts: one `(address, cause)` for each address tried, in the order tried.
    """

    def __init__(self, message: str, attempts: Sequence[tuple[str, Exception]] = ()) -> None:
        tried = "".join(f"\n  {address}: {cause}" for address, cause in attempts)
        super().__init__(message + tried)
        self.attempts = tuple(attempts)


class ClosedError(NatlabError):
    """The stream or connection was closed or reset, here or by the peer."""


class LabError(NatlabError):
    """The experiment is ill-posed; the message says what to change."""


class DeadlockError(LabError):
    """Virtual time ran out, or no event is left, while somebody still waits."""
