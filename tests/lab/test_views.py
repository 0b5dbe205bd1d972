"""The views of a journal: their columns, also when there is nothing to show, and what they say."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import pandas as pd
import pytest

from natlab.events import AddressObserved, CircuitEnded, ConnectionClosed, ConnectionOpened, Journal, RoundTripMeasured
from natlab.lab import views
from natlab.lab.views.connections import ConnectionRow
from natlab.lab.views.mappings import MappingRow
from natlab.lab.views.observations import ObservationRow
from natlab.lab.views.packets import PacketRow
from natlab.lab.views.punches import PunchRow

TABLES = {
    "packets": (PacketRow, lambda journal, names: views.packets(journal)),
    "mappings": (MappingRow, lambda journal, names: views.mappings(journal)),
    "observations": (ObservationRow, views.observations),
    "connections": (ConnectionRow, views.connections),
    "punches": (PunchRow, views.punches),
}


@pytest.mark.parametrize("view", TABLES)
def test_an_empty_journal_gives_the_same_columns_and_dtypes(view, journal, names):
    _, table = TABLES[view]
    empty, full = table(Journal(), names), table(journal, names)
    assert len(empty) == 0
    assert list(empty.dtypes.items()) == list(full.dtypes.items())


@pytest.mark.parametrize("view", TABLES)
def test_every_column_is_documented_with_its_dtype(view, names):
    row, table = TABLES[view]
    text = inspect.getdoc(row)
    for column, dtype in table(Journal(), names).dtypes.items():
        lines = [line for line in text.splitlines() if column in line.partition(":")[0].replace(",", " ").split()]
        assert len(lines) == 1 and f": {dtype}," in lines[0], (column, dtype)


def test_packets_follow_one_flight_through_a_nat(journal):
    table = views.packets(journal)
    flight = table[table.flight == 4]
    assert list(flight.place) == ["alice", "home", "office", "bob"]
    assert list(flight.source) == ["192.168.1.2:4001"] + ["11.0.0.1:4001"] * 3
    assert list(flight.destination) == ["12.0.0.1:40112"] * 2 + ["192.168.2.2:4001"] * 2
    assert list(flight.verdict) == ["sent", "translated", "translated", "delivered"]
    assert set(flight["flags"]) == {"SYN"} and set(flight.protocol) == {"TCP"} and set(flight["size"]) == {40}


def test_packets_name_the_rule_that_dropped_them(journal):
    table = views.packets(journal)
    assert list(table[table.verdict == "dropped"].reason) == ["no mapping for 12.0.0.1:40112"] * 3


def test_mappings_tell_a_whole_life(journal):
    office, home = views.mappings(journal, now=10.0).itertuples()
    assert (office.last_used, office.expires, office.ended_by) == (0.5, 7440.5, "")
    assert (home.created, home.expires, home.ended_by) == (1.0005, 9.0, "closed")


def test_a_mapping_whose_time_is_up_has_ended_though_no_packet_noticed(journal):
    office = views.mappings(journal, now=7440.5).iloc[0]
    assert office.ended_by == "timeout"


def test_connections_join_the_reports_of_both_ends(journal, names):
    table = views.connections(journal, names)
    assert list(table.path) == ["relayed", "direct"]
    assert list(table.opened_by) == ["dial", "hole punch"]
    assert set(table.dialer) == {"alice"} and set(table.listener) == {"bob"}
    assert table.rtt.isna().all() and table.closed.isna().all()


def _opened(time: float, place: str, number: int, peer: str, role: str) -> ConnectionOpened:
    return ConnectionOpened(time, place, number, peer, role, "tcp", "direct", "dial", "", "", 0.1)


def test_a_connection_ends_once_and_a_second_dial_is_a_second_row(names):
    journal = Journal()
    for event in (
        _opened(1.0, "alice", 1, "12D3KooWBob", "dialer"),
        _opened(1.1, "bob", 7, "12D3KooWAlice", "listener"),
        RoundTripMeasured(1.2, "bob", 7, "12D3KooWAlice", 0.04),
        ConnectionClosed(2.0, "bob", 7, "12D3KooWAlice", "closed here"),
        ConnectionClosed(2.1, "alice", 1, "12D3KooWBob", "closed by the peer"),
        _opened(3.0, "alice", 2, "12D3KooWBob", "dialer"),
        _opened(3.1, "bob", 8, "12D3KooWAlice", "listener"),
    ):
        journal.emit(event)
    first, second = views.connections(journal, names).itertuples()
    assert (first.opened, first.rtt, first.closed, first.closed_why) == (1.0, 0.04, 2.0, "closed here")
    assert second.opened == 3.0 and math.isnan(second.closed)


@pytest.mark.parametrize(
    ("at", "why"), [(1.9, "relay limit: 128 KiB"), (2.05, "closed here")], ids=["by the relay", "by an end"]
)
def test_why_a_circuit_ended_is_the_relays_word_unless_an_end_closed_it(names, at, why):
    journal, through = Journal(), "/ip4/11.0.0.1/tcp/4001/p2p/12D3KooWRelay/p2p-circuit"
    for time, place, peer, role in ((1.0, "alice", "12D3KooWBob", "dialer"), (1.1, "bob", "12D3KooWAlice", "listener")):
        journal.emit(ConnectionOpened(time, place, 1, peer, role, "tcp", "relayed", "dial", through, through, 0.1))
    ended = CircuitEnded(at, "relay", "12D3KooWAlice", "12D3KooWBob", "relay limit: 128 KiB")
    closed = ConnectionClosed(2.0, "bob", 1, "12D3KooWAlice", "closed here")
    for event in sorted((ended, closed), key=lambda event: event.time):
        journal.emit(event)
    (row,) = views.connections(journal, names).itertuples()
    assert (row.closed, row.closed_why) == (2.0, why)


def test_observations_name_the_observer(names):
    journal = Journal()
    journal.emit(AddressObserved(1.0, "alice", "12D3KooWRelay", "/ip4/11.0.0.1/tcp/4001", 1, 1, False))
    journal.emit(AddressObserved(2.0, "alice", "12D3KooWUnknownStranger", "/ip4/11.0.0.1/tcp/4001", 2, 2, False))
    assert list(views.observations(journal, names).observer) == ["relay", "…ranger"]


def test_punches_measure_the_error_of_the_synchronised_dials(journal, names):
    (punch,) = views.punches(journal, names).itertuples()
    assert (punch.initiator, punch.responder, punch.attempt, punch.outcome) == ("bob", "alice", 1, "success")
    assert punch.rtt == 0.082 and punch.sync_error == pytest.approx(-0.001)


def test_reachability_is_what_the_evidence_shows(journal, names):
    graph = views.reachability(journal, names, ["relay", "alice", "bob"])
    assert {node: data["verdict"] for node, data in graph.nodes.items()} == {
        "relay": "unknown",
        "alice": "unknown",
        "bob": "private",
    }
    assert graph.edges["alice", "bob"] == {"how": "punched", "opened_by": "hole punch"}
    assert graph.edges["bob", "alice"]["how"] == "punched"


def test_a_failed_dial_is_an_edge_until_something_better_joins_the_two(journal, names):
    before = Journal()
    for event in journal.events:
        if event.time <= 6.0:
            before.emit(event)
    assert views.reachability(before, names).edges["alice", "bob"] == {"how": "failed", "opened_by": ""}


def test_a_direct_dial_makes_the_listener_public_and_leads_back_only_over_that_connection(names):
    journal = Journal()
    journal.emit(_opened(1.0, "alice", 1, "12D3KooWRelay", "dialer"))
    graph = views.reachability(journal, names)
    assert graph.nodes["relay"]["verdict"] == "public"
    assert graph.edges["alice", "relay"]["how"] == "dialled" and graph.edges["relay", "alice"]["how"] == "answers"


def test_who_was_reached_by_connection_reversal_is_public(names):
    journal = Journal()
    journal.emit(replace(_opened(1.0, "alice", 1, "12D3KooWBob", "dialer"), opened_by="reversal"))
    assert views.reachability(journal, names).nodes["bob"]["verdict"] == "public"


def test_nothing_happened_gives_a_graph_of_unknown_nodes(names):
    graph = views.reachability(Journal(), names, ["alice"])
    assert dict(graph.nodes) == {"alice": {"verdict": "unknown"}} and not graph.edges


def test_absent_text_is_empty_and_never_missing(journal, names):
    for _, table in TABLES.values():
        for column in table(journal, names).select_dtypes("string"):
            assert isinstance(table(journal, names)[column], pd.Series)
            assert not table(journal, names)[column].isna().any()


def test_two_who_meet_again_have_a_row_for_each_time(names):
    met = Journal()
    for number in range(3):
        for place, peer, role in (("alice", "12D3KooWBob", "dialer"), ("bob", "12D3KooWAlice", "listener")):
            met.emit(ConnectionOpened(number, place, number, peer, role, "tcp", "direct", "dial", "", "", 0.1))
        for place, peer in (("bob", "12D3KooWAlice"), ("alice", "12D3KooWBob")):
            met.emit(ConnectionClosed(number + 0.5, place, number, peer, "closed"))
    table = views.connections(met, names)
    assert list(table.opened) == [0, 1, 2] and list(table.closed) == [0.5, 1.5, 2.5] and set(table.dialer) == {"alice"}


@pytest.mark.parametrize("first", ["dialer", "listener"])
def test_how_long_the_set_up_took_is_the_dialers_word(names, first):
    reports = {
        "dialer": ConnectionOpened(1.0, "alice", 1, "12D3KooWBob", "dialer", "tcp", "direct", "dial", "", "", 0.1),
        "listener": ConnectionOpened(1.0, "bob", 1, "12D3KooWAlice", "listener", "tcp", "direct", "dial", "", "", 0.2),
    }
    met = Journal()
    for role in sorted(reports, reverse=first == "listener"):
        met.emit(reports[role])
    (row,) = views.connections(met, names).itertuples()
    assert (row.dialer, row.listener, row.setup) == ("alice", "bob", 0.1)
