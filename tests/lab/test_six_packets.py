"""The table that a reader fills in by hand, and the hints."""

from __future__ import annotations

import pytest

from natlab.errors import LabError
from natlab.lab import Lab
from natlab.lab.six_packets import check_filtering, check_table, six_packets

HOME_TABLE = [("alice:5000", 5000), ("carol:5000", "other"), ("alice:6000", 6000)]
HOME_ROWS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 1, 6: "drop"}
HARD_TABLE = [(sender, "other") for sender in ("alice:5000", "alice:5000", "carol:5000", "alice:6000")]
HARD_ROWS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 1, 6: "drop"}
ANSWERS = ("?", 0, 1, 2, 3, 4, 5, "drop", None)


@pytest.fixture(scope="module")
def home():
    return six_packets(7)


@pytest.fixture(scope="module")
def hard():
    return six_packets(7, "symmetric")


def test_the_right_tables_are_right(home, hard):
    assert check_table(home, HOME_TABLE, HOME_ROWS).right
    assert check_table(hard, HARD_TABLE, HARD_ROWS).right
    assert check_table(six_packets(7, "full-cone"), HOME_TABLE, {**HOME_ROWS, 6: 1}).right


def test_ports_drawn_at_random_may_be_given_as_they_came_out(hard):
    table = [(row.internal, row.external.rpartition(":")[2]) for row in hard.mappings.itertuples()]
    assert check_table(hard, table, HARD_ROWS).right


@pytest.mark.parametrize("packet", range(1, 7))
def test_each_wrong_row_is_noticed_and_the_hint_is_about_that_packet(home, hard, packet):
    for lab, table, rows in ((home, HOME_TABLE, HOME_ROWS), (hard, HARD_TABLE, HARD_ROWS)):
        for answer in ANSWERS:
            feedback = check_table(lab, table, {**rows, packet: answer})
            assert feedback.right == (answer == rows[packet])
            assert feedback.right or feedback.words.startswith(f"Packet {packet}: ")


def test_a_row_may_be_written_as_text(home):
    assert check_table(home, HOME_TABLE, {packet: str(row) for packet, row in HOME_ROWS.items()}).right


def test_a_packet_that_is_not_answered_is_not_right(home):
    assert "Packet 2" in check_table(home, HOME_TABLE, {1: 1}).words


@pytest.mark.parametrize(
    ("row", "wrong", "hint"),
    [
        (0, ("alice:5000", "other"), "keeps the internal port"),
        (1, ("carol:5000", 5000), "somebody else inside holds port 5000"),
        (1, ("alice:5000", "other"), "begins with the endpoint"),
        (2, ("alice:6000", 5000), "keeps the internal port"),
        (2, ("alice:6000",), "a pair"),
        (2, "alice:6000", "a pair"),
    ],
)
def test_a_wrong_entry_in_the_table_gets_a_hint(home, row, wrong, hint):
    table = [wrong if number == row else entry for number, entry in enumerate(HOME_TABLE)]
    assert hint in check_table(home, table, HOME_ROWS).words


LONG = "9" * 5000


@pytest.mark.parametrize(
    "answer", [LONG, int("9" * 4000) ** 2, "\u0661", -1], ids=["digits", "number", "Arabic", "negative"]
)
def test_no_number_is_too_odd_for_a_hint(home, answer):
    assert "Packet 1" in check_table(home, HOME_TABLE, {**HOME_ROWS, 1: answer}).words
    assert "row 1" in check_table(home, [("alice:5000", answer), *HOME_TABLE[1:]], HOME_ROWS).words


def test_another_lab_than_that_of_the_six_packets_gets_a_hint():
    behind = Lab(1)
    firewall, server = behind.nat("firewall", name="home"), behind.host("server")
    alice = behind.run(behind.host("alice", behind=firewall).udp(5000))
    for _ in range(6):
        behind.run(alice.send("hello", f"{server.ip}:7000"))
        behind.advance(0.1)
    for lab in (None, "?", Lab(1), behind):
        feedback = check_table(lab, HOME_TABLE, HOME_ROWS)
        assert not feedback.right and ("six_packets(seed)" in feedback.words or lab is behind)


def test_random_ports_cannot_be_foretold(hard):
    assert "random" in check_table(hard, [("alice:5000", 5000), *HARD_TABLE[1:]], HARD_ROWS).words


def test_too_few_and_too_many_rows(home):
    assert "does not have yet" in check_table(home, HOME_TABLE[:2], HOME_ROWS).words
    assert "row 4" in check_table(home, [*HOME_TABLE, ("dave:9999", 5000)], HOME_ROWS).words


@pytest.mark.parametrize(
    ("answer", "right", "hint"),
    [
        ("address-dependent", True, "Dave"),
        ("endpoint-independent", False, "Eve"),
        ("address-and-port-dependent", False, "port"),
        ("adress-dependent", False, "one of"),
        (None, False, "three"),
    ],
)
def test_which_filtering_lets_dave_in_but_not_eve(answer, right, hint):
    feedback = check_filtering(7, answer)
    assert feedback.right == right and hint in feedback.words


def test_a_firewall_has_no_table_to_fill_in():
    with pytest.raises(LabError, match="firewall does not translate"):
        six_packets(7, "firewall")
