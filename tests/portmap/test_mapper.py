"""Keeping a port open, whatever the gateway speaks, and whatever becomes of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import LabError, NatlabError, ProtocolError, RefusedError, UnreachableError
from natlab.packet import IPProtocol
from natlab.portmap import PortMapper, Service, igd_gateway, natpmp, pcp, ssdp
from natlab.portmap.http import respond, serve
from natlab.wire.natpmp import AddressResponse

TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
ALL = ("nat-pmp", "pcp", "upnp")


def mapper(house, host=None, services=None) -> PortMapper:
    host = host or house.alice
    more = () if services is None else (services,)
    return PortMapper(host, host.ip, host.gateway(), Random(3), *more)


def opened(house, **wish):
    return house.run(mapper(house).open(UDP, 4001, **wish))


@pytest.mark.parametrize(
    ("services", "service", "within"),
    [
        (ALL, "pcp", 0.01),
        (("pcp",), "pcp", 0.01),
        (("nat-pmp",), "nat-pmp", 0.01),  # it says at once that it speaks no PCP
        (("upnp",), "upnp", 7.6),  # twice 3.75 s of silence first
    ],
)
def test_what_the_gateway_speaks_is_found(home, services, service: str, within: float) -> None:
    house = home(services=services)
    socket = house.udp(house.alice, 4001)
    mapping = opened(house)
    assert mapping.service == service and house.loop.time() < within
    assert mapping.external == Endpoint(house.router.external_ip, 4001) and mapping.looks_public
    assert house.gets_through(mapping.external, socket)
    assert repr(mapping).endswith(f"by {service}, for {mapping.lifetime} s>")


@pytest.mark.parametrize("services", [*[(service,) for service in ALL]])
def test_it_stays_open_for_a_day_and_ends_with_close(home, services) -> None:
    house = home(services=services)
    socket, mapping = house.udp(house.alice, 4001), opened(house, lifetime=1000)
    house.loop.advance(86_400.0)
    assert house.gets_through(mapping.external, socket)
    assert 86_400 / 625 - 1 <= mapping.renewals <= 86_400 / 500 and mapping.trouble is None
    house.run(mapping.close())
    house.run(mapping.close())
    assert list(house.leases) == []


@pytest.mark.parametrize("services", [(service,) for service in ALL])
def test_a_taken_port_means_another_one(home, services) -> None:
    house = home(services=services)
    house.run(mapper(house, house.carol).open(UDP, 4001))
    mapping = opened(house)
    assert mapping.external.port != 4001
    assert house.leases.at(UDP, mapping.external.port).internal == mapping.internal


def test_igd_1_takes_another_port_itself_and_does_without_leases_that_end(home) -> None:
    house = home(services=("upnp",), igd=1, permanent_only=True)
    house.run(mapper(house, house.carol).open(UDP, 4001))
    mapping = opened(house, lifetime=100)
    lease = house.leases.at(UDP, mapping.external.port)
    assert mapping.external.port != 4001 and lease.seconds(house.loop.now_ns) == 0
    assert mapping.lifetime == 100  # it is looked after all the same: a reboot ends it
    house.loop.advance(1000.0)
    assert mapping.renewals > 10 and mapping.external.port == lease.external.port


@pytest.mark.parametrize("service", ["pcp", "nat-pmp"])
def test_a_reboot_is_heard_and_mended_within_seconds(home, service: str) -> None:
    house = home(services=(service,))
    socket, mapping = house.udp(house.alice, 4001), opened(house)
    house.loop.advance(100.0)
    house.router.reboot()
    assert not house.gets_through(mapping.external, socket, from_port=8)
    house.loop.advance(6.0)
    assert house.gets_through(mapping.external, socket, from_port=9)


def test_upnp_has_no_epoch_so_a_reboot_goes_unnoticed_until_the_next_renewal(home) -> None:
    house = home(services=("upnp",))
    socket, mapping = house.udp(house.alice, 4001), opened(house, lifetime=1000)
    house.loop.advance(10.0)
    house.router.reboot()
    house.loop.advance(400.0)
    assert not house.gets_through(mapping.external, socket, from_port=8)
    house.loop.advance(250.0)
    assert house.gets_through(mapping.external, socket, from_port=9)


def test_the_epoch_in_one_answer_mends_all_mappings(home) -> None:
    """The announcements are lost; the next answer tells."""
    house = home(services=("pcp",))
    keeper = mapper(house)
    first, second = (house.run(keeper.open(UDP, port, lifetime=4000)) for port in (4001, 4002))
    house.loop.advance(1000.0)
    house.box.reboot(house.loop.now_ns)
    house.loop.advance(10.0)
    assert list(house.leases) == []
    third = house.run(keeper.open(UDP, 4003))
    house.loop.advance(6.0)
    assert {lease.internal for lease in house.leases} == {first.internal, second.internal, third.internal}


def test_a_gateway_that_is_gone_for_a_while_is_asked_until_it_is_back(home) -> None:
    house = home(services=("nat-pmp",))
    mapping = opened(house, lifetime=200)
    house.internet.partition("alice")
    house.loop.advance(1000.0)
    assert isinstance(mapping.trouble, UnreachableError) and list(house.leases) == []
    house.internet.heal("alice")
    house.loop.advance(30.0)
    assert mapping.trouble is None and house.leases.of(UDP, mapping.internal) is not None


def test_nobody_gives_out_ports(home) -> None:
    house = home(services=())
    with pytest.raises(UnreachableError, match="gave out no port") as error:
        opened(house)
    assert [name for name, _ in error.value.attempts] == ["pcp", "nat-pmp", "upnp"]
    assert all(isinstance(cause, UnreachableError) for _, cause in error.value.attempts)


def test_a_refusal_is_tried_with_every_protocol_and_told(home) -> None:
    house = home(refuses=True)
    with pytest.raises(UnreachableError) as error:
        opened(house)
    assert [(name, cause.status) for name, cause in error.value.attempts if isinstance(cause, RefusedError)] == [
        ("pcp", 2),
        ("nat-pmp", 2),
        ("upnp", 606),
    ]


@pytest.mark.parametrize("service", ALL)
def test_a_lying_router_is_recognised_by_its_private_address(home, service: str) -> None:
    house = home(services=(service,), reports="10.1.2.3")
    mapping = opened(house)
    assert mapping.external == Endpoint("10.1.2.3", 4001) and not mapping.looks_public


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ((0,), "which port"),
        ((70_000,), "from 0 to 65535, not 70000"),
        ((4001, -1), "from 0 to 65535, not -1"),
        ((4001, 0, 0), "a lease lasts a whole number of seconds, more than 0, not 0"),
        ((4001, 0, 2**32), "not 4294967296"),
        ((4001, 0, 1.5), "not 1.5"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_here(home, wish, words: str) -> None:
    house = home()
    with pytest.raises(ValueError, match=words):
        house.run(mapper(house).open(UDP, *wish))


async def external_address(*_: object) -> AddressResponse:
    return AddressResponse(0, 0, "11.0.0.1")


def test_a_gateway_that_gives_out_port_0_gives_none(home, monkeypatch) -> None:
    house = home(services=("nat-pmp",))
    header = bytes((0, 128 | 1)) + bytes(6)  # success, to MAP UDP
    monkeypatch.setattr(natpmp, "answer", lambda leases, data, source: header + data[4:6] + bytes(6))
    monkeypatch.setattr(natpmp, "external_address", external_address)
    with pytest.raises(UnreachableError) as error:
        house.run(mapper(house, services=(Service.NAT_PMP,)).open(UDP, 4001))
    assert isinstance(error.value.attempts[0][1], ProtocolError)


def test_igd_1_a_port_that_was_not_had_is_not_told(home) -> None:
    """Its lease is lost, and everybody's port is taken: what the mapping says is what it had last."""
    house = home(services=("upnp",), igd=1, leases=1)
    mapping = opened(house, lifetime=1000)
    house.router.reboot()
    house.run(mapper(house, house.carol).open(UDP, 4001))
    house.loop.advance(700.0)
    assert isinstance(mapping.trouble, RefusedError) and mapping.external.port == 4001


def test_a_crash_leaves_the_lease_to_run_out(home) -> None:
    house = home()
    keeper = mapper(house)
    house.run(keeper.open(UDP, 4001, lifetime=300))
    keeper.abandon()
    house.loop.advance(299.0)
    assert len(list(house.leases)) == 1 and keeper.mappings == [] and not house.alice._udp._sockets
    house.loop.advance(2.0)
    assert list(house.leases) == []


def test_a_lab_used_in_the_wrong_loop_is_no_gateways_refusal(home) -> None:
    with pytest.raises(LabError, match=r"lab\.run"):
        asyncio.run(mapper(home(services=ALL)).open(UDP, 4001))


def test_only_the_protocols_asked_for_are_tried(home) -> None:
    house = home()
    keeper = mapper(house, services=(Service.UPNP,))
    assert house.run(keeper.open(UDP, 4001)).service is Service.UPNP
    assert house.loop.time() < 0.1
    house.run(keeper.close())
    assert keeper.mappings == [] and list(house.leases) == []


@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_open_is_not_opened_again(home, at_once: bool) -> None:
    house = home()
    keeper = mapper(house)

    async def twice():
        if at_once:
            return await asyncio.gather(*(keeper.open(UDP, 4001) for _ in range(2)))
        return [await keeper.open(UDP, 4001) for _ in range(2)]

    first, second = house.run(twice())
    assert first is second and len(keeper.mappings) == len(list(house.leases)) == 1


def test_mappings_of_one_computer_are_asked_for_one_at_a_time(home) -> None:
    house = home()
    keeper = mapper(house)

    async def both():
        return await asyncio.gather(*(keeper.open(protocol, 4001) for protocol in (TCP, UDP)))

    assert {mapping.external.port for mapping in house.run(both())} == {4001}
    assert len(keeper.mappings) == 2


WORDS = [b"", b"0", b"4001", b"65536", b"-1", b"\xc2\xb2", b"::1", b"12.0.0.1", b"718", b"725", b"9" * 500, b"//evil/"]
END = b"\r\n\r\n"
TEXTS = re.compile(rb"(?<=>)[^<>]+(?=<)")


class Liar:
    """A gateway that says what a good one would, changed, and as often as it likes."""

    def __init__(self, house, rng: Random) -> None:
        self.house, self.rng = house, rng
        self.device = igd_gateway.Device(house.gateway.ip, house.leases)

    async def start(self) -> None:
        at, host = self.house.gateway.ip, self.house.gateway._network
        self.questions = questions = await host.bind_udp(Endpoint(at, natpmp.PORT))
        searches, mouth = await host.bind_udp(ssdp.GROUP), await host.bind_udp(Endpoint(at, 0))
        spawn = self.house.loop.create_task
        spawn(self.answer(questions, questions, self.answer_question))
        spawn(self.answer(searches, mouth, lambda data, _: self.device.answer_search(data)))
        listener = await host.listen_tcp(Endpoint(at, igd_gateway.PORT))
        spawn(serve(listener, lambda *request: self.changed(self.device.answer_http(*request))))

    def answer_question(self, data: bytes, source: Endpoint) -> bytes | None:
        return (natpmp if data[:1] == b"\0" else pcp).answer(self.house.leases, data, source)

    def announce(self) -> None:
        self.questions.send(self.changed(natpmp.announcement(self.house.leases)), natpmp.ANNOUNCEMENTS)
        self.questions.send(self.changed(pcp.announcement(self.house.leases)), pcp.ANNOUNCEMENTS)

    async def answer(self, socket, mouth, answer) -> None:
        while True:
            data, source = await socket.receive()
            for _ in range(self.rng.choice([1, 1, 0, 3])):
                if (good := answer(data, source)) is not None:
                    mouth.send(self.changed(good), source)

    def changed(self, good: bytes) -> bytes:
        """As it is; with another text somewhere in its XML; or with other bytes."""
        rng, texts = self.rng, list(TEXTS.finditer(good))
        match rng.choice(["good", "good", "text", "bytes"]):
            case "text" if texts:
                one = rng.choice(texts)
                return respond(
                    "200 OK", (good[: one.start()] + rng.choice(WORDS) + good[one.end() :]).partition(END)[2]
                )
            case "text" | "bytes":
                at = rng.randrange(len(good))
                new = rng.choice(
                    [b"", bytes(2) + good[at + 2 :], rng.randbytes(1) + good[at + 1 :], rng.randbytes(4) + good[at:]]
                )
                return good[:at] + new
        return good


@pytest.mark.parametrize("service", Service)
def test_whatever_a_gateway_says_a_mapping_is_kept_or_it_is_our_error(home, service) -> None:
    @given(st.integers(0, 2**32))
    def story(seed: int) -> None:
        house, rng = home(services=()), Random(seed)
        liar, alice = Liar(house, rng), mapper(house, services=(service,))

        async def main() -> None:
            await liar.start()
            with suppress(NatlabError):
                mapping = await alice.open(UDP, 4001, lifetime=rng.choice([20, 60, 2**32 - 1]))
                await asyncio.sleep(20.0)
                liar.announce()
                await asyncio.sleep(20.0)
                assert 0 < mapping.external.port < 65536 and repr(mapping)
                assert not any(task.done() for task in (*alice._keepers.values(), alice._ear))
                await mapping.close()
            alice.abandon()

        house.run(main())
        house.loop.close()

    story()
