"""The packet ladder: which steps it has, what it says in text, and that no words lie on others in the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal, PacketSeen, Verdict
from natlab.lab.ladder import ladder
from natlab.lab.ladder.dialogue import message_steps
from natlab.lab.topology import Kind, Place, Topology
from natlab.packet import IcmpKind, IPProtocol, Packet, icmp_error

SVG = "{http://www.w3.org/2000/svg}"
CAST = ["alice", "relay", "bob"]


@pytest.fixture
def figure(journal, topology, names):
    return ladder(journal.events, topology, names, CAST)


def lines_with(figure, words: str) -> list[str]:
    return [line for line in figure.text.splitlines() if words in line]


def test_places_stand_in_the_order_a_packet_meets_them(figure):
    assert figure.text.splitlines()[0].split() == ["time,", "s", "alice", "home", "relay", "office", "bob"]


def test_a_dropped_packet_ends_in_a_cross_with_the_rule_and_its_repetitions(figure):
    (line,) = lines_with(figure, "no mapping for")
    assert "×" in line and line.endswith("at office dropped: no mapping for 12.0.0.1:40112; again at 2.000, 4.000 s")


def test_messages_become_arrows_in_both_directions(figure):
    assert [line.split()[0] for line in lines_with(figure, "CONNECT (dcutr)")] == ["6.200", "6.241"]
    assert len(lines_with(figure, "SYNC (dcutr)")) == 1


def test_the_syns_cross_in_the_picture(figure):
    colours = {"#0072B2", "#D55E00"}
    routes = [
        [tuple(map(float, point.split(","))) for point in shape.get("points").split()]
        for shape in ET.fromstring(figure.svg).iter(f"{SVG}polyline")
        if shape.get("stroke") in colours and shape.get("stroke-width") == "1.7"
    ]
    to_bob, to_alice = routes[-2:]
    assert to_bob[0][0] == to_alice[-1][0] and to_bob[-1][0] == to_alice[0][0], "one goes each way"
    assert to_bob[0][1] < to_alice[-1][1] and to_alice[0][1] < to_bob[-1][1], "each leaves before the other arrives"


def test_nat_boxes_say_how_they_rewrote_a_packet(figure):
    line = lines_with(figure, "office: to 192.168.2.2:4001")[0]
    assert "home: from 11.0.0.1:4001" in line


def test_no_words_lie_on_others(figure, check_apart):
    check_apart(figure.svg)


def test_a_column_has_both_addresses_at_its_head_and_room_for_a_long_name(check_apart):
    names = ["one whose name is as long as they come", "another whose name is as long as these", "short"]
    ips = [("11.0.0.1", "2600:1::1"), ("2600:2::1", "2600:2::1"), ("13.0.0.1", "")]
    topology = Topology([Place(name, Kind.HOST, ip, ip6=ip6) for name, (ip, ip6) in zip(names, ips, strict=True)])
    figure = ladder([], topology, {}, names)
    shown = [words.partition(": ")[2] for words in check_apart(figure.svg)]
    assert shown[:6] == [names[0], "11.0.0.1", "2600:1::1", names[1], "2600:2::1", names[2]]
    assert figure.text.splitlines()[0].endswith(f" {names[0]} {names[1]}" + names[2].center(40).rstrip())


def test_a_message_bends_at_the_relay(figure):
    dashed = [s for s in ET.fromstring(figure.svg).iter(f"{SVG}polyline") if s.get("stroke-dasharray") == "9 4"]
    assert [len(shape.get("points").split()) for shape in dashed] == [3, 3, 3]


def test_a_message_is_at_the_relay_halfway(journal, names):
    bent = [step.stops for step in message_steps(journal.events, names)]
    assert [stop.place for _, stop, _ in bent] == ["relay"] * 3
    assert all(stop.time == (start.time + end.time) / 2 for start, stop, end in bent)


def test_the_picture_is_an_image_with_words_for_those_who_do_not_see_it(figure):
    root = ET.fromstring(figure.svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text.startswith("Packet ladder of alice, home, relay, office, bob")
    assert "alice to office: SYN to 12.0.0.1:40112" in root.find(f"{SVG}desc").text
    assert '<img alt="Packet ladder' in figure._repr_html_()
    story = "bob to alice: CONNECT", "alice to bob: CONNECT", "bob to alice: SYNC", "alice to bob: SYN;"
    told = [figure.alt.index(step) for step in story]
    assert told == sorted(told), "an image's description is out of reach of a screen reader, its alt text is not"
    assert "alice to office: SYN, " in figure.alt, "what was dropped, and by which rule"
    assert figure._repr_svg_() == figure.svg and repr(figure) == figure.text


def test_since_and_until_cut_out_a_stretch_of_time(journal, topology, names):
    figure = ladder(journal.events, topology, names, CAST, since=6.2, until=6.3)
    assert [line.split()[0] for line in figure.text.splitlines()[1:4]] == ["6.200", "6.241", "6.282"]


@pytest.mark.parametrize(("since", "until", "end"), [(1.5, 6.0, "again at 4.000 s"), (0.0, 3.0, "again at 2.000 s")])
def test_what_is_repeated_in_a_stretch_of_time_is_told_and_no_more(journal, topology, names, since, until, end):
    figure = ladder(journal.events, topology, names, CAST, since=since, until=until)
    (line,) = lines_with(figure, "no mapping for")
    assert line.endswith(end)


def test_show_chooses_and_the_footer_says_what_is_missing(journal, topology, names):
    figure = ladder(journal.events, topology, names, CAST, show=["drop"])
    _, step, footer = figure.text.splitlines()
    assert "SYN" in step and footer == "Not drawn: 2 handshake, 3 message, 8 note (show= chooses)."


def test_a_ladder_of_two_leaves_out_who_has_no_line(journal, topology, names):
    figure = ladder(journal.events, topology, names, ["alice", "relay"])
    assert "CONNECT" not in figure.text


def test_nothing_happened(topology, names):
    figure = ladder(Journal().events, topology, names, CAST)
    assert "Nothing happened." in figure.svg and figure.alt == "Nothing happened."


def test_wrong_use_says_what_there_is(topology, names):
    with pytest.raises(LabError, match=r"lab\.node"):
        ladder([], topology, names, [])
    with pytest.raises(LabError, match=r"'drops'.*handshake, data, ack"):
        ladder([], topology, names, ["alice"], show=["drops"])


def test_equal_journals_give_equal_bytes(journal, topology, names, figure):
    assert ladder(list(journal.events), topology, names, CAST).svg == figure.svg


def over_a_link(*hops: PacketSeen) -> list[str]:
    """The lines of a ladder of alice and bob, behind the time."""
    topology = Topology([Place("alice", Kind.HOST, "11.0.0.1"), Place("bob", Kind.HOST, "12.0.0.1")])
    return [line[10:].strip() for line in ladder(hops, topology, {}, ["alice", "bob"]).text.splitlines()[1:]]


UDP = Packet(IPProtocol.UDP, Endpoint("11.0.0.1", 9), Endpoint("12.0.0.1", 9), b"x", flight=1)
SENT = PacketSeen(0.0, "alice", UDP, Verdict.SENT)


def test_a_packet_lost_on_the_link_of_its_sender_goes_nowhere():
    (line,) = over_a_link(SENT, PacketSeen(0.2, "alice", UDP, Verdict.LOST, "by chance"))
    assert line == "×              │         UDP :9 to 12.0.0.1:9; at alice lost: by chance"


def test_a_packet_lost_on_the_link_of_its_receiver_ends_before_it():
    (line,) = over_a_link(SENT, PacketSeen(0.2, "bob", UDP, Verdict.LOST, "by chance"))
    assert line == "├─UDP─────────>×         :9 to 12.0.0.1:9; at bob lost: by chance"


@pytest.mark.parametrize("where", ["alice", "bob"])
def test_a_copy_is_an_arrow_of_its_own_from_where_the_original_began(where):
    copy = UDP._replace(flight=2)
    lines = over_a_link(
        SENT,
        PacketSeen(0.01, where, copy, Verdict.DUPLICATED, "copy of flight 1", before=UDP),
        PacketSeen(0.02, "bob", UDP, Verdict.DELIVERED),
        PacketSeen(0.02, "bob", copy, Verdict.DELIVERED),
    )
    assert lines[0].startswith("├─UDP─────────>│")
    assert lines[1].startswith("├─copy of UDP─>│")


def test_an_icmp_error_says_what_it_is_about():
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, "12.0.0.1", UDP)
    lines = over_a_link(SENT, PacketSeen(0.02, "bob", error._replace(flight=2), Verdict.SENT))
    assert lines[1].endswith(
        "│              ●         ICMP port unreachable to 11.0.0.1, for UDP 11.0.0.1:9 to 12.0.0.1:9"
    )


def test_a_box_says_how_it_rewrote_what_an_error_is_about(topology):
    datagram = Packet(IPProtocol.UDP, Endpoint("11.0.0.1", 9), Endpoint("13.0.0.1", 9))
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, "13.0.0.1", datagram)._replace(flight=3)
    inside = datagram._replace(source=Endpoint("192.168.1.2", 9))
    news = error._replace(destination=Endpoint("192.168.1.2", 0), icmp=error.icmp._replace(quoted=inside))
    hops = [
        PacketSeen(0.0, "relay", error, Verdict.SENT),
        PacketSeen(0.1, "home", news, Verdict.TRANSLATED, before=error),
        PacketSeen(0.2, "alice", news, Verdict.DELIVERED),
    ]
    figure = ladder(hops, topology, {}, ["alice", "relay"])
    assert "home: to 192.168.1.2 about UDP 192.168.1.2:9 to 13.0.0.1:9" in figure.text
    same = [hops[0], replace(hops[1], packet=error, before=error), replace(hops[2], packet=error)]
    assert "home:" not in ladder(same, topology, {}, ["alice", "relay"]).text


def test_two_copies_of_one_datagram_are_two_arrows():
    copies = [UDP._replace(flight=flight) for flight in (2, 3)]
    made = [PacketSeen(0.0, "alice", copy, Verdict.DUPLICATED, "copy", before=UDP) for copy in copies]
    arrived = [PacketSeen(0.02, "bob", packet, Verdict.DELIVERED) for packet in (UDP, *copies)]
    assert [("copy" in line, "again" in line) for line in over_a_link(SENT, *made, *arrived)] == [
        (False, False),
        (True, False),
        (True, False),
    ]


def test_a_packet_that_reaches_its_end_twice_is_one_arrow(topology):
    """As in some of the random labs of tests/determinism."""
    reached = [PacketSeen(time, "relay", UDP, Verdict.DELIVERED) for time in (0.02, 0.06)]
    assert ladder([SENT, *reached], topology, {}, ["alice", "relay"]).text.count("UDP") == 1


def test_an_arrow_to_the_left_points_there():
    back = UDP._replace(source=UDP.destination, destination=UDP.source)
    lines = over_a_link(PacketSeen(0, "bob", back, Verdict.SENT), PacketSeen(0.02, "alice", back, Verdict.DELIVERED))
    assert lines == ["│<─────────UDP─┤         :9 to 11.0.0.1:9"]


def test_what_the_internet_says_to_a_host_has_a_line_for_it(topology):
    error = icmp_error(IcmpKind.HOST_UNREACHABLE, "192.0.0.8", UDP._replace(source=Endpoint("13.0.0.1", 9)))
    hops = [PacketSeen(0, "internet", error, Verdict.SENT), PacketSeen(0.01, "relay", error, Verdict.DELIVERED)]
    assert ladder(hops, topology, {}, ["relay"]).text.splitlines()[0].split()[2:] == ["internet", "relay"]
    assert ladder(hops, topology, {}, ["alice"]).text.splitlines()[0].split()[2:] == ["alice", "home"]
