"""The questions about a box that are the same for UDP and TCP.

    mapping       one internal endpoint, seen by several remotes: where does the external endpoint change?
    filtering     an endpoint opened to one remote: which other remotes get in by its door?
    ports         two hosts that want one port: which do they get, and is it theirs alone?
    hairpinning   two hosts inside that meet at their external endpoints
    alteration    bytes that look like addresses: do they come out as they went in?
    crowds        one host that wants more than there is: what does it get, and what is it told?

RFC 5382 repeats the requirements of RFC 4787 for TCP, with a SYN where UDP has its first datagram.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import NamedTuple

from natlab.endpoint import Endpoint
from natlab.lab.report.prober import Outcome, Prober
from natlab.lab.report.requirement import Finding, judged, not_applicable
from natlab.nat import Behaviour
from natlab.packet import IcmpKind, IPProtocol, Packet

__all__ = [
    "CROWD",
    "TRIES",
    "UNMET",
    "Crowd",
    "Meeting",
    "Question",
    "alters_payload",
    "crowd",
    "filtering",
    "filtering_is_mild",
    "hairpins",
    "is_deterministic",
    "keeps_parity",
    "keeps_range",
    "mapping",
    "mapping_is_endpoint_independent",
    "meet_inside",
    "of_translation",
    "overloads",
    "pairs_addresses",
    "sip_call",
    "survives_strays",
    "told_when_full",
]

WELL_KNOWN = 500  # a port below 1024
UNMET = "the door that one remote sees lets no other in, from outside or inside"
CROWD, BATCH = 1100, 100  # mappings that one host asks for, in all and at once
TRIES = 10  # ports; a coin comes up heads ten times in a row once in a thousand runs


Question = Callable[[Prober, int], Awaitable[Finding]]


def of_translation(question: Question) -> Question:
    """Of no concern to a firewall, behind which everybody is seen at their own endpoint."""

    @wraps(question)
    async def asked(prober: Prober, protocol: int) -> Finding:
        alice = prober.alice()
        if await prober.opens(protocol, alice, prober.xenia()) == alice:
            return not_applicable("it does not translate")
        return await question(prober, protocol)

    return asked


# Mapping and filtering


async def mapping(prober: Prober, protocol: int, source: Endpoint, *first: Endpoint) -> Behaviour:
    """How the mapping of an internal endpoint depends on the remote. `first`: remotes to begin with."""
    remotes = [*first, prober.xenia(), prober.xenia(8000), prober.yves()]
    return _dependence({remote: await prober.opens(protocol, source, remote) for remote in remotes})


def _dependence(doors: Mapping[Endpoint, Endpoint | None]) -> Behaviour:
    if len(set(doors.values())) == 1:
        return Behaviour.ENDPOINT_INDEPENDENT
    addresses = {remote.ip for remote in doors}
    if all(len({door for remote, door in doors.items() if remote.ip == ip}) == 1 for ip in addresses):
        return Behaviour.ADDRESS_DEPENDENT
    return Behaviour.ADDRESS_AND_PORT_DEPENDENT


async def filtering(prober: Prober, protocol: int, source: Endpoint) -> Behaviour:
    """Who else gets in at the door that `source` has opened to xenia."""
    door = await prober.opens(protocol, source, prober.xenia())
    if door is not None and await prober.reaches(protocol, prober.yves(9000), door) == source:
        return Behaviour.ENDPOINT_INDEPENDENT
    if door is not None and await prober.reaches(protocol, prober.xenia(9000), door) == source:
        return Behaviour.ADDRESS_DEPENDENT
    return Behaviour.ADDRESS_AND_PORT_DEPENDENT


@of_translation
async def mapping_is_endpoint_independent(prober: Prober, protocol: int) -> Finding:
    found = await mapping(prober, protocol, prober.alice())
    return judged(found is Behaviour.ENDPOINT_INDEPENDENT, str(found))


async def filtering_is_mild(prober: Prober, protocol: int) -> Finding:
    found = await filtering(prober, protocol, prober.alice())
    return judged(found is not Behaviour.ADDRESS_AND_PORT_DEPENDENT, str(found))


async def is_deterministic(prober: Prober, protocol: int) -> Finding:
    """Alice alone, then bob on the same port, who begins with a remote that alice does not talk to."""
    alice = prober.alice()
    bob = prober.bob(alice.port)
    alone = await mapping(prober, protocol, alice), await filtering(prober, protocol, alice)
    contested = await mapping(prober, protocol, bob, prober.zoe()), await filtering(prober, protocol, bob)
    if alone == contested:
        return judged(True, "the same when two hosts want one port")
    changes = [f"{a}, then {b}" for a, b in zip(alone, contested, strict=True) if a is not b]
    return judged(False, f"when two hosts want one port: {'; '.join(changes)}")


async def survives_strays(prober: Prober, protocol: int) -> Finding:
    """Alice has a door; xenia, whom she has not talked to, comes too early; then alice calls xenia."""
    alice = prober.alice()
    door = await prober.opens(protocol, alice, prober.yves())
    assert door is not None
    await prober.reaches(protocol, prober.xenia(), door)
    after = await prober.opens(protocol, alice, prober.xenia())
    early = "after a packet that came too early, the conversation with its sender leaves from"
    if after == door:
        return judged(True, f"{early} the same endpoint")
    if await mapping(prober, protocol, prober.alice()) is not Behaviour.ENDPOINT_INDEPENDENT:
        return not_applicable("each remote sees an endpoint of its own anyway")
    return judged(False, f"{early} another endpoint")


# Ports and addresses


@of_translation
async def overloads(prober: Prober, protocol: int) -> Finding:
    """Alice and bob want one port, towards different remotes and towards one."""
    alice = prober.alice()
    bob = prober.bob(alice.port)
    hers = await prober.doors(protocol, alice, [prober.xenia(), prober.yves()])
    his = await prober.doors(protocol, bob, [prober.zoe(), prober.xenia()])
    shared = [door for door in his if door is not None and door in hers]
    if shared:
        return judged(False, f"two hosts are seen at {shared[0]} at the same time")
    return judged(True, "two hosts are never seen at one endpoint")


@of_translation
async def keeps_range(prober: Prober, protocol: int) -> Finding:
    """Two hosts on one well-known port, and on one of the others."""
    sources = [source for port in (WELL_KNOWN, prober.alice().port) for source in _two_hosts(prober, port)]
    pairs = [(source, await prober.opens(protocol, source, prober.xenia())) for source in sources]
    moved = [(source, door) for source, door in pairs if door and (source.port < 1024) != (door.port < 1024)]
    if moved:
        source, door = moved[0]
        return judged(False, f"port {source.port} became {door.port}")
    return judged(True, "ports below 1024 stay below, others above")


@of_translation
async def keeps_parity(prober: Prober, protocol: int) -> Finding:
    sources = [source for _ in range(TRIES) for source in _two_hosts(prober, prober.alice().port)]
    doors = await _opened(prober, protocol, sources)
    kept = sum(source.port % 2 == door.port % 2 for source, door in doors)
    return judged(kept == len(doors), f"{kept} of {len(doors)} ports stayed even or odd")


@of_translation
async def pairs_addresses(prober: Prober, protocol: int) -> Finding:
    """Each host from several ports, to two remotes by turns: is it seen at one address only?"""
    ports = [prober.alice().port for _ in range(TRIES)]
    seen = [await _addresses(prober, protocol, [Endpoint(ip, port) for port in ports]) for ip in prober.hosts]
    addresses = len(set().union(*seen))
    if addresses < 2:
        return not_applicable(f"{len(seen)} hosts are all seen at one address")
    most = max(map(len, seen))
    return judged(most == 1, f"of {addresses} external addresses a host has {'one' if most == 1 else f'up to {most}'}")


async def _addresses(prober: Prober, protocol: int, sources: Iterable[Endpoint]) -> set[str]:
    remotes = cycle((prober.xenia(), prober.yves()))
    doors = [await prober.opens(protocol, source, next(remotes)) for source in sources]
    return {door.ip for door in doors if door is not None}


def _two_hosts(prober: Prober, port: int) -> tuple[Endpoint, Endpoint]:
    return prober.alice(port), prober.bob(port)


async def _opened(prober: Prober, protocol: int, sources: Iterable[Endpoint]) -> list[tuple[Endpoint, Endpoint]]:
    """The sources that xenia sees, each with where she sees it."""
    doors = [(source, await prober.opens(protocol, source, prober.xenia())) for source in sources]
    return [(source, door) for source, door in doors if door is not None]


# Hairpinning, payloads


class Meeting(NamedTuple):
    """Alice and bob have called each other's door: what came to her, if anything.

    Attributes:
        alice, bob: their internal endpoints.
        hers, his: their doors, as xenia sees them.
        got: bob's packet.
    """

    alice: Endpoint
    bob: Endpoint
    hers: Endpoint
    his: Endpoint
    got: Packet | None


async def meet_inside(prober: Prober, protocol: int) -> Meeting | None:
    """Lets alice and bob meet; None if alice could not have met a stranger outside like that either."""
    alice, bob = prober.alice(), prober.bob(prober.alice().port)
    hers = await prober.opens(protocol, alice, prober.xenia())
    his = await prober.opens(protocol, bob, prober.xenia())
    await prober.opens(protocol, alice, prober.yves())
    if hers is None or his is None or await prober.reaches(protocol, prober.yves(), hers) != alice:
        return None
    await prober.send(prober.first(protocol, alice, his))  # opens her filter for him
    got = (await prober.send(prober.first(protocol, bob, hers))).to(alice)
    return Meeting(alice, bob, hers, his, got[0] if got else None)


@of_translation
async def hairpins(prober: Prober, protocol: int) -> Finding:
    meeting = await meet_inside(prober, protocol)
    if meeting is None:
        return not_applicable(UNMET)
    if meeting.got is None:
        return judged(False, "a host is not reached at its external endpoint from inside")
    source = meeting.got.source
    if source.ip != meeting.his.ip:
        return judged(False, f"from its internal endpoint: bob, seen outside at {meeting.his}, comes as {source}")
    return judged(True, "from the external endpoint, as if from outside")


def sip_call(caller: Endpoint) -> bytes:
    """What a phone sends, which names its own endpoint (RFC 3261)."""
    lines = ("INVITE sip:xenia SIP/2.0", f"Via: SIP/2.0/UDP {caller}", f"Contact: <sip:alice@{caller}>", "", "")
    return "\r\n".join(lines).encode()


async def alters_payload(prober: Prober, protocol: int) -> Finding:
    """A call by SIP, to its port 5060."""
    alice = prober.alice()
    words = sip_call(alice)
    packet = prober.first(protocol, alice, prober.xenia(5060), words)
    got = (await prober.send(packet)).to(packet.destination)
    if not got:
        return not_applicable("packets with a payload did not come through")
    return judged(
        got[0].payload == words, "a SIP call came through " + ("as sent" if got[0].payload == words else "altered")
    )


# Crowds


class Crowd(NamedTuple):
    """What became of the many that one host has asked for.

    Attributes:
        seen: the first packets that came out.
        refused: what came out when one or more of a batch were refused; None if all passed.
    """

    seen: list[Packet]
    refused: Outcome | None


async def crowd(prober: Prober, remotes: Sequence[Endpoint]) -> Crowd:
    """Alice wants `CROWD` mappings: from many ports to one remote, or to many remotes from one port."""
    alice, seen = prober.alice(), list[Packet]()
    for asked in range(0, CROWD, BATCH):
        pairs = [
            (alice, remotes[number]) if len(remotes) > 1 else (prober.alice(), remotes[0])
            for number in range(asked, asked + BATCH)
        ]
        outcome = await prober.send(*(prober.first(IPProtocol.UDP, *pair) for pair in pairs))
        seen += outcome.outside
        if len(outcome.outside) < BATCH:
            return Crowd(seen, outcome)
    return Crowd(seen, None)


def told_when_full(asked: Crowd, kind: IcmpKind) -> Finding:
    """Whether a host that gets no more is told so by an ICMP error of this kind."""
    if asked.refused is None:
        return not_applicable(f"a host gets {CROWD} mappings and more")
    told = next((packet.icmp.kind for packet in asked.refused.inside if packet.icmp), None)
    how = f"refused by ICMP, {told}" if told else "dropped in silence"
    return judged(told is kind, f"mapping {len(asked.seen) + 1} of a host is {how}")
