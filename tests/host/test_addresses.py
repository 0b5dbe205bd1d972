"""Rules of the observed-address manager, each row a sentence."""

from types import SimpleNamespace

import pytest

from natlab.endpoint import Endpoint
from natlab.host.addresses import MAX_EXTERNAL, OwnAddresses
from natlab.transport.connection import Route
from natlab.wire import address

EXTERNAL = "/ip4/50.0.0.1/tcp/777"


@pytest.fixture
def own():
    network = SimpleNamespace(addresses=lambda: ["192.168.1.2", "2600::2", "127.0.0.1"])
    addresses = OwnAddresses(network)
    addresses.listening_on(Endpoint("0.0.0.0", 4001))
    addresses.listening_on(Endpoint("::", 4001))
    return addresses


def over(number, remote="60.0.0.1", local="/ip4/192.168.1.2/tcp/4001", relayed=False):
    """A connection, as far as an observation looks at it."""
    where = remote if remote.startswith("/") else f"/ip{6 if ':' in remote else 4}/{remote}/tcp/4001"
    route = Route(address.parse(local), address.parse(where), relayed, True, "dial", 0.0)
    return SimpleNamespace(number=number, route=route, relayed=relayed)


def observe(own, connection, observed=EXTERNAL):
    return own.observe(connection, address.parse(observed))


def texts(addresses):
    return [str(one) for one in addresses]


def test_a_wildcard_stands_for_the_interfaces_of_its_version(own):
    assert texts(own.listen) == ["/ip4/192.168.1.2/tcp/4001", "/ip4/127.0.0.1/tcp/4001", "/ip6/2600::2/tcp/4001"]


def test_four_distinct_observers_activate_an_address(own):
    for number in range(1, 5):
        assert EXTERNAL not in texts(own.all)
        observation = observe(own, over(number, f"60.0.0.{number}"))
        assert (observation.observers, observation.activated) == (number, number == 4)
    assert EXTERNAL in texts(own.all)


def test_connect_carries_what_a_single_observer_saw(own):
    observe(own, over(1))
    assert EXTERNAL in texts(own.punchable())


def test_four_peers_at_one_address_are_one_observer(own):
    for number in range(1, 5):
        observation = observe(own, over(number, f"/ip4/60.0.0.1/tcp/{number}"))
    assert observation.observers == 1


def test_ipv6_observers_count_by_56_bits(own):
    seen = "/ip6/2a00::1/tcp/777"
    local = "/ip6/2600::2/tcp/4001"
    for number, remote in enumerate(["2a01:0:0:1::1", "2a01:0:0:ff::1", "2a01:0:0:100::1"], 1):
        observation = observe(own, over(number, remote, local), seen)
    assert observation.observers == 2


def test_the_same_said_again_is_no_news(own):
    connection = over(1)
    assert observe(own, connection) is not None
    assert observe(own, connection) is None


def test_a_peer_that_sees_us_elsewhere_now_counts_there_only(own):
    connection = over(1)
    observe(own, connection)
    observe(own, connection, "/ip4/50.0.0.1/tcp/888")
    assert texts(own.observed(1)) == ["/ip4/50.0.0.1/tcp/888"]


def test_an_observation_ends_with_the_observers_last_connection(own):
    observe(own, over(1))
    observe(own, over(2))
    own.forget(over(1))
    assert texts(own.observed(1)) == [EXTERNAL]
    own.forget(over(2))
    assert own.observed(1) == ()


def test_at_most_three_for_each_port_most_observers_first(own):
    for external, count in ((1, 1), (2, 3), (3, 2), (4, 1)):
        for one in range(count):
            observe(own, over(external * 10 + one, f"60.0.{external}.{one}"), f"/ip4/50.0.0.{external}/tcp/777")
    assert texts(own.observed(1)) == [f"/ip4/50.0.0.{n}/tcp/777" for n in (2, 3, 1)]
    assert MAX_EXTERNAL == 3


@pytest.mark.parametrize(
    ("observed", "connection"),
    [
        ("/ip4/127.0.0.1/tcp/777", {}),
        ("/ip4/0.0.0.0/tcp/777", {}),
        ("/ip6/64:ff9b::3200:1/tcp/777", {"remote": "2a01::1", "local": "/ip6/2600::2/tcp/4001"}),
        ("/ip4/50.0.0.1/udp/777/quic-v1", {}),
        ("/ip6/2a00::1/tcp/777", {}),
        (EXTERNAL, {"local": "/ip4/192.168.1.2/tcp/50000"}),
        (EXTERNAL, {"local": "/ip4/10.9.9.9/tcp/4001"}),
        (EXTERNAL, {"relayed": True}),
    ],
    ids=["loopback", "unspecified", "NAT64", "QUIC", "other version", "ephemeral port", "other interface", "relayed"],
)
def test_what_tells_nothing_is_ignored(own, observed, connection):
    assert observe(own, over(1, **connection), observed) is None
    assert own.observed(1) == ()


@pytest.mark.parametrize(
    ("remote", "heard"),
    [
        ("/ip4/127.0.0.1/tcp/1", ["192.168.1.2", "127.0.0.1", "2600::2"]),
        ("/ip4/10.0.0.9/tcp/1", ["192.168.1.2", "2600::2"]),
        ("/ip4/60.0.0.1/tcp/1", ["2600::2"]),
    ],
    ids=["loopback hears all", "private hears no loopback", "public hears public only"],
)
def test_the_listen_address_filter(own, remote, heard):
    assert [address.to_endpoint(told).ip for told in own.told_to(address.parse(remote))] == heard


def test_relayed_addresses_are_told_but_not_punched_to(own):
    relayed = address.parse(
        "/ip4/70.0.0.1/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit"
    )
    own.set_relayed([relayed])
    assert relayed in own.all
    assert relayed not in own.punchable()
    assert relayed in own.told_to(address.parse("/ip4/60.0.0.1/tcp/1"))
    own.set_relayed([])
    assert relayed not in own.all
