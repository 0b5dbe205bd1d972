"""Mappings: which external endpoint stands for an internal endpoint, and for whom.

The whole theory of mapping behaviour (RFC 4787 section 4.1) is one key function. A NAT box keeps a dictionary of
mappings. A packet from an internal endpoint to a remote one is looked up under

    mapping behaviour             key
    endpoint-independent          internal
    address-dependent             internal, remote address
    address-and-port-dependent    internal, remote address, remote port

and makes a new mapping if there is none under that key. So the endpoint that observers report is of use to others
exactly if the remote is not in the key. Two keys never share a mapping, and since the internal endpoint is in every
key, no mapping is ever shared by two internal endpoints.

Under a mapping live its sessions, one for each remote endpoint that it talks with:

    Mapping 7   192.168.1.2:4001 <-> 11.0.0.1:4001
        Session   remote 12.0.0.1:9000   expires at 300 s
        Session   remote 13.0.0.1:9000   expires at 310 s

The sessions are the memory of whom the host has spoken to (which filtering asks, see `filtering.py`), and each has its
own timer. A mapping lives as long as one of its sessions does.

Replies leave by the mapping a packet came in by. A session therefore begins from either side, and once it is there it
decides before the key function does. That matters where filtering admits more remotes than mapping was made for:

    mapping address-dependent, filtering endpoint-independent
        internal -> R1           key (internal, R1)        mapping 1, external port 1111
        R2 -> port 1111          admitted by mapping 1     session (mapping 1, R2)
        internal -> R2           the session, not the key  leaves from port 1111, as R2 expects
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour
from natlab.nat.tcp_session import TcpState
from natlab.nat.tcp_window import TcpWindow

__all__ = ["Mapping", "MappingKey", "Remotes", "Session", "forward_key", "mapping_key"]

MappingKey = tuple[int, Endpoint, str, int]  # protocol, internal endpoint, remote address or "", remote port or 0
Remotes = tuple[tuple[IPv4Network | IPv6Network, int], ...]  # networks, each with a port, 0 for any


def mapping_key(behaviour: Behaviour, protocol: int, internal: Endpoint, remote: Endpoint) -> MappingKey:
    """Packets with equal keys leave by the same mapping."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return protocol, internal, "", 0
        case Behaviour.ADDRESS_DEPENDENT:
            return protocol, internal, remote.ip, 0
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return protocol, internal, remote.ip, remote.port


def forward_key(protocol: int, internal: Endpoint, external: Endpoint) -> MappingKey:
    """The key of a port forward: it depends on no remote, and no packet has such a key, for its port is negative."""
    return protocol, internal, external.ip, -external.port


class Session:
    """One conversation through a mapping. Only the box that holds it changes it.

    Attributes:
        mapping: the mapping it runs through.
        remote: the remote endpoint on the internet.
        seen: the remote endpoint as the internal host sees it; differs from `remote` only after a clash (`box.py`).
        expires: virtual time in nanoseconds; over when that time has come.
        state: TCP only, see `tcp_session.py`.
        began: virtual time in nanoseconds of its first packet.
        answered: whether a packet has come in through it.
        window: TCP only, what sequence checks know of it, None if there are none (`tcp_window.py`).
        is_hairpin: whether the remote is an endpoint of this box, so another host inside.
        steady: UDP only: the long timer runs, and each outbound datagram starts it again (`timers.py`).
    """

    __slots__ = ("answered", "began", "expires", "is_hairpin", "mapping", "remote", "seen", "state", "steady", "window")

    def __init__(self, mapping: Mapping, remote: Endpoint, seen: Endpoint, began: int) -> None:
        self.mapping = mapping
        self.remote = remote
        self.seen = seen
        self.began = began
        self.expires = 0
        self.state = TcpState.CLOSED
        self.answered = False
        self.is_hairpin = False
        self.steady = False
        self.window: TcpWindow | None = None


class Mapping:
    """An internal endpoint's place on the internet.

    Attributes:
        number: counts the box's mappings from 1.
        key: what `mapping_key` gave for the packet that made it.
        internal, external: the two endpoints it ties together.
        expires: virtual time in nanoseconds, the latest `expires` of its sessions and `open_until`.
        open_until: port forwards: until then strangers are admitted; 0 if it is none.
        remotes: port forwards: which strangers; empty for all of them.
        sessions: its sessions, oldest first; the values say nothing.
    """

    __slots__ = ("expires", "external", "internal", "key", "number", "open_until", "remotes", "sessions")

    def __init__(self, number: int, key: MappingKey, external: Endpoint) -> None:
        self.number = number
        self.key = key
        self.internal = key[1]
        self.external = external
        self.expires = 0
        self.open_until = 0
        self.remotes: Remotes = ()
        self.sessions: dict[Session, None] = {}

    @property
    def protocol(self) -> int:
        return self.key[0]

    @property
    def is_forward(self) -> bool:
        return self.key[3] < 0

    @property
    def remote(self) -> str:
        """The part of the remote endpoint that the mapping depends on, as text; empty if it depends on none."""
        _, _, ip, port = self.key
        if self.is_forward:
            return ""
        return str(Endpoint(ip, port)) if port else ip

    def admits(self, remote: Endpoint) -> bool:
        """Whether a port forward is meant for this remote."""
        return not self.remotes or any(
            remote.address in network and port in (0, remote.port) for network, port in self.remotes
        )
