"""The table of leases beside a NAT box, with a clock in hand."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.events import Journal, PortMapped, PortMapRefused, PortUnmapped
from natlab.nat import FOREVER, NatBox, NatConfig, configure
from natlab.packet import IPProtocol, Packet
from natlab.portmap import Denial, GatewayConfig, Lease, Leases, Service, Wish

SECOND = 1_000_000_000
TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
ALICE, CAROL = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 4001)
BOB = Endpoint("12.0.0.1", 9)


class Table(Leases):
    """Leases whose time is an attribute."""

    def __init__(self, nat: NatConfig | None = None, **axes: object) -> None:
        self.time = 0
        self.journal = Journal()
        self.box = NatBox("home", nat or NatConfig(), "11.0.0.1", Random(1), self.journal)
        super().__init__(self.box, GatewayConfig(**axes), Random(2), self.journal, lambda: self.time)  # type: ignore[arg-type]

    def ask(self, internal: Endpoint, port: int = 0, seconds: int | None = 100, **wish: object) -> Lease | Denial:
        asked = {
            "service": Service.PCP,
            "protocol": UDP,
            "internal": internal,
            "port": port,
            "seconds": seconds,
            **wish,
        }
        return self.grant(Wish(**asked))  # type: ignore[arg-type]

    def admits(self, external: Endpoint, remote: Endpoint = BOB) -> bool:
        return isinstance(self.box.inbound(Packet(UDP, remote, external), self.time), Packet)


def granted(answer: Lease | Denial) -> Lease:
    assert isinstance(answer, Lease), answer
    return answer


def test_a_lease_is_a_forward_until_its_end() -> None:
    table = Table()
    lease = granted(table.ask(ALICE, 4001))
    assert lease.external == Endpoint("11.0.0.1", 4001) and lease.seconds(SECOND) == 99
    assert table.admits(lease.external)
    table.time = 100 * SECOND
    assert not table.admits(lease.external) and table.of(UDP, ALICE) is None
    assert [event.reason for event in table.journal.of(PortUnmapped)] == ["its lease was over"]


def test_a_lease_for_ever_has_zero_seconds_left_as_upnp_writes_it() -> None:
    lease = granted(Table().ask(ALICE, 4001, None))
    assert (lease.until, lease.seconds(0)) == (FOREVER, 0)


def test_a_reboot_ends_all_and_starts_the_epoch_again() -> None:
    table = Table()
    table.ask(ALICE, 4001)
    table.time = 50 * SECOND
    assert table.epoch == 50
    table.box.reboot(table.time)
    table.time = 53 * SECOND
    assert (table.epoch, list(table)) == (3, [])
    (end,) = table.journal.of(PortUnmapped)
    assert (end.time, end.reason) == (50.0, "reboot: the gateway forgot everything")


def test_ports_below_the_first_are_the_gateways_own() -> None:
    table = Table()
    assert granted(table.ask(ALICE, 80)).external.port >= 1024
    assert table.ask(CAROL, 80, exact=True) is Denial.TAKEN


def test_exactly_that_port_or_none() -> None:
    table = Table()
    table.ask(ALICE, 5000)
    assert table.ask(CAROL, 5000, exact=True) is Denial.TAKEN
    assert granted(table.ask(ALICE, 5001, exact=True)).external.port == 5001  # an endpoint may have two


def test_a_port_that_packets_hold_is_taken() -> None:
    table = Table()
    table.box.outbound(Packet(UDP, CAROL, BOB), 0)
    assert granted(table.ask(ALICE, 4001)).external.port != 4001
    assert granted(table.ask(CAROL, 9999)).external.port == 4001


def test_only_those_it_is_meant_for_get_in() -> None:
    table = Table()
    lease = granted(table.ask(ALICE, 4001, remotes=((ip_network("12.0.0.0/8"), 0), (ip_network("13.0.0.1/32"), 7))))
    assert table.admits(lease.external, BOB)
    assert not table.admits(lease.external, Endpoint("13.0.0.1", 8))
    assert table.admits(lease.external, Endpoint("13.0.0.1", 7))
    assert not table.admits(lease.external, Endpoint("14.0.0.1", 7))


def test_given_back_is_given_back_once() -> None:
    table = Table()
    lease = granted(table.ask(ALICE, 4001))
    table.release(lease)
    table.release(lease)
    assert len(table.journal.of(PortUnmapped)) == 1 and not table.admits(lease.external)


def test_what_was_made_by_hand_is_not_shortened_by_a_lease() -> None:
    table = Table()
    table.box.forward(UDP, Endpoint("11.0.0.1", 7000), ALICE, 0)
    assert granted(table.ask(ALICE, 4001, 10)).external.port == 7000
    table.time = 10**6 * SECOND
    assert table.admits(Endpoint("11.0.0.1", 7000)) and list(table) == []


def test_a_port_that_hosts_share_is_leased_to_none_of_them() -> None:
    """On Linux: towards different remotes, so that each of them is seen there."""
    table = Table(configure("linux"))
    for host, remote in ((ALICE, BOB), (CAROL, Endpoint("13.0.0.1", 9))):
        sent = table.box.outbound(Packet(UDP, host, remote), 0)
        assert isinstance(sent, Packet) and sent.source.port == 4001
    assert granted(table.ask(ALICE, 4001)).external.port != 4001


def test_a_lying_router_tells_another_address_than_it_forwards() -> None:
    table = Table(reports="10.0.0.1")
    assert table.external_ip == "10.0.0.1"
    assert granted(table.ask(ALICE, 4001)).external == Endpoint("11.0.0.1", 4001)


def test_the_journal_tells_of_refusals() -> None:
    table = Table(refuses=True)
    assert table.ask(ALICE, 4001) is Denial.NOT_AUTHORIZED
    (refusal,) = table.journal.of(PortMapRefused)
    assert (refusal.service, refusal.internal, refusal.reason) == ("pcp", ALICE, Denial.NOT_AUTHORIZED.value)


def test_no_port_is_left() -> None:
    table = Table(first_port=65534)
    ports = {granted(table.ask(Endpoint("192.168.1.2", port))).external.port for port in (1, 2)}
    assert ports == {65534, 65535}
    assert table.ask(Endpoint("192.168.1.2", 3)) is Denial.FULL


wishes = st.tuples(st.sampled_from([TCP, UDP]), st.integers(2, 4), st.integers(1, 3), st.integers(0, 3), st.booleans())


@given(st.lists(wishes, max_size=40))
def test_no_port_is_ever_given_to_two_hosts_and_the_limits_hold(
    asked: list[tuple[IPProtocol, int, int, int, bool]],
) -> None:
    table = Table(leases_per_host=4, leases=8, first_port=65530)
    for protocol, host, port, wanted, exact in asked:
        table.time += SECOND
        table.ask(Endpoint(f"192.168.1.{host}", port), 65530 + wanted, 20, protocol=protocol, exact=exact)
        leases = list(table)
        assert len(leases) <= 8
        for lease in leases:
            assert sum(other.internal.ip == lease.internal.ip for other in leases) <= 4
            assert {other.internal.ip for other in leases if other.external == lease.external} == {lease.internal.ip}
            assert table.box.holder(lease.protocol, lease.external, table.time) == lease.internal


@pytest.mark.parametrize("number", [1000])
def test_a_flood_costs_only_look_ups(number: int) -> None:
    table = Table(leases=10, leases_per_host=10)
    for port in range(number):
        table.ask(Endpoint("192.168.1.2", port + 1), port + 2000)
    assert len(list(table)) == 10 and len(table.journal.of(PortMapped)) == 10
