"""A household with a gateway, simulated: Alice and Carol inside, Bob outside, and the router's clock in their hands."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import DeadlockError, RefusedError
from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import GatewayConfig, igd
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
        except DeadlockError:  # nobody can send anything any more, or a second has passed
            return False
        return True


class Desk:
    """Alice at her gateway: `desk.call("GetStatusInfo")`, as somebody else with `host=`."""

    def __init__(self, house) -> None:
        self.house = house
        self.control = house.run(igd.discover(house.alice, house.alice.ip, "192.168.1.1"))

    def call(self, action, host=None, **arguments):
        return self.house.run(igd.call(host or self.house.alice, self.control, action, **arguments))

    def add(self, action="AddPortMapping", host=None, port=4001, inside=4001, **changes):
        host = host or self.house.alice
        arguments = igd._arguments(IPProtocol.UDP, port, Endpoint(host.ip, inside), 3600) | changes
        return self.call(action, host, **{name: value for name, value in arguments.items() if value is not None})

    def fault(self, call, *arguments, **changes):
        with pytest.raises(RefusedError) as refused:
            call(*arguments, **changes)
        return refused.value.status


@pytest.fixture
def desk() -> type[Desk]:
    return Desk


@pytest.fixture
def home() -> Callable[..., Home]:
    return lambda nat=None, **axes: Home(GatewayConfig(**axes), nat)
