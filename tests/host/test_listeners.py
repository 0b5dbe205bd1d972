"""Which port a node dials from, and which addresses are its own."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.host.listeners import Listeners
from natlab.wire import address

REMOTE = Endpoint("99.0.0.1", 80)


@pytest.fixture
def listening(sim):
    """Listeners on these endpoints, "IP" standing for the host's address; and that address."""

    def open_all(*endpoints, reuse_port=True):
        host = sim.network("alice")
        listeners = Listeners(host, reuse_port=reuse_port)

        async def main():
            for ip, port in endpoints:
                await listeners.open(Endpoint(host.ip if ip == "IP" else ip, port))

        sim.loop.run(main())
        return listeners, host.ip

    return open_all


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([("IP", 4001)], ("IP", 4001)),
        ([("127.0.0.1", 4001), ("0.0.0.0", 4002)], ("0.0.0.0", 4002)),
        ([("127.0.0.1", 4001)], None),
        ([], None),
    ],
    ids=["its own address", "the wildcard, not loopback", "loopback leads nowhere else", "no listener"],
)
def test_dials_leave_from_a_port_that_listens(listening, endpoints, expected):
    listeners, ip = listening(*endpoints)
    chosen = listeners.to_dial_from(REMOTE)
    assert chosen == (expected and Endpoint(ip if expected[0] == "IP" else expected[0], expected[1]))


def test_without_port_reuse_from_any_port(listening):
    listeners, _ = listening(("IP", 4001), reuse_port=False)
    assert listeners.to_dial_from(REMOTE) is None


def test_its_own_addresses(listening):
    listeners, ip = listening(("0.0.0.0", 4001))
    own = [f"/ip4/{ip}/tcp/4001", "/ip4/127.0.0.1/tcp/4001", "/ip4/0.0.0.0/tcp/4001"]
    others = [f"/ip4/{ip}/tcp/4002", "/ip4/99.0.0.1/tcp/4001", f"/ip4/{ip}/udp/4001/quic-v1"]
    assert [listeners.is_own(address.parse(one)) for one in own + others] == [True] * 3 + [False] * 3


def test_a_port_shared_with_dials_is_not_shared_with_another_node(listening, sim):
    listeners, ip = listening(("IP", 4001))
    with pytest.raises(SocketError, match="EADDRINUSE"):
        sim.loop.run(listeners.open(Endpoint(ip, 4001)))
    listeners.close()
    sim.loop.run(asyncio.sleep(0))
    sim.loop.run(listeners.open(Endpoint(ip, 4001)))
