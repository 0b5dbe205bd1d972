"""A household with a gateway, simulated: Alice and Carol inside, Bob outside, and the router's clock in their hands."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.portmap import GatewayConfig
from natlab.sim import Internet, SimLoop

SECOND = 1_000_000_000


class Home:
    """The household. `gateway` are its services, `leases` their table, `box` the NAT box."""

    def __init__(self, config: GatewayConfig, nat: NatConfig | None = None) -> None:
        self.loop = SimLoop()  # type: ignore[abstract]
        self.journal = Journal()
        self.internet = Internet(self.loop, self.journal, lambda owner: Random(f"7 {owner}"))
        self.router = self.internet.nat("home", nat or NatConfig(), gateway=config)
        self.alice, self.carol = (self.internet.host(name, behind=self.router) for name in ("alice", "carol"))
        self.bob = self.internet.host("bob")
        assert self.router.gateway is not None
        self.gateway, self.leases, self.box = self.router.gateway, self.router.gateway.leases, self.router.box
        self.run(self.gateway.start())

    def run(self, awaitable: Any, limit: float = 600.0) -> Any:
        return self.loop.run(awaitable, limit)

    def udp(self, host: Any, port: int = 0) -> Any:
        return self.run(host.bind_udp(Endpoint(host.ip, port)))

    def gets_through(self, external: Endpoint, socket: Any, from_port: int = 0) -> bool:
        """Whether a datagram of Bob's, who is a stranger, arrives at a socket inside."""
        self.udp(self.bob, from_port).send(b"hello", external)
        try:
            self.run(socket.receive(), limit=1.0)
        except Exception:  # nobody can send anything any more, or a second has passed
            return False
        return True


@pytest.fixture
def home() -> Callable[..., Home]:
    return lambda nat=None, **axes: Home(GatewayConfig(**axes), nat)
