"""bind(2) on Linux as a table: two sockets on one port."""

import errno
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.sim.ports import EPHEMERAL, PortTable

ANY, NIC, LOOPBACK = "0.0.0.0", "11.0.0.1", "127.0.0.1"
ANY6, NIC6 = "::", "2600:1::1"


@pytest.fixture
def table():
    return PortTable(Random(1))


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((NIC, False), (NIC, False), False),
        ((NIC, True), (NIC, False), False),
        ((NIC, False), (NIC, True), False),
        ((NIC, True), (NIC, True), True),
        ((ANY, False), (NIC, False), False),
        ((NIC, False), (ANY, False), False),
        ((ANY, True), (NIC, True), True),
        ((ANY, True), (LOOPBACK, False), False),
        ((NIC, False), (LOOPBACK, False), True),
        ((ANY6, False), (NIC6, False), False),
        ((NIC6, False), (ANY6, False), False),
        ((ANY6, False), (ANY, False), True),
        ((ANY, False), (NIC6, False), True),
        ((NIC, False), (ANY6, False), True),
    ],
)
def test_addresses_that_overlap_need_reuse_port_on_both(table, first, second, both):
    table.bind(Endpoint(first[0], 4001), first[1])
    if both:
        table.bind(Endpoint(second[0], 4001), second[1])
    else:
        with pytest.raises(SocketError) as refused:
            table.bind(Endpoint(second[0], 4001), second[1])
        assert refused.value.errno == errno.EADDRINUSE


def test_another_port_never_conflicts(table):
    table.bind(Endpoint(ANY, 4001), False)
    assert table.bind(Endpoint(ANY, 4002), False).local.port == 4002


def test_a_released_port_is_free_again_but_only_for_its_last_holder(table):
    one, two = (table.bind(Endpoint(NIC, 4001), True) for _ in range(2))
    table.release(one)
    with pytest.raises(SocketError):
        table.bind(Endpoint(NIC, 4001), False)
    table.release(two)
    table.bind(Endpoint(NIC, 4001), False)


def test_what_a_listener_accepted_keeps_the_port_from_all_but_listeners(table):
    listener = table.bind(Endpoint(NIC, 4001), False, listen=True)
    listener.users += 1  # it accepts
    with pytest.raises(SocketError):
        table.bind(Endpoint(NIC, 4001), False, listen=True)
    listener.listening = False
    table.release(listener)
    table.release(table.bind(Endpoint(NIC, 4001), False, listen=True))
    with pytest.raises(SocketError):
        table.bind(Endpoint(NIC, 4001), False)
    table.release(listener)
    table.bind(Endpoint(NIC, 4001), False)


def test_ephemeral_ports_come_from_the_hosts_chance_and_differ(table):
    ports = [table.bind(Endpoint(NIC, 0), False).local.port for _ in range(200)]
    assert len(set(ports)) == 200 and set(ports) <= set(EPHEMERAL)
    again = PortTable(Random(1))
    assert ports == [again.bind(Endpoint(NIC, 0), False).local.port for _ in range(200)]
    assert ports[0] != PortTable(Random(2)).bind(Endpoint(NIC, 0), False).local.port


def test_ephemeral_ports_can_run_out(table):
    for _ in EPHEMERAL:
        last = table.bind(Endpoint(NIC, 0), True)
    with pytest.raises(SocketError, match="ephemeral"):
        table.bind(Endpoint(NIC, 0), True)
    table.release(last)
    assert table.bind(Endpoint(NIC, 0), True).local == last.local
