import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.sim.host import EPOCH


@pytest.fixture
def alice(world):
    return world.host("alice")


async def refused(awaitable):
    with pytest.raises(SocketError) as caught:
        await awaitable
    return errno.errorcode[caught.value.errno]


def test_now_is_a_fixed_date_plus_virtual_time(world, alice):
    assert alice.now() == EPOCH
    world.loop.advance(90.5)
    assert alice.now() == EPOCH + 90.5


def test_only_own_addresses_can_be_bound(world, alice):
    elsewhere = Endpoint("99.0.0.1", 80)
    for verb in (alice.listen_tcp, alice.bind_udp):
        assert world.run(refused(verb(elsewhere))) == "EADDRNOTAVAIL"
    assert world.run(refused(alice.dial_tcp(Endpoint("98.0.0.1", 80), local=elsewhere))) == "EADDRNOTAVAIL"


@pytest.mark.parametrize(
    ("remote", "local", "error"),
    [
        ("2600::1", None, "ENETUNREACH"),
        ("0.0.0.0", None, "ECONNREFUSED"),
        ("99.0.0.1", "127.0.0.1", "EINVAL"),
        ("127.0.0.1", None, "ECONNREFUSED"),
    ],
)
def test_dials_that_cannot_leave(world, alice, remote, local, error):
    dial = alice.dial_tcp(Endpoint(remote, 80), local=Endpoint(local, 0) if local else None)
    assert world.run(refused(dial)) == error
    assert world.loop.now_ns == 0


def test_tcp_and_udp_ports_are_apart(world, alice):
    world.run(alice.listen_tcp(Endpoint("0.0.0.0", 53)))
    world.run(alice.bind_udp(Endpoint("0.0.0.0", 53)))
