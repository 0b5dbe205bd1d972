"""Who may use which local port: the rules of bind(2) on Linux.

Two sockets of one protocol conflict on a port if their addresses overlap: equal, or one of them the wildcard. A
conflict is EADDRINUSE, unless **both** sockets asked for SO_REUSEPORT before they were bound (socket(7)). IPv4 and
IPv6 have ports of their own: every socket is of one version, as with IPV6_V6ONLY (RFC 3493 section 5.3).

    first bound                second                     result
    ─────────────────────────  ─────────────────────────  ──────────
    11.0.0.1:4001              11.0.0.1:4001              EADDRINUSE
    0.0.0.0:4001               11.0.0.1:4001              EADDRINUSE
    127.0.0.1:4001             11.0.0.1:4001              both
    11.0.0.1:4001 reuse        11.0.0.1:4001              EADDRINUSE
    11.0.0.1:4001 reuse        11.0.0.1:4001 reuse        both

A TCP connection holds the binding it was dialled from, or that of the listener that accepted it, and after that one's
close still keeps dials from the port. New listeners are welcome then: listeners set SO_REUSEADDR (see
`natlab.net.sockets`), and two sockets that have it conflict only while the first one listens. That no two connections
share both endpoints is another rule, in `natlab.sim.streams`.

Port 0 asks for an ephemeral port, 32768 to 60999 (Linux's default `ip_local_port_range`), from a random start upwards
(RFC 6056 section 3.3.1), so that the host's random numbers decide it. Simplification: Linux lets two dials to
different peers share one; here an ephemeral port is one no socket has.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import SocketError

EPHEMERAL = range(32768, 61000)
WILDCARD, WILDCARD6 = "0.0.0.0", "::"
WILDCARDS = (WILDCARD, WILDCARD6)
LOOPBACK, LOOPBACK6 = "127.0.0.1", "::1"
MULTICAST_GROUPS = ("224.0.0.1", "239.255.255.250")  # all hosts of a link; SSDP


@dataclass(slots=True, eq=False)
class Binding:
    """A hold on a local endpoint, until the last of its users has released it.

    Attributes:
        reuse_port: whether it was made with SO_REUSEPORT.
        reuse_address: whether it was made with SO_REUSEADDR.
        listening: whether its socket listens now.
        users: how many sockets hold it.
    """

    local: Endpoint
    reuse_port: bool
    reuse_address: bool
    listening: bool
    users: int = 1


class PortTable:
    """The bindings of one protocol on one host."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._bindings: dict[int, list[Binding]] = {}

    def bind(self, local: Endpoint, reuse_port: bool, *, listen: bool = False) -> Binding:
        """Takes a local endpoint, to `listen` on it or not; port 0 takes an ephemeral one.

        Raises:
            SocketError: EADDRINUSE, when another socket has it or all ephemeral ports are taken.
        """
        port = local.port or self._ephemeral()
        binding = Binding(Endpoint(local.ip, port), reuse_port, reuse_address=listen, listening=listen)
        holders = self._bindings.setdefault(port, [])
        if any(_conflict(binding, holder) for holder in holders):
            raise SocketError(errno.EADDRINUSE, str(binding.local))
        holders.append(binding)
        return binding

    def release(self, binding: Binding) -> None:
        """One user less; the last one frees the endpoint."""
        binding.users -= 1
        if binding.users:
            return
        holders = self._bindings[binding.local.port]
        holders.remove(binding)
        if not holders:
            del self._bindings[binding.local.port]

    def _ephemeral(self) -> int:
        start = self._rng.randrange(len(EPHEMERAL))
        for offset in range(len(EPHEMERAL)):
            port = EPHEMERAL[(start + offset) % len(EPHEMERAL)]
            if port not in self._bindings:
                return port
        raise SocketError(errno.EADDRINUSE, "all ephemeral ports are taken")


def wildcard_of(ip: str) -> str:
    """The wildcard of the same version of IP."""
    return WILDCARD6 if ":" in ip else WILDCARD


def loopback_of(ip: str) -> str:
    """The loopback address of the same version of IP."""
    return LOOPBACK6 if ":" in ip else LOOPBACK


def _overlap(one: str, other: str) -> bool:
    """Whether a packet could be for both: equal, or one is the wildcard of the other's version."""
    return one == other or wildcard_of(one) == wildcard_of(other) in (one, other)


def _conflict(new: Binding, holder: Binding) -> bool:
    if not _overlap(new.local.ip, holder.local.ip):
        return False
    if new.reuse_address and holder.reuse_address and not holder.listening:
        return False
    return not (new.reuse_port and holder.reuse_port)
