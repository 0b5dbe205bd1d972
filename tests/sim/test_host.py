import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.nat import NatConfig
from natlab.packet import IcmpKind
from natlab.sim.host import EPOCH
from natlab.sim.router import CORE_IP6


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


@pytest.fixture
def six(world):
    """A host without IPv4."""
    return world.host("six", ipv4=False, ipv6=True)


@pytest.fixture
def both(world):
    return world.host("both", ipv6=True)


def test_a_host_has_ipv4_or_ipv6_or_both(alice, six, both):
    assert alice.addresses() == ["11.0.0.1", "127.0.0.1"] and alice.ip6 == ""
    assert six.addresses() == ["2600:1::1", "127.0.0.1", "::1"] and six.ip == six.ip6
    assert both.addresses() == ["12.0.0.1", "2600:2::1", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("remote", "local", "error"),
    [
        ("11.0.0.1", None, "ENETUNREACH"),
        ("2600:1::1", "0.0.0.0", "ENETUNREACH"),
        ("::", None, "ECONNREFUSED"),
        ("::1", None, "ECONNREFUSED"),
        ("2600:9::9", "::1", "EINVAL"),
        ("2600:9::9", "2600:8::8", "EADDRNOTAVAIL"),
    ],
)
def test_dials_of_a_host_with_ipv6_only_that_cannot_leave(world, six, remote, local, error):
    dial = six.dial_tcp(Endpoint(remote, 80), local=Endpoint(local, 0) if local else None)
    assert world.run(refused(dial)) == error
    assert world.loop.now_ns == 0


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("wildcards", [True, False], ids=["wildcards", "addresses"])
def test_each_version_has_sockets_of_its_own(world, six, both, version, wildcards):
    four = world.host("four")
    one, local = (four, "0.0.0.0") if version == 4 else (six, "::")
    to = both.ip if version == 4 else both.ip6

    async def main():
        listeners = [await both.listen_tcp(Endpoint(ip, 80)) for ip in (("0.0.0.0", "::") if wildcards else both.ips)]
        sockets = [await both.bind_udp(Endpoint(ip, 9)) for ip in (("0.0.0.0", "::") if wildcards else both.ips)]
        dialled = await one.dial_tcp(Endpoint(to, 80))
        accepted = await listeners[version == 6].accept()
        (await one.bind_udp(Endpoint(local, 5000))).send(b"x", Endpoint(to, 9))
        _, source = await sockets[version == 6].receive()
        return dialled.remote, accepted.remote.ip, source

    assert world.run(main()) == (Endpoint(to, 80), one.ip, Endpoint(one.ip, 5000))


def test_a_segment_over_ipv6_is_20_bytes_shorter(world, six, both):
    async def main():
        listener = await both.listen_tcp(Endpoint("::", 80))
        dialled = await six.dial_tcp(Endpoint(both.ip6, 80))
        await dialled.write(bytes(10_000))
        await (await listener.accept()).read()

    world.run(main())
    assert max(event.packet.size for event in world.packets("six")) == 1500


def test_a_ping_over_ipv6(world, alice, six, both):
    assert world.run(six.ping(both.ip6)).icmp.kind is IcmpKind.ECHO_REPLY
    assert world.run(refused(six.ping(alice.ip))) == world.run(refused(alice.ping(six.ip))) == "ENETUNREACH"


def test_what_has_no_hop_left_or_no_way_is_told_so_over_ipv6(world, six):
    home = world.nat("home", NatConfig(), ipv6=NatConfig(translates=False))
    alice = world.host("alice", behind=home, ipv6=True)
    answers = [world.run(alice.ping(six.ip, ttl=ttl)) for ttl in (1, 2, 64)]
    assert [answer.source.ip for answer in answers] == [home.ipv6.gateway_ip, CORE_IP6, six.ip]
    assert world.run(alice.ping("2600:9::9")).icmp.kind is IcmpKind.HOST_UNREACHABLE


def test_tcp_and_udp_ports_are_apart(world, alice):
    world.run(alice.listen_tcp(Endpoint("0.0.0.0", 53)))
    world.run(alice.bind_udp(Endpoint("0.0.0.0", 53)))
