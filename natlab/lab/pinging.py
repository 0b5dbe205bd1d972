"""Ping and traceroute from a bare host: how far is it, and what is on the way?

    alice         home          internet      office        bob
      │ ─ TTL 1 ──> ×              │             │            │      "time exceeded", says home
      │ ─ TTL 2 ───────────────────> ×           │            │      the internet says so
      │ ─ TTL 3 ────────────────────────────────────> ×       │      office
      │ ─ TTL 4 ────────────────────────────────────────────────>    an echo reply

A host behind a NAT box cannot be pinged: nothing there asked for it. The box itself answers, in its place, unless it
was told not to (`answers_ping=False`); who traces the route to it sees no further.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from natlab.endpoint import parse_ip
from natlab.errors import LabError
from natlab.net import Network
from natlab.packet import IcmpKind
from natlab.sim import Host, NatRouter

__all__ = ["HopRow", "Named", "address_of", "hops", "ping"]

PING_TIMEOUT = 1.0  # seconds


class HopRow(NamedTuple):
    """
    Columns:
        hop: int64, how many hops the probe was allowed to make.
        address: string, who answered; "" if nobody did.
        seconds: float64, round-trip time; NaN without an answer.
        says: string, what the ICMP message says: "time exceeded" on the way, "echo reply" at the end.
    """

    hop: int
    address: str
    seconds: float
    says: str


class Named(Protocol):
    """Whatever has an address: a bare host, a NAT box, ..."""

    @property
    def ip(self) -> str: ...


async def ping(network: Network, to: str | Named | NatRouter, timeout: float) -> float | None:
    """Round-trip time in seconds, or None: no echo reply came."""
    host = _simulated(network)
    hop = await _probe(host, address_of(to), host.ping_identifier(), 1, 64, timeout)
    return hop.seconds if hop.says == IcmpKind.ECHO_REPLY else None


async def hops(network: Network, to: str | Named | NatRouter, most: int, timeout: float) -> AsyncIterator[HopRow]:
    """One probe for each TTL, until one arrives, or an error says that none will."""
    host, address = _simulated(network), address_of(to)
    identifier = host.ping_identifier()
    for ttl in range(1, most + 1):
        hop = await _probe(host, address, identifier, ttl, ttl, timeout)
        yield hop
        if hop.says and hop.says != IcmpKind.TIME_EXCEEDED:
            return


def address_of(to: str | Named | NatRouter) -> str:
    """Raises: ValueError, it is no address and has none."""
    if isinstance(to, NatRouter):
        return to.external_ip
    text = to if isinstance(to, str) else getattr(to, "ip", None)
    try:
        return str(parse_ip(str(text)))
    except ValueError:
        raise ValueError(f'ping what? Name a host, a NAT box, or an address such as "11.0.0.1", not {to!r}') from None


def _simulated(network: Network) -> Host:
    if isinstance(network, Host):
        return network
    raise LabError(
        "only hosts of a lab can ping: on a computer's own network that takes privileges, and `ping` has them"
    )


async def _probe(host: Host, to: str, identifier: int, sequence: int, ttl: int, timeout: float) -> HopRow:
    time = asyncio.get_running_loop().time
    began = time()
    answer = await host.ping(to, identifier=identifier, sequence=sequence, ttl=ttl, timeout=timeout)
    if answer is None or answer.icmp is None:
        return HopRow(ttl, "", math.nan, "")
    return HopRow(ttl, answer.source.ip, time() - began, str(answer.icmp.kind))
