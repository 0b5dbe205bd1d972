"""A small journal written by hand: alice and bob behind NATs, a relay, one failed dial and one hole punch."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from natlab.endpoint import Endpoint
from natlab.events import (
    ConnectionOpened,
    DialFailed,
    Event,
    Journal,
    MappingCreated,
    MappingEnded,
    MappingRefreshed,
    MessageSeen,
    PacketSeen,
    PunchDialled,
    PunchEnded,
    Verdict,
)
from natlab.lab.svg import Area, text_width
from natlab.lab.topology import Kind, Place, Topology
from natlab.packet import Flag, IPProtocol, Packet

NAMES = {"12D3KooWAlice": "alice", "12D3KooWBob": "bob", "12D3KooWRelay": "relay"}
ALICE, HOME = Endpoint("192.168.1.2", 4001), Endpoint("11.0.0.1", 4001)
BOB, OFFICE = Endpoint("192.168.2.2", 4001), Endpoint("12.0.0.1", 40112)
SYN = Packet(IPProtocol.TCP, ALICE, OFFICE, flags=Flag.SYN, seq=7)


SVG = "{http://www.w3.org/2000/svg}"


def _words_in(svg: str) -> dict[str, Area]:
    areas = {}
    for number, text in enumerate(ET.fromstring(svg).iter(f"{SVG}text")):
        x, y = float(text.get("x")), float(text.get("y"))
        width = text_width(text.text or "", bold=text.get("font-weight") == "bold")
        left = {"start": x, "end": x - width, "middle": x - width / 2}[text.get("text-anchor")]
        areas[f"{number}: {text.text}"] = Area(left, left + width, y - 9, y + 2)
    return areas


@pytest.fixture
def check_apart() -> Callable[[str], dict[str, Area]]:
    """Checks that no words of a picture lie on others or leave it, and says where they are."""

    def check(svg: str) -> dict[str, Area]:
        areas = _words_in(svg)
        assert [pair for pair in itertools.combinations(areas, 2) if areas[pair[0]].meets(areas[pair[1]])] == []
        _, _, wide, high = map(float, ET.fromstring(svg).get("viewBox").split())
        assert [words for words, at in areas.items() if at.left < 0 or at.right > wide or at.bottom > high] == []
        return areas

    return check


@pytest.fixture
def names() -> dict[str, str]:
    return NAMES


@pytest.fixture
def topology() -> Topology:
    return Topology(
        [
            Place("relay", Kind.NODE, "13.0.0.1"),
            Place("home", Kind.NAT, HOME.ip),
            Place("alice", Kind.NODE, ALICE.ip, "home"),
            Place("office", Kind.NAT, OFFICE.ip),
            Place("bob", Kind.NODE, BOB.ip, "office"),
        ]
    )


def dropped_syn(time: float, flight: int) -> list[Event]:
    """Alice's SYN leaves through her NAT and is refused by Bob's."""
    sent = SYN._replace(flight=flight)
    out = sent._replace(source=HOME)
    return [
        PacketSeen(time, "alice", sent, Verdict.SENT),
        PacketSeen(time + 0.0005, "home", out, Verdict.TRANSLATED, before=sent),
        PacketSeen(time + 0.0195, "office", out, Verdict.DROPPED, "no mapping for 12.0.0.1:40112"),
    ]


def passing_syn(time: float, flight: int, *, from_alice: bool) -> list[Event]:
    """A SYN that crosses both NATs."""
    inner, outer, other_outer, other_inner = (ALICE, HOME, OFFICE, BOB) if from_alice else (BOB, OFFICE, HOME, ALICE)
    places = ("alice", "home", "office", "bob") if from_alice else ("bob", "office", "home", "alice")
    sent = Packet(IPProtocol.TCP, inner, other_outer, flags=Flag.SYN, seq=flight, flight=flight)
    out = sent._replace(source=outer)
    inside = out._replace(destination=other_inner)
    return [
        PacketSeen(time, places[0], sent, Verdict.SENT),
        PacketSeen(time + 0.0005, places[1], out, Verdict.TRANSLATED, before=sent),
        PacketSeen(time + 0.0195, places[2], inside, Verdict.TRANSLATED, before=out),
        PacketSeen(time + 0.0200, places[3], inside, Verdict.DELIVERED),
    ]


def dcutr(time: float, sender: str, receiver: str, name: str) -> list[Event]:
    """A message of DCUtR at both ends, 41 ms apart."""
    ids = {name: peer for peer, name in NAMES.items()}
    return [
        MessageSeen(time, sender, ids[receiver], "/libp2p/dcutr", name, sent=True),
        MessageSeen(time + 0.041, receiver, ids[sender], "/libp2p/dcutr", name, sent=False),
    ]


def opened(time: float, place: str, peer: str, role: str, path: str, how: str, remote: str = "") -> ConnectionOpened:
    ids = {name: peer for peer, name in NAMES.items()}
    return ConnectionOpened(time, place, round(time * 100), ids[peer], role, "tcp", path, how, "", remote, 0.05)


@pytest.fixture
def journal() -> Journal:
    circuit = "/ip4/13.0.0.1/tcp/4001/p2p/12D3KooWRelay/p2p-circuit/p2p/12D3KooWBob"
    events: list[Event] = [
        MappingCreated(0.0195, "office", 1, "tcp", BOB, OFFICE, "", 240.0),
        MappingRefreshed(0.5, "office", 1, 7440.5),
        MappingCreated(1.0005, "home", 1, "tcp", ALICE, HOME, "", 241.0),
        *dropped_syn(1.0, 1),
        *dropped_syn(2.0, 2),
        *dropped_syn(4.0, 3),
        DialFailed(6.0, "alice", "12D3KooWBob", "/ip4/12.0.0.1/tcp/40112", "timed out after 5 s"),
        opened(6.1, "alice", "bob", "dialer", "relayed", "dial", circuit),
        opened(6.1, "bob", "alice", "listener", "relayed", "dial"),
        *dcutr(6.2, "bob", "alice", "CONNECT"),
        *dcutr(6.241, "alice", "bob", "CONNECT"),
        *dcutr(6.282, "bob", "alice", "SYNC"),
        PunchDialled(6.323, "alice", "12D3KooWBob", "client", 1),
        PunchDialled(6.324, "bob", "12D3KooWAlice", "server", 1),
        *passing_syn(6.323, 4, from_alice=True),
        *passing_syn(6.324, 5, from_alice=False),
        opened(6.5, "alice", "bob", "dialer", "direct", "hole punch"),
        opened(6.5, "bob", "alice", "listener", "direct", "hole punch"),
        PunchEnded(6.5, "bob", "12D3KooWAlice", "tcp", 1, 0.082, "success"),
        MappingEnded(9.0, "home", 1, "closed"),
    ]
    recorded = Journal()
    for event in sorted(events, key=lambda event: event.time):
        recorded.emit(event)
    return recorded
