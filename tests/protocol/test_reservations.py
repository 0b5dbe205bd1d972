"""natlab.protocol.reservations: who gets a place on the relay, who does not, and how a place is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import RefusedError
from natlab.protocol.circuit import Limit, Status
from natlab.protocol.reservations import RelayLimits, Reservations
from natlab.wire.peer_id import PeerId

NOW = 1_700_000_000.5


def peer(number):
    return PeerId(b"\x12\x20" + number.to_bytes(32, "big"))


def refusal(action, *arguments):
    with pytest.raises(RefusedError) as caught:
        action(*arguments)
    return caught.value.status


def test_the_numbers_are_go_libp2ps():
    assert RelayLimits() == RelayLimits(3600, 128, 8, 16, Limit(120, 131072))


def test_a_place_lasts_its_time_and_not_a_second_more():
    table = Reservations(RelayLimits(ttl=60))
    expires = table.reserve(peer(1), "11.0.0.1", NOW)
    assert expires == 1_700_000_060
    assert table.holds(peer(1), expires - 0.001)
    assert not table.holds(peer(1), expires)


def test_asking_again_renews_and_takes_no_second_place():
    table = Reservations(RelayLimits(ttl=60, reservations=1, reservations_per_ip=1))
    table.reserve(peer(1), "11.0.0.1", NOW)
    assert table.reserve(peer(1), "11.0.0.1", NOW + 30) == 1_700_000_090
    assert table.holds(peer(1), NOW + 80)


def test_the_table_is_full_until_a_place_expires():
    table = Reservations(RelayLimits(ttl=60))
    for number in range(128):
        table.reserve(peer(number), f"11.0.0.{number}", NOW)
    assert refusal(table.reserve, peer(128), "12.0.0.1", NOW) == Status.RESERVATION_REFUSED
    table.reserve(peer(128), "12.0.0.1", NOW + 60)


def test_one_address_gets_eight_places():
    table = Reservations(RelayLimits())
    for number in range(8):
        table.reserve(peer(number), "11.0.0.1", NOW)
    assert refusal(table.reserve, peer(8), "11.0.0.1", NOW) == Status.RESERVATION_REFUSED
    table.reserve(peer(8), "11.0.0.2", NOW)
    table.reserve(peer(7), "11.0.0.1", NOW)


def test_a_peer_that_disconnects_loses_its_place():
    table = Reservations(RelayLimits())
    table.reserve(peer(1), "11.0.0.1", NOW)
    table.release(peer(1))
    table.release(peer(1))
    assert not table.holds(peer(1), NOW)
    assert refusal(table.open_circuit, peer(2), peer(1), NOW) == Status.NO_RESERVATION


def test_no_circuit_without_a_reservation_of_the_target():
    table = Reservations(RelayLimits(ttl=60))
    table.reserve(peer(2), "11.0.0.1", NOW)
    assert refusal(table.open_circuit, peer(2), peer(1), NOW) == Status.NO_RESERVATION
    table.reserve(peer(1), "11.0.0.1", NOW)
    table.open_circuit(peer(2), peer(1), NOW + 59)
    assert refusal(table.open_circuit, peer(2), peer(1), NOW + 60) == Status.NO_RESERVATION


@pytest.mark.parametrize("many", ["sources", "targets"])
def test_a_peer_has_sixteen_circuits_counted_at_both_ends(many):
    table = Reservations(RelayLimits(reservations_per_ip=100))
    for number in range(20):
        table.reserve(peer(number), "11.0.0.1", NOW)

    def ends(number):
        return (peer(number), peer(0)) if many == "sources" else (peer(0), peer(number))

    for number in range(1, 17):
        table.open_circuit(*ends(number), NOW)
    assert refusal(table.open_circuit, *ends(17), NOW) == Status.RESOURCE_LIMIT_EXCEEDED
    table.close_circuit(*ends(1))
    table.open_circuit(*ends(17), NOW)


def test_a_circuit_outlives_the_reservation():
    table = Reservations(RelayLimits(circuits_per_peer=1))
    table.reserve(peer(1), "11.0.0.1", NOW)
    table.open_circuit(peer(2), peer(1), NOW)
    table.release(peer(1))
    table.reserve(peer(1), "11.0.0.1", NOW)
    assert refusal(table.open_circuit, peer(3), peer(1), NOW) == Status.RESOURCE_LIMIT_EXCEEDED


FLOOD = st.tuples(st.sampled_from(["reserve", "open", "close", "release"]), st.integers(0, 9), st.integers(0, 9))


@given(st.lists(FLOOD, max_size=120))
def test_a_flood_of_requests_fills_the_table_to_its_limits_and_no_further(requests):
    limits = RelayLimits(ttl=50, reservations=4, reservations_per_ip=2, circuits_per_peer=3)
    table, open_circuits = Reservations(limits), []
    for second, (what, one, other) in enumerate(requests):
        now = NOW + second
        try:
            match what:
                case "reserve":
                    table.reserve(peer(one), f"11.0.0.{other % 3}", now)
                case "open":
                    table.open_circuit(peer(one), peer(other), now)
                    open_circuits.append((one, other))
                case "close" if open_circuits:
                    table.close_circuit(*map(peer, open_circuits.pop(one % len(open_circuits))))
                case "release":
                    table.release(peer(one))
        except RefusedError as refused:
            assert refused.status in Status.__members__.values()
        places = list(table._places.values())
        assert len(places) <= 4 and all([place.ip for place in places].count(place.ip) <= 2 for place in places)
        assert all(0 < count <= 4 for count in table._circuits.values())  # a circuit to oneself counts twice
    for one, other in open_circuits:
        table.close_circuit(peer(one), peer(other))
    assert not table._circuits
