"""A node and its gateway: the ports it listens on, opened to strangers, and the addresses that gives it.

    we listen at 192.168.1.2:4001 ── PCP, NAT-PMP or UPnP ──> the gateway: 11.0.0.1:4001
    peers are told /ip4/11.0.0.1/tcp/4001, too                renewed within its minute
                                                              gone when the gateway no longer renews it

The address is told as the gateway reports it, even if it is a private one, because another NAT is in front of it: to
find out whether anybody can reach it is AutoNAT's task.

Source: go-libp2p `p2p/net/nat/nat.go` (leases of a minute), `p2p/host/basic/addrs_manager.go` (appendNATAddrs).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import UnreachableError
from natlab.host.core import Core
from natlab.packet import IPProtocol
from natlab.portmap import PortMapper, PortMapping

LIFETIME = 60
"""Seconds of each lease: a node that crashes leaves nothing open for longer."""


class PortMaps:
    """The ports that the gateway keeps open for one node.

    Args:
        on_changed: told when the addresses have changed.
    """

    def __init__(self, core: Core, rng: Random, *, on_changed: Callable[[], None]) -> None:
        self._core = core
        self._rng = rng
        self._on_changed = on_changed
        self._mappers: dict[str, PortMapper] = {}  # by our address

    async def open(self, gateway: str | None) -> tuple[PortMapping, ...]:
        """Asks for a port for each port we listen on; see `Node.map_ports`."""
        address = gateway or self._core.network.gateway()
        if address is None:
            raise UnreachableError(
                "there is no gateway that this computer knows of: if there is one, name it (gateway=)"
            )
        opened = []
        for local in self._core.own.listening:
            if local.version == 4 and not local.address.is_loopback:
                opened.append(await self._mapper(local, address).open(IPProtocol.TCP, local.port, lifetime=LIFETIME))
                self._changed()
        return tuple(opened)

    async def close(self) -> None:
        """Gives all of them back."""
        for mapper in self._mappers.values():
            await mapper.close()

    def _mapper(self, local: Endpoint, gateway: str) -> PortMapper:
        ip = self._core.network.addresses()[0] if local.address.is_unspecified else local.ip
        if ip not in self._mappers:
            self._mappers[ip] = PortMapper(self._core.network, ip, gateway, self._rng, on_changed=self._changed)
        return self._mappers[ip]

    def _changed(self) -> None:
        now = asyncio.get_running_loop().time()
        mappings = [mapping for mapper in self._mappers.values() for mapping in mapper.mappings]
        self._core.own.set_mapped(mapping.external for mapping in mappings if now < mapping.expires)
        self._on_changed()
