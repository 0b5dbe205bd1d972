"""What holds for every NAT box and every run of packets (hypothesis), whatever its configuration.

A script of moves is played through a box: packets from inside to remotes and to the box's own endpoints (hairpinning),
packets from outside to the endpoints seen so far, port forwards. Beside the box runs `Naive`, a model of filtering that
is a list and a look through all of it; it shares no code with the box.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product

from hypothesis import event, given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal, MappingCreated, MappingEnded
from natlab.nat import (
    Behaviour,
    Drop,
    Hairpinned,
    Hairpinning,
    NatBox,
    NatConfig,
    Pooling,
    PortAllocation,
    UdpRefresh,
    UnsolicitedSyn,
)
from natlab.netns.readdress import readdress
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, icmp_error
from natlab.wire import ip

SYN = int(Flag.SYN)
SECOND = 1_000_000_000
BOX = ["11.0.0.1", "11.0.0.2", "11.0.0.3"]
HOSTS = [Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.2", 4002), Endpoint("192.168.1.8", 4001)]
REMOTES = [Endpoint("12.0.0.1", 9000), Endpoint("12.0.0.1", 9001), Endpoint("13.0.0.1", 9000)]
SHORT, TIMEOUT, QUARANTINE = 20, 40, 10  # seconds
PROTOCOLS = st.sampled_from([IPProtocol.UDP, IPProtocol.TCP])
LIMITS = ("limit", "ports", "no room")  # how the reasons begin for which a box that has run out may drop
SHARED = {*PortAllocation} - {PortAllocation.SEQUENTIAL, PortAllocation.RANDOM}  # by mappings of one host at least


@st.composite
def configs(draw: st.DrawFn) -> NatConfig:
    """Any axes that do not contradict each other; all timers from `SHORT` to `TIMEOUT`."""
    config = NatConfig(
        filtering=draw(st.sampled_from(Behaviour)),
        udp_timeout=TIMEOUT,
        udp_unanswered_timeout=draw(st.sampled_from([TIMEOUT, SHORT])),
        udp_stream_after=draw(st.sampled_from([0, 5])),
        udp_refresh=draw(st.sampled_from(UdpRefresh)),
        tcp_established_timeout=TIMEOUT,
        tcp_transitory_timeout=draw(st.sampled_from([TIMEOUT, SHORT])),
        unsolicited_syn=draw(st.sampled_from(UnsolicitedSyn)),
        quarantine=draw(st.sampled_from([0, 0, QUARANTINE])),
        mappings_per_host=draw(st.sampled_from([None, None, 2])),
        session_limit=draw(st.sampled_from([32_768, 32_768, 4])),
    )
    return draw(translating(config)) if draw(st.integers(0, 4)) else replace(config, translates=False)


@st.composite
def translating(draw: st.DrawFn, config: NatConfig) -> NatConfig:
    allocation = draw(st.sampled_from(PortAllocation))
    pooling = draw(st.sampled_from(Pooling))
    overlaps = allocation is PortAllocation.OVERLAPPING
    return replace(
        config,
        mapping=Behaviour.ADDRESS_AND_PORT_DEPENDENT if overlaps else draw(st.sampled_from(Behaviour)),
        port_allocation=allocation,
        port_stride=draw(st.integers(1, 3)) if allocation is PortAllocation.SEQUENTIAL else 1,
        port_parity=draw(st.sampled_from([False, False, True])),
        port_range=draw(st.sampled_from([None, (4000, 4015)])),
        port_block=draw(st.sampled_from([None, None, 4])) if pooling is Pooling.PAIRED else None,
        external_addresses=draw(st.sampled_from([1, 1, len(BOX)])),
        pooling=pooling,
        hairpinning=draw(st.sampled_from([*Hairpinning, Hairpinning.EXTERNAL_SOURCE])),
        strays_take_ports=overlaps and draw(st.booleans()),
    )


@dataclass(frozen=True)
class Move:
    """After a wait: a packet "out" from a host to a remote or "back in" to an endpoint of the box (hairpinning), a
    packet "in" from a remote, or a port "forward". An endpoint of the box is one of those seen so far.
    """

    wait: int
    kind: str
    host: Endpoint
    remote: Endpoint
    target: int
    flags: int


FLAGS = [int(f) for f in [Flag.SYN] * 4 + [Flag.SYN | Flag.ACK, Flag.ACK, Flag.FIN, Flag.RST]]
WAITS = [0, 0, 0, 1, 10, SHORT]  # sums reach the timers, and end just before and after them
KINDS = ["out", "out", "out", "out", "in", "in", "in", "back in", "back in", "forward"]
MOVES = [Move(*each) for each in product(WAITS, KINDS, HOSTS, REMOTES, range(6), FLAGS)]  # one draw each, not six
moves = st.lists(st.sampled_from(MOVES), min_size=10, max_size=30)
hosts, remotes = st.sampled_from(HOSTS), st.sampled_from(REMOTES)


@dataclass(frozen=True)
class Step:
    """What the box did with one packet, at a time in seconds.

    Attributes:
        kind: "out", "in", or of a hairpinned packet "back in" and then, if it was delivered, "turned".
        result: as the box returned it; a hairpinned packet without its wrapping.
        external: the endpoint of the box through which it went; None if it did not go through, or nobody outside saw.
    """

    at: int
    kind: str
    before: Packet
    result: Packet | Drop
    external: Endpoint | None

    @property
    def after(self) -> Packet:
        assert isinstance(self.result, Packet)
        return self.result

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """The endpoint inside, and the remote one."""
        if self.kind in ("in", "turned"):
            return self.after.destination, self.before.source
        return self.before.source, self.before.destination

    def may_be_at(self, external: Endpoint) -> bool:
        """Whether it may have gone through this endpoint. A hairpinned packet's own endpoint shows to nobody."""
        return self.external == external or self.kind == "back in"


@dataclass(frozen=True)
class Forward:
    """A port forward that the box has made."""

    at: int
    external: Endpoint
    internal: Endpoint
    until: int


class Player:
    """Plays moves through a new box."""

    def __init__(self, config: NatConfig, protocol: IPProtocol, journal: Journal | None = None) -> None:
        self.journal = Journal() if journal is None else journal
        more = BOX[1 : config.external_addresses]
        self.box = NatBox("box", config, BOX[0], random.Random(1), self.journal, more)
        self.protocol = protocol
        self.now = 0
        self.seen: list[Endpoint] = []
        self.done: list[Step | Forward] = []

    def play(self, script: list[Move]) -> Player:
        for move in script:
            self.now += move.wait
            external = self.seen[move.target % len(self.seen)] if self.seen else Endpoint(BOX[0], 4001)
            match move.kind:
                case "out":
                    self.outbound(Packet(self.protocol, move.host, move.remote, flags=move.flags))
                case "back in":
                    self.outbound(Packet(self.protocol, move.host, external, flags=move.flags))
                case "in":
                    self.inbound(Packet(self.protocol, move.remote, external, flags=move.flags))
                case "forward":
                    self.forward(Endpoint(external.ip, move.remote.port), move.host)
        return self

    def outbound(self, packet: Packet) -> Packet | Drop:
        result = self.box.outbound(packet, self.now * SECOND)
        is_hairpin = isinstance(result, Hairpinned)
        kind = "back in" if is_hairpin or packet.destination.ip in self.own_ips else "out"
        packet_out = result.packet if isinstance(result, Hairpinned) else result
        external = None
        if kind == "out" and isinstance(packet_out, Packet):
            external = packet_out.source
            self.seen.append(external)
        self.done.append(Step(self.now, kind, packet, packet_out, external))
        if isinstance(result, Hairpinned):
            arrived = packet._replace(source=Endpoint(packet.destination.ip, 0))  # from a port that shows to nobody
            self.done.append(Step(self.now, "turned", arrived, result.packet, packet.destination))
        return packet_out

    def inbound(self, packet: Packet) -> Packet | Drop:
        result = self.box.inbound(packet, self.now * SECOND)
        external = packet.destination if isinstance(result, Packet) else None
        self.done.append(Step(self.now, "in", packet, result, external))
        return result

    def forward(self, external: Endpoint, internal: Endpoint) -> None:
        if not self.box.config.translates:
            external = internal
        until = self.now + SHORT
        try:
            self.box.forward(self.protocol, external, internal, self.now * SECOND, until * SECOND)
        except LabError:
            return  # somebody has it
        self.seen.append(external)
        self.done.append(Forward(self.now, external, internal, until))

    @property
    def own_ips(self) -> tuple[str, ...]:
        return self.box.external_ips if self.box.config.translates else ()

    def steps(self, *kinds: str) -> list[Step]:
        return [step for step in self.done if isinstance(step, Step) and step.kind in kinds]

    def passed(self, *kinds: str) -> list[Step]:
        return [step for step in self.steps(*kinds) if isinstance(step.result, Packet)]


# ---- mapping


@given(configs(), PROTOCOLS, moves)
def test_no_two_internal_endpoints_hold_one_external_endpoint_at_a_time_unless_it_is_overloaded(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    """Where ports overlap (RFC 7857 section 3), what is held is an external endpoint towards one remote."""
    player = Player(config, protocol).play(script)
    player.box.expire(10**6 * SECOND)
    ended = {event.mapping: event.time for event in player.journal.of(MappingEnded)}
    lives = player.journal.of(MappingCreated)
    overlaps = config.port_allocation is PortAllocation.OVERLAPPING
    for number, one in enumerate(lives):
        for later in lives[number + 1 :]:
            is_same = one.external == later.external and (one.remote == later.remote or not overlaps)
            if is_same and later.time < ended[one.mapping]:
                assert one.internal == later.internal or config.port_allocation is PortAllocation.OVERLOADING


def same(behaviour: Behaviour, one: Endpoint, other: Endpoint) -> bool:
    """Whether RFC 4787's behaviours take two remotes for one."""
    match behaviour:
        case Behaviour.ENDPOINT_INDEPENDENT:
            return True
        case Behaviour.ADDRESS_DEPENDENT:
            return one.ip == other.ip
        case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            return one == other


@given(configs(), PROTOCOLS, moves)
def test_a_mapping_is_used_again_while_it_lives_and_another_remote_gets_another(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    """RFC 4787 section 4.1. Only a port forward, or the endpoint by which the remote came in, may stand in for it."""
    player = Player(config, protocol).play(script)
    forwarded = {(done.internal, done.external) for done in player.done if isinstance(done, Forward)}
    came_in = {(step.after.destination, step.external, step.before.source) for step in player.passed("in")}
    outbound = player.passed("out")
    for number, one in enumerate(outbound):
        for later in outbound[number + 1 :]:
            host, remotes = later.before.source, (one.before.destination, later.before.destination)
            stands_in = [(host, later.external) in forwarded, (host, later.external, remotes[1]) in came_in]
            stands_in += [(host, one.external, remotes[0]) in came_in, (host, one.external) in forwarded]
            if one.before.source != host or later.at - one.at >= SHORT or any(stands_in):
                continue
            if not same(config.mapping, *remotes):
                assert one.external != later.external or config.port_allocation in SHARED or not config.translates
            elif protocol == IPProtocol.TCP or config.udp_refresh is not UdpRefresh.INBOUND:
                assert one.external == later.external


# ---- filtering


@dataclass(frozen=True)
class Naive:
    """Who is let in: a list of all that has passed, and a look through all of it."""

    filtering: Behaviour
    done: list[Step | Forward]

    def admitted(
        self, remote: Endpoint, external: Endpoint, now: int, timeout: int, refresh: set[str]
    ) -> set[Endpoint]:
        """The hosts inside that `remote` may reach at `external`, if packets of these kinds keep it open so long."""
        hosts = set()
        for done in self.done:
            if isinstance(done, Forward):
                if done.external == external and now < done.until:
                    hosts.add(done.internal)
            elif done.kind in refresh and done.may_be_at(external) and now < done.at + timeout:
                inside, outside = done.ends
                if same(self.filtering, outside, remote):
                    hosts.add(inside)
        return hosts


@given(configs(), PROTOCOLS, moves)
def test_what_filtering_refuses_does_not_pass_and_what_it_admits_does(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    """At most: whatever may keep the door open does, for the longest timer. At least: what must, for the shortest."""
    player = Player(config, protocol).play(script)
    most, least = {"out", "back in", "in", "turned"}, {"out"}
    if protocol == IPProtocol.UDP:
        most -= {"in", "turned"} if config.udp_refresh is UdpRefresh.OUTBOUND else set()
        least = {"in"} if config.udp_refresh is UdpRefresh.INBOUND else {"out"}
    shut_out: dict[str, int] = {}
    for number, step in enumerate(player.done):
        if isinstance(step, Forward) or step.kind != "in":
            continue
        model = Naive(config.filtering, player.done[:number])
        way = step.before.source, step.before.destination, step.at
        is_shut_out = step.at < shut_out.get(step.before.source.ip, 0)
        if isinstance(step.result, Packet):
            assert step.after.destination in model.admitted(*way, TIMEOUT, most) and not is_shut_out
            event("let in")
        elif not is_shut_out and not step.result.reason.startswith(LIMITS):
            assert not model.admitted(*way, SHORT, least)
            shut_out[step.before.source.ip] = step.at + int(config.quarantine)
            event("refused")


@given(configs(), PROTOCOLS, moves, remotes)
def test_what_is_over_passes_nothing(
    config: NatConfig, protocol: IPProtocol, script: list[Move], remote: Endpoint
) -> None:
    player = Player(config, protocol).play(script)
    player.now += TIMEOUT
    for external in player.seen:
        assert isinstance(player.inbound(Packet(protocol, remote, external, flags=SYN)), Drop)


# ---- translation


@given(configs(), PROTOCOLS, moves, hosts, remotes)
def test_translation_inverts(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, remote: Endpoint
) -> None:
    player = Player(config, protocol).play(script)
    player.now += QUARANTINE  # nobody is in quarantine any more
    out = player.outbound(Packet(protocol, host, remote, flags=SYN))
    if isinstance(out, Drop):
        assert out.reason.startswith(LIMITS)
        return
    assert out.source.ip in BOX[: config.external_addresses] or (not config.translates and out.source == host)
    back = player.inbound(Packet(protocol, out.destination, out.source))
    assert isinstance(back, Packet)
    assert (back.source, back.destination) == (remote, host)


@given(configs(), PROTOCOLS, moves, hosts, st.integers(0, 5))
def test_what_is_for_the_box_itself_never_leaves_it_and_can_be_answered(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, target: int
) -> None:
    """RFC 4787 REQ-9: it comes from the sender's external endpoint, so the answer goes back through the box too.

    Nobody is in quarantine who is behind the box: its own addresses are no strangers.
    """
    player = Player(config, protocol).play([*script, Move(0, "back in", host, host, target, SYN)])
    assert all(step.after.destination.ip not in player.own_ips for step in player.passed("out"))
    for step in player.passed("back in"):
        assert config.hairpinning is not Hairpinning.NONE and step.after.destination in HOSTS
        inner, outer = (step.after.source == step.before.source, step.after.source.ip in player.own_ips)
        assert (inner, outer) == ((True, False) if config.hairpinning is Hairpinning.INTERNAL_SOURCE else (False, True))
    last = player.steps("out", "back in")[-1]
    if isinstance(last.result, Packet) and last.after.source.ip in player.own_ips and last.kind == "back in":
        answer = player.outbound(Packet(protocol, last.after.destination, last.after.source))
        assert isinstance(answer, Packet)
        assert (answer.source, answer.destination) == (last.before.destination, last.before.source)
        event("answered")


@given(configs(), PROTOCOLS, moves, st.binary(max_size=9), st.integers(0, 2**32 - 1))
def test_nothing_but_the_endpoints_changes_and_checksums_hold(
    config: NatConfig, protocol: IPProtocol, script: list[Move], payload: bytes, number: int
) -> None:
    """At the edge to a TUN device the bytes of the packet are changed the same way."""
    for step in Player(config, protocol).play(script).passed("out", "in", "back in"):
        ends = {"source": step.after.source, "destination": step.after.destination}
        assert step.after == step.before._replace(**ends)
        content = {"payload": payload, "seq": number, "ack": 2**32 - 1 - number} if protocol == IPProtocol.TCP else {}
        before = step.before._replace(flags=0 if not content else step.before.flags, **content)
        assert ip.decode(readdress(ip.encode(before), step.after)) == before._replace(**ends)


# ---- bounds, chance


@settings(max_examples=20)
@given(configs(), PROTOCOLS, st.integers(1, 3))
def test_floods_from_both_sides_fill_no_more_than_the_limits(
    config: NatConfig, protocol: IPProtocol, seed: int
) -> None:
    player = Player(config, protocol, Journal((MappingCreated, MappingEnded)))
    chance = random.Random(seed)
    for n in range(300):
        stranger = Endpoint(f"{chance.randint(11, 99)}.0.0.1", n + 1)
        target = Endpoint(chance.choice(player.box.external_ips), chance.choice([4001, *range(4000, 4010)]))
        inside = Endpoint(f"192.168.1.{chance.randint(2, 250)}", chance.randint(1, 65535))
        player.outbound(Packet(protocol, inside, chance.choice([stranger, target]), flags=SYN))
        player.inbound(Packet(protocol, stranger, target, flags=SYN))
        living = len(player.journal.of(MappingCreated)) - len(player.journal.of(MappingEnded))
        assert living <= config.session_limit
    if config.session_limit == 4:
        assert len(player.passed("out", "in", "back in")) <= 2 * 4  # each session's first packet, at most its answer


@given(configs(), PROTOCOLS, moves)
def test_the_same_seed_gives_the_same_packets_and_the_same_journal(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    first, second = (Player(config, protocol).play(script) for _ in range(2))
    assert first.done == second.done and first.journal.events == second.journal.events


@given(configs(), PROTOCOLS, moves, hosts, remotes)
def test_an_icmp_error_is_about_what_its_receiver_has_sent_and_leaves_no_trace(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, remote: Endpoint
) -> None:
    player = Player(config, protocol).play(script)
    player.now += QUARANTINE  # nobody is in quarantine any more
    sent = Packet(protocol, host, remote, flags=SYN)
    out = player.outbound(sent)
    if isinstance(out, Drop):
        return
    answer = Packet(protocol, out.destination, out.source)
    back = player.inbound(answer)
    assert isinstance(back, Packet)
    before = list(player.journal.events)
    for verb, packet, quoted, to in ((player.inbound, out, sent, host), (player.outbound, back, answer, remote)):
        error = icmp_error(IcmpKind.TIME_EXCEEDED, "99.0.0.1", packet)
        assert error is not None
        arrived = verb(error)
        assert isinstance(arrived, Packet) and arrived.quoted == quoted and arrived.destination.ip == to.ip
    assert player.journal.events == before
