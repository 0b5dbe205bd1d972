"""Whatever packets come, in whatever order, to a box of whatever kind: it has an answer, and its table adds up.

At a TUN device the packets are strangers': pings, errors that quote anything, pieces, ports 0, flags that nobody sends.
"""

from __future__ import annotations

import random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal, MappingCreated, MappingEnded
from natlab.nat import Drop, Hairpinned, NatBox, NatConfig
from natlab.nat.config import _CHOICES, _SWITCHES
from natlab.packet import Icmp, IcmpKind, IPProtocol, Packet, echo_reply, echo_request
from natlab.wire.fragments import cut

UDP, TCP, ICMP = IPProtocol.UDP, IPProtocol.TCP, IPProtocol.ICMP
SECOND = 1_000_000_000
INSIDE, OUTSIDE, OWN = ("192.168.1.2", "192.168.1.3"), ("12.0.0.1", "13.0.0.1"), ("11.0.0.1", "11.0.0.2")
PORTS = (0, 1, 9, 5000, 5001, 65535)
NUMBERS = {
    "port_range": [None, (1, 1), (5000, 5003)],
    "port_block": [None, 1, 2],
    "external_addresses": [1, 2],
    "udp_unanswered_timeout": [30, 120],
    "udp_stream_after": [0, 2],
    "quarantine": [0, 5],
    "mappings_per_host": [None, 2],
    "session_limit": [3, 100],
}


def any_config(rng: random.Random) -> NatConfig:
    """Some axes at random; those that contradict each other are drawn again."""
    choices = {axis: list(kind) for axis, kind in _CHOICES.items()} | {axis: [False, True] for axis in _SWITCHES}
    choices |= NUMBERS
    while True:
        axes = rng.sample(sorted(choices), rng.randrange(len(choices)))
        try:
            return NatConfig(**{axis: rng.choice(choices[axis]) for axis in axes})  # type: ignore[arg-type]
        except ValueError:
            continue


class Story:
    """A box, and packets through it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.journal = Journal()
        config = any_config(self.rng)
        ips = OWN[: config.external_addresses]
        self.box = NatBox("box", config, ips[0], self.rng, self.journal, ips[1:], "192.168.1.1")
        self.now = 0
        self.sent: list[Packet] = []  # as they left

    def end(self, ips: tuple[str, ...]) -> Endpoint:
        return Endpoint(self.rng.choice(ips), self.rng.choice(PORTS))

    def packet(self, sources: tuple[str, ...], destinations: tuple[str, ...]) -> Packet:
        source, destination, rng = self.end(sources), self.end(destinations), self.rng
        if sources != INSIDE and self.sent and rng.random() < 0.5:  # an answer, or something about what was sent
            destination, source = self.rng.choice(self.sent)[1:3]
        payload = bytes(rng.choice([0, 5, 1300]))
        match rng.randrange(6):
            case 0:
                return echo_request(source, destination.ip, 1, payload)._replace(df=False)
            case 1:
                return echo_reply(echo_request(destination, source.ip, 1))
            case 2:
                about = rng.choice(self.sent or [Packet(TCP, destination, source)])
                error = Icmp(rng.choice([IcmpKind.PORT_UNREACHABLE, IcmpKind.TOO_BIG]), about._replace(icmp=None))
                return Packet(ICMP, source._replace(port=0), destination._replace(port=0), icmp=error)
            case 3 | 4:
                numbers = (rng.choice([0, 1, 2**32 - 1]) for _ in range(2))
                return Packet(TCP, source, destination, payload, rng.choice([0, 1, 2, 2, 4, 16, 18, 255]), *numbers)
            case _:
                return Packet(UDP, source, destination, payload, df=False)

    def step(self) -> None:
        rng, translates = self.rng, self.box.config.translates
        self.now += rng.choice([0, 0, 1000, SECOND, 31 * SECOND, 300 * SECOND])
        if rng.random() < 0.05:
            self.forward()
        is_outbound = rng.random() < 0.5
        ends = (INSIDE, OUTSIDE + OWN) if is_outbound else (OUTSIDE + OWN, OWN if translates else INSIDE)
        whole = self.packet(*ends)
        pieces = list(cut(whole, 600, rng.randrange(3))) if len(whole.payload) > 600 and not whole.df else [whole]
        for piece in rng.sample(pieces, len(pieces)):
            result = (self.box.outbound if is_outbound else self.box.inbound)(piece, self.now)
            if isinstance(result, Drop):
                assert result.reason
            elif isinstance(result, Hairpinned):
                assert result.packet.destination.ip in INSIDE
            elif is_outbound:
                leaks = self.box.config.icmp_errors_leak and piece.quoted is not None
                assert result.source.ip in (OWN if translates else INSIDE) or leaks
                self.sent.append(result)

    def forward(self) -> None:
        external = self.end(OWN if self.box.config.translates else INSIDE)
        try:
            self.box.forward(UDP, external, self.end(INSIDE), self.now, self.now + self.rng.choice([1, 100]) * SECOND)
        except LabError:
            self.box.unforward(UDP, external, self.now)

    def check(self) -> None:
        """Each index holds what the others do, and a mapping lives as long as its sessions or its forward."""
        table = self.box._table
        assert len(table.outward) == len(table.inward) == sum(map(len, table._spoken_to.values()))
        assert len(table.outward) <= self.box.config.session_limit
        assert set(table.outward.values()) == {one for mapping in table.mappings.values() for one in mapping.sessions}
        for mapping in table.mappings.values():
            ends = [session.expires for session in mapping.sessions]
            assert mapping.expires <= self.now or self.now < max([mapping.open_until, *ends]) <= mapping.expires


@pytest.mark.parametrize("seed", range(60))
def test_any_packet_has_an_answer_and_the_table_adds_up(seed: int) -> None:
    story = Story(seed)
    for _ in range(100):
        story.step()
        story.check()
    story.box.expire(10**6 * SECOND)
    assert not any(value for value in vars(story.box._table).values() if isinstance(value, dict))
    ended = [event.mapping for event in story.journal.of(MappingEnded)]
    assert sorted(ended) == [event.mapping for event in story.journal.of(MappingCreated)]
