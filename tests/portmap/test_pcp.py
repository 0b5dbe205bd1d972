"""PCP, both roles, on a simulated LAN. The ids are RFC 6887's sections."""

from __future__ import annotations

import itertools
from ipaddress import ip_network
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import NegotiationError, RefusedError, UnreachableError
from natlab.events import PacketSeen, Verdict
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import natpmp, pcp
from natlab.portmap.pcp import Epoch, Timers
from natlab.wire import pcp as wire
from natlab.wire.pcp import Filter, Mapping, Opcode, Request, ResultCode

TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
GATEWAY = "192.168.1.1"
NONCE, OTHER_NONCE = bytes(range(12)), bytes(12)
SOON = Timers(first=0.1, tries=2)


def wish(port=4001, external=0, protocol=UDP, nonce=NONCE, remote=None):
    return Mapping(nonce, protocol, port, Endpoint("0.0.0.0", external), remote)


def ask(home, host, mapping, lifetime=7200, **options):
    return home.run(pcp.map_port(home.udp(host), GATEWAY, mapping, Random(1), lifetime, **options))


def refused(home, host, mapping, lifetime=7200, **options):
    with pytest.raises(RefusedError) as error:
        ask(home, host, mapping, lifetime, **options)
    return error.value.status


def raw(home, host, data, port=0):
    """The answer to bytes as they are."""
    socket = home.udp(host, port)
    socket.send(data, Endpoint(GATEWAY, pcp.PORT))
    return home.run(socket.receive(), limit=1.0)[0]


def test_11_a_port_is_opened_to_a_stranger(home) -> None:
    house = home()
    socket = house.udp(house.alice, 4001)
    response = ask(house, house.alice, wish(external=4001), lifetime=3600)
    assert response.lifetime == 3600 and response.mapping.external == Endpoint(house.router.external_ip, 4001)
    assert house.gets_through(response.mapping.external, socket)


@pytest.mark.parametrize(("asked", "got"), [(1, 120), (3600, 3600), (10**6, 7200)])
def test_15_the_server_keeps_a_lifetime_within_its_bounds(home, asked: int, got: int) -> None:
    house = home()
    assert ask(house, house.alice, wish(), lifetime=asked).lifetime == got


def test_11_3_another_nonce_may_not_renew_or_delete(home) -> None:
    house = home()
    ask(house, house.alice, wish())
    assert refused(house, house.alice, wish(nonce=OTHER_NONCE)) == ResultCode.NOT_AUTHORIZED
    assert refused(house, house.alice, wish(nonce=OTHER_NONCE), lifetime=0) == ResultCode.NOT_AUTHORIZED
    ask(house, house.alice, wish())
    assert len(list(house.leases)) == 1


def test_15_1_deleting_twice_is_deleting_once_and_port_0_is_all_of_this_nonce(home) -> None:
    house = home()
    for port in (4001, 4002):
        ask(house, house.alice, wish(port))
    ask(house, house.alice, wish(4003, nonce=OTHER_NONCE))
    ask(house, house.carol, wish(4004))
    for _ in range(2):
        assert ask(house, house.alice, wish(4001), lifetime=0).lifetime == 0
    ask(house, house.alice, wish(0, protocol=0), lifetime=0)
    assert sorted(lease.internal.port for lease in house.leases) == [4003, 4004]


def test_15_1_what_was_forwarded_by_hand_stays(home) -> None:
    house = home()
    house.router.forward_port(UDP, Endpoint(house.router.external_ip, 4001), Endpoint(house.alice.ip, 4001))
    assert refused(house, house.alice, wish(), lifetime=0) == ResultCode.NOT_AUTHORIZED


def test_13_2_prefer_failure_is_this_port_or_none(home) -> None:
    house = home()
    ask(house, house.carol, wish(external=4001))
    assert ask(house, house.alice, wish(external=4001)).mapping.external.port != 4001
    status = refused(house, house.alice, wish(4005, 4001), prefer_failure=True)
    assert status == ResultCode.CANNOT_PROVIDE_EXTERNAL
    response = ask(house, house.alice, wish(4005, 4005), prefer_failure=True)
    assert response.mapping.external.port == 4005 and response.prefer_failure
    assert refused(house, house.alice, wish(4006), prefer_failure=True) == ResultCode.MALFORMED_OPTION
    assert refused(house, house.alice, wish(4005, 4005), 0, prefer_failure=True) == ResultCode.MALFORMED_OPTION
    elsewhere = Mapping(NONCE, UDP, 4007, Endpoint("66.0.0.6", 4007))
    assert refused(house, house.alice, elsewhere, prefer_failure=True) == ResultCode.CANNOT_PROVIDE_EXTERNAL


def test_13_3_a_filter_admits_only_whom_it_names(home) -> None:
    house = home()
    socket = house.udp(house.alice, 4001)
    only = (Filter(ip_network(f"{house.bob.ip}/32"), 7777),)
    external = ask(house, house.alice, wish(), filters=only).mapping.external
    assert not house.gets_through(external, socket, from_port=7778)
    assert house.gets_through(external, socket, from_port=7777)
    ask(house, house.alice, wish(), filters=(*only, Filter(None)))  # all filters before it are gone
    assert house.gets_through(external, socket, from_port=7779)
    many = tuple(Filter(ip_network(f"12.0.0.{host}/32")) for host in range(17))
    assert refused(house, house.alice, wish(), filters=many) == ResultCode.EXCESSIVE_REMOTE_PEERS


@pytest.mark.parametrize(
    ("mapping", "status"),
    [
        (wish(protocol=132), ResultCode.UNSUPP_PROTOCOL),  # SCTP
        (wish(0, protocol=0), ResultCode.UNSUPP_PROTOCOL),
        (wish(0), ResultCode.UNSUPP_PROTOCOL),
        (wish(1, protocol=0), ResultCode.MALFORMED_REQUEST),
    ],
)
def test_7_4_what_cannot_be_mapped(home, mapping: Mapping, status: ResultCode) -> None:
    house = home()
    assert refused(house, house.alice, mapping) == status


def test_7_4_turned_off_and_too_many(home) -> None:
    house = home(refuses=True)
    assert refused(house, house.alice, wish()) == ResultCode.NOT_AUTHORIZED
    house = home(leases_per_host=1, leases=1)
    ask(house, house.alice, wish())
    assert refused(house, house.alice, wish(4002)) == ResultCode.USER_EX_QUOTA
    assert refused(house, house.carol, wish()) == ResultCode.NO_RESOURCES


def test_8_1_a_nat_in_between_is_noticed(home) -> None:
    house = home()
    request = Request(Opcode.MAP, 100, house.carol.ip, wish())
    response = wire.decode_response(raw(house, house.alice, wire.encode_request(request)))
    assert (response.result, response.mapping) == (ResultCode.ADDRESS_MISMATCH, wish())


@pytest.mark.parametrize("whose", ["carol", "alice"])
def test_13_1_nobody_opens_a_port_for_another(home, whose: str) -> None:
    house = home()
    request = Request(Opcode.MAP, 100, house.alice.ip, wish(), third_party=getattr(house, whose).ip)
    response = wire.decode_response(raw(house, house.alice, wire.encode_request(request)))
    assert response.result == ResultCode.UNSUPP_OPTION
    assert list(house.leases) == []


def test_14_1_announce_tells_the_epoch(home) -> None:
    house = home()
    house.loop.advance(9.0)
    assert house.run(pcp.announce(house.udp(house.alice), GATEWAY, Random(1))).epoch == 9


def test_14_1_3_a_reboot_is_announced_in_both_protocols(home) -> None:
    house = home()
    ear = house.run(house.alice.bind_udp(pcp.ANNOUNCEMENTS))
    house.router.reboot()
    heard = [house.run(ear.receive())[0] for _ in range(20)]
    assert sorted({data[0] for data in heard}) == [0, 2]
    assert wire.decode_response(heard[-1]).epoch == 127


def test_12_peer_keeps_a_mapping_for_its_peer_alone(home) -> None:
    """No keepalives: the mapping outlives its timer, and strangers stay out."""
    house = home(NatConfig(udp_timeout=10.0, udp_unanswered_timeout=10.0, port_allocation="random"))
    socket, peer = house.udp(house.alice, 4001), house.udp(house.bob, 9)
    socket.send(b"hello", peer.local)
    _, seen = house.run(peer.receive())
    response = ask(house, house.alice, wish(remote=peer.local), lifetime=1000)
    assert response.mapping.external == seen
    house.loop.advance(900.0)
    assert not house.gets_through(seen, socket, from_port=10)
    peer.send(b"still there?", seen)
    assert house.run(socket.receive(), limit=1.0)[0] == b"still there?"


def test_12_a_peer_makes_no_mapping_shorter(home) -> None:
    house = home()
    ask(house, house.alice, wish(), lifetime=7200)
    house.loop.advance(200.0)
    assert ask(house, house.alice, wish(remote=Endpoint("12.0.0.1", 9)), lifetime=120).lifetime == 7000
    assert ask(house, house.alice, wish(), lifetime=120).lifetime == 120


def test_12_peers_add_up_and_do_not_close_a_map(home) -> None:
    house = home()
    for last in range(1, 17):
        ask(house, house.alice, wish(remote=Endpoint(f"12.0.0.{last}", 9)))
    (lease,) = house.leases
    assert len(lease.remotes) == 16
    one_more = wish(remote=Endpoint("12.0.0.99", 9))
    assert refused(house, house.alice, one_more) == ResultCode.EXCESSIVE_REMOTE_PEERS
    ask(house, house.alice, wish())
    ask(house, house.alice, one_more)
    assert next(iter(house.leases)).remotes == ()


def test_9_a_gateway_with_nat_pmp_only_is_known_at_once(home) -> None:
    house = home(services=("nat-pmp",))
    began = house.loop.time()
    with pytest.raises(NegotiationError, match="speaks NAT-PMP"):
        ask(house, house.alice, wish())
    assert house.loop.time() - began < 0.01


def test_9_a_gateway_with_another_version_of_pcp_is_known_at_once(home) -> None:
    house = home(services=())
    socket, server = house.udp(house.alice, 4000), house.udp(house.carol, pcp.PORT)
    server.send(bytes((1, 0x81, 0, ResultCode.UNSUPP_VERSION)) + bytes(20), socket.local)
    with pytest.raises(NegotiationError, match="speaks version 1 of PCP"):
        house.run(pcp.announce(socket, house.carol.ip, Random(1), SOON))


def test_9_a_nat_pmp_client_understands_a_gateway_with_pcp_only(home) -> None:
    house = home(services=("pcp",))
    answer = raw(house, house.alice, b"\0\0")
    assert answer[0] == wire.VERSION and int.from_bytes(answer[2:4], "big") == natpmp.ResultCode.UNSUPPORTED_VERSION


def test_9_both_speak_and_each_is_answered_in_its_own(home) -> None:
    house = home()
    assert [raw(house, house.alice, data)[0] for data in (b"\0\0", b"\2\0" + bytes(22), b"\1\0")] == [0, 2, 2]


def test_8_1_1_a_silent_server_is_asked_after_3_s_doubling_a_tenth_more_or_less(home) -> None:
    house = home(services=())
    with pytest.raises(UnreachableError, match="9 requests"):
        house.run(pcp.announce(house.udp(house.alice), GATEWAY, Random(1)), limit=5000.0)
    seen = house.journal.of(PacketSeen)
    sent = [event.time for event in seen if event.place == "alice" and event.verdict is Verdict.SENT]
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    for gap, nominal in zip(gaps, [3, 6, 12, 24, 48, 96, 192, 384], strict=True):
        assert gap == pytest.approx(nominal, rel=0.1) and gap != nominal


def test_8_3_forged_and_foreign_responses_are_discarded(home) -> None:
    house = home(services=())
    socket, forger = house.udp(house.alice, 4000), house.udp(house.carol, pcp.PORT)
    for data in (b"", b"\0", wire.encode_response(wire.Response(Opcode.ANNOUNCE, 0, 0, 1))):
        forger.send(data, socket.local)
    with pytest.raises(UnreachableError):
        house.run(pcp.announce(socket, GATEWAY, Random(1), SOON))


def test_7_4_a_result_code_of_the_future_is_an_error_too(home, monkeypatch) -> None:
    house = home()
    monkeypatch.setattr(pcp, "answer", lambda leases, data, source: wire.error_response(data, len(ResultCode), 30, 1))
    with pytest.raises(RefusedError, match="answers result code 14"):
        ask(house, house.alice, wish())


def test_8_3_an_answer_cut_short_is_none(home, monkeypatch) -> None:
    house = home()
    monkeypatch.setattr(pcp, "answer", lambda *_: b"\0\0\0")
    with pytest.raises(UnreachableError):
        ask(house, house.alice, wish(), timers=SOON)


def test_8_3_a_refusal_of_another_opcode_is_not_ours() -> None:
    request = Request(Opcode.MAP, 100, "192.168.1.2", wish())
    refusals = [wire.Response(opcode, ResultCode.UNSUPP_OPCODE, 1800, 1) for opcode in (Opcode.MAP, Opcode.ANNOUNCE)]
    assert [pcp._belongs(refusal, request) for refusal in refusals] == [True, False]


@pytest.mark.parametrize(
    ("before", "elapsed", "after", "lost"),
    [
        (100, 60.0, 160, False),
        (100, 0.0, 99, False),  # one second back is granted
        (100, 0.0, 98, True),
        (100, 160.0, 250, False),  # a sixteenth slow
        (100, 160.0, 247, True),
        (100, 150.0, 262, False),  # a sixteenth fast, and the two seconds
        (100, 150.0, 264, True),
    ],
)
def test_8_5_what_an_epoch_tells(before: int, elapsed: float, after: int, lost: bool) -> None:
    epoch = Epoch()
    assert not epoch.shows_loss(before, 7.0)
    assert epoch.shows_loss(after, 7.0 + elapsed) is lost
