"""host.ping and host.traceroute."""

import math

import pytest

from natlab import Lab
from natlab.errors import LabError
from natlab.lab.pinging import HopRow
from natlab.lab.this_computer import this_computer


@pytest.fixture
def lab():
    lab = Lab(seed=7)
    yield lab
    lab.close()


def rows(table):
    return [HopRow(*row) for row in table.itertuples(index=False)]


def test_a_ping_takes_a_round_trip(lab):
    alice, bob = lab.host("alice", behind=lab.nat()), lab.host("bob", delay=0.025)
    assert lab.run(alice.ping(bob)) == pytest.approx(0.070)
    assert lab.run(alice.ping(bob.ip)) == pytest.approx(0.070)


def test_who_does_not_answer_gives_none_after_the_timeout(lab):
    alice = lab.host("alice")
    silent = lab.nat(answers_ping=False)
    assert lab.run(alice.ping(silent, timeout=0.5)) is None and lab.now == 0.5
    assert lab.run(alice.ping("99.0.0.1")) is None and lab.now == pytest.approx(0.520)  # host unreachable


def test_a_nat_box_answers_for_itself(lab):
    home = lab.nat()
    alice, bob = lab.host("alice", behind=home), lab.host("bob")
    assert lab.run(bob.ping(home)) == pytest.approx(0.039)
    assert lab.run(alice.ping(home)) == pytest.approx(0.001)
    assert lab.run(alice.ping(home.gateway_ip)) == pytest.approx(0.001)


def test_on_loopback_it_takes_no_time(lab):
    alice = lab.host("alice")
    assert lab.run(alice.ping(alice)) == lab.run(alice.ping("127.0.0.1")) == 0.0


def test_the_route_through_two_nats(lab):
    carrier = lab.nat("home", name="carrier")
    alice, bob = lab.host("alice", behind=lab.nat("home", behind=carrier)), lab.host("bob")
    assert rows(lab.run(alice.traceroute(bob))) == [
        (1, "192.168.2.1", pytest.approx(0.001), "time exceeded"),
        (2, "192.168.1.1", pytest.approx(0.002), "time exceeded"),
        (3, "192.0.0.8", pytest.approx(0.021), "time exceeded"),
        (4, bob.ip, pytest.approx(0.041), "echo reply"),
    ]


def test_a_box_that_drops_errors_hides_what_is_behind_it(lab):
    """RFC 4787 REQ-12a: the sender of an error is nobody that was sent to."""
    alice = lab.host("alice", behind=lab.nat(icmp_errors="from-remote"))
    bob = lab.host("bob")
    seen = rows(lab.run(alice.traceroute(bob)))
    assert [hop.address for hop in seen] == ["192.168.1.1", "", bob.ip]
    assert math.isnan(seen[1].seconds) and seen[1].says == ""


def test_a_way_to_nowhere_ends_with_an_error_and_a_silent_one_when_it_gives_up(lab):
    alice = lab.host("alice")
    [hop] = rows(lab.run(alice.traceroute("99.0.0.1", most=1)))
    assert (hop.address, hop.says) == ("192.0.0.8", "time exceeded")
    assert rows(lab.run(alice.traceroute("99.0.0.1")))[-1].says == "host unreachable"
    assert len(lab.run(alice.traceroute(lab.nat(answers_ping=False), most=4))) == 4


def test_pings_show_in_tables_and_ladders(lab):
    alice, bob = lab.host("alice", behind=lab.nat()), lab.host("bob")
    lab.run(alice.traceroute(bob))
    table = lab.packets
    assert set(table.protocol) == {"ICMP"}
    assert list(table[table.place == "bob"]["flags"]) == ["echo request", "echo reply"]
    first = table[table["flags"].str.startswith("time exceeded")].iloc[0]
    assert first.source == "192.168.1.1" and first["flags"].endswith(f"to {bob.ip}")
    text = lab.ladder().text
    assert "ICMP time exceeded" in text and "internet" in text and "ICMP echo reply" in text
    [mapping] = lab.mappings[lab.mappings.protocol == "ICMP"].itertuples()
    assert mapping.expires - mapping.last_used == 60.0


@pytest.mark.parametrize("to", ["bob", 5, None])
def test_wrong_use_says_what_to_name(lab, to):
    with pytest.raises(ValueError, match="Name a host"):
        lab.run(lab.host("alice").ping(to))


def test_the_reader_s_own_computer_cannot():
    here = this_computer()
    try:
        with pytest.raises(LabError, match="takes privileges"):
            here.run(here.ping("127.0.0.1"))
    finally:
        here.close()
