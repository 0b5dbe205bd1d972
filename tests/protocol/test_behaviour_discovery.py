"""RFC 5780's discovery names what a NAT does, for every mapping and filtering, over UDP and over TCP."""

import asyncio
from contextlib import suppress
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import NatlabError, ProtocolError, RefusedError, UnreachableError
from natlab.nat import PRESETS, Behaviour, NatConfig
from natlab.protocol.behaviour_discovery import Recorder, discover_udp, hairpins, mapping_tests, survives_silence
from natlab.protocol.stun import Answer, Timers
from natlab.protocol.tcp_discovery import discover_tcp
from natlab.wire import stun
from natlab.wire.stun import Attribute, ChangeRequest, ErrorCode, Message, MessageClass

EI, AD, APD = Behaviour
DISCOVER = {"udp": discover_udp, "tcp": discover_tcp}
NINE = list(product(Behaviour, Behaviour))


def found(world, config=None, transport="udp", **link):
    server = world.serve()
    client = world.client(config, **link)
    return world.run(DISCOVER[transport](client, client.ip, server.endpoint, Random(1)))


def nat(mapping, filtering):
    return NatConfig(mapping=mapping, filtering=filtering, port_allocation="random")


@pytest.mark.parametrize("transport", DISCOVER)
@pytest.mark.parametrize(("mapping", "filtering"), NINE)
def test_it_names_the_mapping_and_the_filtering(stun_world, mapping, filtering, transport):
    discovery = found(stun_world, nat(mapping, filtering), transport)
    assert (discovery.mapping, discovery.filtering, discovery.natted) == (mapping, filtering, True)
    assert (discovery.transport, discovery.mangled) == (transport, False)


@pytest.mark.parametrize("transport", DISCOVER)
def test_without_a_nat(stun_world, transport):
    discovery = found(stun_world, None, transport)
    assert (discovery.natted, discovery.mapping, discovery.filtering) == (False, EI, EI)
    assert [probe.test for probe in discovery.probes] == ["mapping I", "filtering I", "filtering II"]


@pytest.mark.parametrize("transport", DISCOVER)
def test_behind_two_nats_the_stricter_word_counts(stun_world, transport):
    server = stun_world.serve()
    outer = stun_world.internet.nat("carrier", nat(APD, EI))
    inner = stun_world.internet.nat("home", nat(EI, APD), behind=outer)
    client = stun_world.internet.host("client", behind=inner)
    discovery = stun_world.run(DISCOVER[transport](client, client.ip, server.endpoint, Random(1)))
    assert (discovery.mapping, discovery.filtering) == (APD, APD)


@pytest.mark.parametrize("transport", DISCOVER)
def test_a_box_that_keeps_the_port_for_every_destination_is_endpoint_independent_in_effect(stun_world, transport):
    """RFC 4787 section 4.1 looks at the external endpoints, and these are one and the same as long as it is free."""
    config = NatConfig(mapping=APD, filtering=APD, port_allocation="preserving")
    assert found(stun_world, config, transport).mapping == EI


@pytest.mark.parametrize("unsolicited_syn", ["drop", "rst"])
def test_how_a_box_refuses_a_syn_does_not_change_the_verdict(stun_world, unsolicited_syn):
    config = NatConfig(filtering=AD, unsolicited_syn=unsolicited_syn)
    assert found(stun_world, config, "tcp").filtering == AD


def test_the_tests_in_the_order_of_the_rfc(stun_world):
    discovery = found(stun_world, nat(APD, APD))
    tests = [(probe.test, probe.section, str(probe.sent_to), str(probe.change)) for probe in discovery.probes]
    assert tests == [
        ("mapping I", "4.3", "11.0.0.1:3478", ""),
        ("mapping II", "4.3", "12.0.0.1:3478", ""),
        ("mapping III", "4.3", "12.0.0.1:3479", ""),
        ("filtering I", "4.4", "11.0.0.1:3478", ""),
        ("filtering II", "4.4", "11.0.0.1:3478", "change IP and port"),
        ("filtering III", "4.4", "11.0.0.1:3478", "change port"),
    ]
    answered = [probe.answered_from for probe in discovery.probes]
    assert answered == [*(probe.sent_to for probe in discovery.probes[:4]), None, None]
    assert len({probe.mapped for probe in discovery.probes[:3]}) == 3
    x, y = discovery.probes[0].local, discovery.probes[3].local
    assert [probe.local for probe in discovery.probes] == [x] * 3 + [y] * 3 and x != y


def test_two_silences_take_39_and_a_half_seconds_each(stun_world):
    found(stun_world, nat(EI, APD))
    assert stun_world.loop.time() == pytest.approx(2 * 39.5 + 3 * 0.04)


def test_lost_packets_do_not_change_the_verdict(stun_world):
    discovery = found(stun_world, None, loss=0.4)
    assert discovery.filtering == EI


@pytest.mark.parametrize("transport", DISCOVER)
def test_no_connectivity_is_an_error_and_no_verdict(stun_world, transport):
    client = stun_world.client()
    nobody = Endpoint(stun_world.first.ip, 3478)
    with pytest.raises(UnreachableError):
        stun_world.run(DISCOVER[transport](client, client.ip, nobody, Random(1)))


def test_a_server_with_one_address_cannot_be_used(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client()
    with pytest.raises(ProtocolError, match="no second address"):
        stun_world.run(discover_udp(client, client.ip, server.endpoint, Random(1)))


# ---- servers that are wrong, played by hand

HERE, A1, A2 = Endpoint("11.9.9.9", 5000), Endpoint("11.0.0.1", 3478), Endpoint("12.0.0.1", 3479)


def recorder(**fields):
    """A port whose server answers each question from where it was asked, with these attributes."""

    async def ask(server, change):
        return Answer(Message(MessageClass.SUCCESS_RESPONSE, bytes(12), xor_mapped_address=HERE, **fields), server)

    return Recorder(HERE, ask)


@pytest.mark.parametrize("other", [None, A1, A1._replace(port=9), A2._replace(port=A1.port)])
def test_an_other_address_that_is_none(other):
    with pytest.raises(ProtocolError, match="no second address"):
        asyncio.run(mapping_tests(recorder(other_address=other), A1))


def test_a_server_that_does_not_heed_change_request_proves_nothing():
    with pytest.raises(ProtocolError, match="change port"):
        asyncio.run(recorder().test("filtering III", "4.4", A1, ChangeRequest(port=True)))


@pytest.mark.parametrize(("plain", "mangled"), [(HERE, False), (None, False), (A2, True)])
def test_an_alg_shows(plain, mangled):
    """RFC 5780 section 3.6: it rewrites MAPPED-ADDRESS, and does not recognise XOR-MAPPED-ADDRESS."""
    record = recorder(mapped_address=plain, other_address=A2)
    asyncio.run(mapping_tests(record, A1))
    assert record.mangled == mangled


# ---- hairpinning, lifetime


def test_a_host_without_a_nat_reaches_itself_at_its_mapped_address(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client()
    assert stun_world.run(hairpins(client, client.ip, server.endpoint, Random(1)))


def test_a_box_that_does_not_hairpin(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client(NatConfig())
    assert not stun_world.run(hairpins(client, client.ip, server.endpoint, Random(1), Timers(0.1, 2, 2)))


@pytest.mark.parametrize("preset", ["home", "linux"])
@pytest.mark.parametrize(("more", "survives"), [(-1, True), (+1, False)])
def test_a_binding_lives_as_long_as_its_timer_says(stun_world, preset, more, survives):
    server = stun_world.serve(sites=1)
    client = stun_world.client(PRESETS[preset])
    silence = PRESETS[preset].udp_unanswered_timeout + more
    asked = survives_silence(client, client.ip, server.endpoint, silence, Random(1))
    assert stun_world.run(asked) == survives


def test_a_server_that_does_not_know_response_port_says_so(stun_world, monkeypatch):
    server = stun_world.serve(sites=1)
    client = stun_world.client()
    monkeypatch.setattr("natlab.wire.stun._KNOWN", frozenset(Attribute) - {Attribute.RESPONSE_PORT})
    with pytest.raises(RefusedError, match="420"):
        stun_world.run(survives_silence(client, client.ip, server.endpoint, 1.0, Random(1)))


# ---- servers that say anything


class Liar:
    """A STUN server, and its second port, whose answers are true, false, garbled, doubled or none."""

    def __init__(self, world, rng):
        self.host, self.rng, self.spawn = world.first, rng, world.loop.create_task

    async def start(self):
        self.ports = [await self.host.bind_udp(Endpoint(self.host.ip, port)) for port in (3478, 3479)]
        for socket in self.ports:
            self.spawn(self.datagrams(socket))
        listener = await self.host.listen_tcp(self.ports[0].local)
        self.spawn(self.connections(listener))
        return listener.local

    async def datagrams(self, socket):
        while True:
            data, source = await socket.receive()
            for _ in range(self.rng.choice([0, 1, 1, 2])):
                self.rng.choice(self.ports).send(self.answer(data, source), source)

    async def connections(self, listener):
        while True:
            self.spawn(self.connection(await listener.accept()))

    async def connection(self, connection):
        with suppress(NatlabError):
            while data := await connection.read():
                answer, size = self.answer(data, connection.remote), self.rng.choice([1, 7, 2048])
                for at in range(0, len(answer), size):
                    await connection.write(answer[at : at + size])
                if self.rng.random() < 0.2:
                    connection.reset()

    def answer(self, data, source):
        rng = self.rng
        seen, other = rng.choice([source, A1, A2, None]), rng.choice([A2, A2, A1, HERE, None])
        kind = rng.choice([*MessageClass, MessageClass.SUCCESS_RESPONSE])
        error = ErrorCode(rng.choice([300, 420, 447])) if kind is MessageClass.ERROR_RESPONSE else None
        message = Message(kind, data[8:20], xor_mapped_address=seen, other_address=other, error=error)
        true = stun.encode(message)
        at = rng.randrange(len(true))
        return rng.choice(
            [true, true, true[:at], true[:at] + rng.randbytes(1) + true[at + 1 :], rng.randbytes(40), data]
        )


@pytest.mark.parametrize("transport", DISCOVER)
def test_whatever_a_server_says_it_is_a_discovery_or_our_error(stun_world, transport):
    @given(st.integers(0, 2**32))
    def story(seed):
        world = type(stun_world)()
        client = world.client(nat(EI, AD) if seed % 2 else None)

        async def main():
            server = await Liar(world, Random(seed)).start()
            with suppress(NatlabError):
                discovery = await DISCOVER[transport](client, client.ip, server, Random(1), Timers(0.1, 2, 2))
                assert discovery.probes and all(probe.mapped for probe in discovery.probes if probe.answered_from)

        world.run(main(), limit=600.0)
        world.loop.close()

    story()
