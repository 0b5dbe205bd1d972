"""Raw hole punches through every pair of NATs: all cells follow the rule, and the surprising ones have a sentence."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from pandas import concat

from natlab.errors import LabError
from natlab.lab import punch_grid as module
from natlab.lab.punch_grid import BOXES, PAIRS, Box, go_libp2p, is_reached, picture, punch_grid, rule
from natlab.lab.raw_punch import Outcome
from natlab.nat import Behaviour

ONE_WAY = 0.020
LATE = 0.030  # seconds between the two: the first packet of one is there before the other has sent any
NAMES = {str(box): box for box in BOXES}


@pytest.fixture(scope="module", params=["tcp", "udp"])
def transport(request):
    return request.param


@pytest.fixture(scope="module")
def grid(transport):
    return punch_grid(1, transport)


def outcomes(table):
    return {(row.alice, row.bob): row.outcome for row in table.itertuples()}


def met(table):
    return {pair for pair, outcome in outcomes(table).items() if outcome != Outcome.NOBODY}


def measured(attempts):
    """The pairs that go-libp2p connected on one of these attempts."""
    table = go_libp2p()
    sides = [table[f"{who}_mapping"].combine(table[f"{who}_filtering"], box_name) for who in ("listener", "dialer")]
    return {tuple(pair) for *pair, attempt in zip(*sides, table.attempt, strict=True) if attempt in attempts}


def box_name(mapping, filtering):
    return str(Box(Behaviour(mapping), Behaviour(filtering)))


# ---- the rule


def test_every_cell_is_what_the_rule_foretells(grid):
    assert len(grid) == 81 and list(grid.outcome) == list(grid.rule)


def test_a_punch_takes_one_round_trip(grid):
    assert set(grid.seconds.dropna().round(9)) == {2 * ONE_WAY}
    assert list(grid.seconds.isna()) == list(grid.outcome == Outcome.NOBODY)


def test_no_chance_is_in_it(transport, grid):
    assert all(punch_grid(seed, transport).equals(grid) for seed in (2, 3))


def test_alice_and_bob_may_change_places(grid):
    swapped = {Outcome.ALICE: Outcome.BOB, Outcome.BOB: Outcome.ALICE}
    cells = outcomes(grid)
    assert all(cells[bob, alice] == swapped.get(outcome, outcome) for (alice, bob), outcome in cells.items())


def test_the_same_57_pairs_meet_as_with_go_libp2p(grid):
    assert met(grid) == measured(("1", "3", "reversal")) and len(met(grid)) == 57


def test_where_libp2p_needs_its_third_attempt_a_raw_punch_needs_one(grid):
    """There only the packets of DCUtR's initiator get in. With roles both ends wait for the other's first word, until
    attempt 3 swaps them; without roles the other end accepts, and that is that.
    """
    third = measured(("3",))
    assert len(third) == 14 and {outcomes(grid)[pair] for pair in third} == {Outcome.BOB}


SENTENCES = [
    ("EI/APD", "EI/APD", "crossed", "the strictest filter is no obstacle where the reported endpoints are right"),
    ("EI/EI", "EI/EI", "crossed", "open to all: yet the packets cross, since none is there before the other dials"),
    ("EI/AD", "APD/APD", "alice is reached", "Bob comes from an unreported port; Alice's NAT asks for no port"),
    ("EI/APD", "APD/APD", "nobody", "one more question at Alice's NAT, and the unreported port is fatal"),
    ("EI/APD", "AD/APD", "nobody", "address-dependent mapping is no better: Alice is not the observer"),
    ("EI/APD", "APD/EI", "bob is reached", "the endpoint that Bob has for the observer admits Alice too"),
    ("APD/APD", "APD/EI", "bob is reached", "nobody foresees either port: one NAT without a filter is enough for both"),
    ("APD/EI", "APD/EI", "each is reached", "unreported ports on both sides, all let in: two conversations, not one"),
    ("EI/EI", "APD/EI", "each is reached", "Bob's mapping for the observer lets Alice in, while he dials by another"),
    ("AD/AD", "AD/AD", "nobody", "it admits anybody at Bob's address, but at an endpoint that Bob does not know"),
    ("APD/APD", "APD/APD", "nobody", "symmetric to symmetric, as people say: neither can say where to send"),
]  # fmt: skip


@pytest.mark.parametrize(("alice", "bob", "outcome", "why"), SENTENCES, ids=lambda word: str(word))
def test_surprising_cells(grid, alice, bob, outcome, why):
    assert outcomes(grid)[alice, bob] == outcome


def test_no_filter_on_one_side_always_suffices(grid):
    assert all(is_reached(x, y) for x, y in PAIRS if x.filtering is Behaviour.ENDPOINT_INDEPENDENT)
    assert len([pair for pair in met(grid) if "/EI" in "".join(pair)]) == 45


def test_the_axes_of_mapping_that_depend_on_the_remote_are_equal_here():
    """No pair tells address-dependent mapping from address-and-port-dependent: observer and peer differ in both."""
    renamed = {"AD/EI": "APD/EI", "AD/AD": "APD/AD", "AD/APD": "APD/APD"}
    for alice, bob in PAIRS:
        assert rule(alice, bob) == rule(NAMES[renamed.get(str(alice), str(alice))], bob)


# ---- the other axes


def test_port_preservation_rescues_all_24(transport, grid):
    """Each internal port stands outside under the same number for every remote: endpoint-independent in effect."""
    preserved = punch_grid(1, transport, port_allocation="preserving")
    assert set(preserved.outcome) == {Outcome.CROSSED} and len(preserved) - len(met(grid)) == 24


def test_a_late_punch_meets_the_same_peers(transport, grid):
    late = punch_grid(1, transport, gap=LATE)
    assert met(late) == met(grid)
    assert sorted(set(late.seconds.dropna().round(9))) == [0.04, 0.07, 0.54 if transport == "udp" else 1.04]


def test_four_late_pairs_need_the_repetition(transport):
    """Bob's NAT admits Alice's address, whatever the port, once Bob has sent. Her first packet is too early, and Bob's
    own do not get in at all, so the second one has to.
    """
    late = punch_grid(1, transport, gap=LATE)
    pairs = {(row.alice, row.bob) for row in late.itertuples() if row.seconds > 0.1}
    assert pairs == {(alice, "EI/AD") for alice in ("AD/AD", "AD/APD", "APD/AD", "APD/APD")}


def test_an_early_syn_is_accepted_where_it_would_have_crossed():
    """What a NAT without a filter lets in before Bob dials lands in his listener, and his own dial finds the two
    endpoints taken.
    """
    late = outcomes(punch_grid(1, "tcp", gap=LATE))
    assert {late[alice, "EI/EI"] for alice in ("EI/EI", "EI/AD", "EI/APD")} == {Outcome.BOB}


def test_an_rst_costs_a_late_tcp_punch_exactly_those_four():
    """Refused, Alice does not dial again. RFC 5382 REQ-4 wants silence for just this case."""
    late, refused = (met(punch_grid(1, "tcp", gap=LATE, unsolicited_syn=syn)) for syn in ("drop", "rst"))
    assert late - refused == {(alice, "EI/AD") for alice in ("AD/AD", "AD/APD", "APD/AD", "APD/APD")}
    assert refused < late


def test_her_listener_saves_who_was_refused():
    """After an RST Alice's NAT still remembers that she sent to Bob, so his SYN gets in, and her listener is there."""
    late = outcomes(punch_grid(1, "tcp", gap=LATE, unsolicited_syn="rst"))
    assert late["EI/APD", "EI/APD"] == Outcome.ALICE


def test_an_rst_does_no_harm_to_a_punch_in_time(grid, transport):
    assert punch_grid(1, transport, unsolicited_syn="rst").equals(grid)


def test_quarantine_leaves_only_pairs_that_reach_each_other(grid, transport):
    """Where one direction is refused, the refused packet shuts its sender out, and with him his answers."""
    both = {pair for pair, outcome in outcomes(grid).items() if outcome in (Outcome.CROSSED, Outcome.EACH)}
    assert met(punch_grid(1, transport, quarantine=300.0)) == both and len(both) == 21


def test_quarantine_and_a_late_punch_leave_15(transport):
    """Now Alice's first packet has to be welcome before Bob has sent any, so his NAT must have no filter."""
    late = met(punch_grid(1, transport, quarantine=300.0, gap=LATE))
    assert {bob for _, bob in late} == {"EI/EI", "AD/EI", "APD/EI"}
    assert {alice for alice, _ in late} == {"EI/EI", "EI/AD", "EI/APD", "AD/EI", "APD/EI"} and len(late) == 15


# ---- the function


def test_progress_is_told_and_may_interrupt():
    calls = []
    punch_grid(1, "udp", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 81) for done in range(82)]

    def interrupt(done, _):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        punch_grid(1, "tcp", progress=interrupt)


@pytest.mark.parametrize(
    ("transport", "axes", "error", "words"),
    [
        ("sctp", {}, ValueError, '"tcp" or "udp"'),
        ("tcp", {"gap": -1.0}, ValueError, "0 or more, not -1"),
        ("tcp", {"gap": "x"}, ValueError, "gap= is a finite number"),
        ("tcp", {"filterin": "none"}, LabError, "did you mean 'filtering'"),
        ("udp", {"port_allocation": "lucky"}, LabError, "lucky"),
    ],
)
def test_wrong_words_are_told_what_to_change(transport, axes, error, words):
    with pytest.raises(error, match=words):
        punch_grid(1, transport, **axes)


def test_the_heat_map_shows_the_table(grid, transport):
    figure = picture(grid)
    assert figure.title == f"57 of 81 pairs of NATs let a raw {transport.upper()} hole punch through"
    marks = Counter(element.text for element in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text"))
    # each mark once more than there are cells: in the legend
    assert [marks[mark] for mark in ("><", "A", "B", "A B", "–")] == [10, 19, 19, 13, 25]
    assert "nobody is reached: 24" in figure.alt and "APD/APD" in figure.text


def test_a_picture_of_a_part_or_of_two_tables_would_mislead(grid):
    for table in (grid[grid.alice == "EI/EI"], grid[:0], concat([grid, grid])):
        with pytest.raises(LabError, match="the whole table of punch_grid"):
            picture(table)


def test_the_measurements_come_in_the_order_of_the_grid(grid):
    assert list(go_libp2p().punched) == list(grid.outcome != Outcome.NOBODY)


def test_without_the_repository_one_is_told_where_the_measurements_are(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MEASURED", tmp_path / "none.csv")
    with pytest.raises(LabError, match="run it from a clone"):
        go_libp2p()
