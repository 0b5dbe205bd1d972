"""RFC 6888, Common Requirements for Carrier-Grade NATs: what is asked of a carrier's box besides, measured.

Section 3 of the RFC lists them. Whoever shares an address with strangers has to be given his share of its ports, and
has to be found if he misbehaves; so the carrier hands out ports in portions, and by a rule:

    alice  100.64.0.2 ─╮                ╭─ 11.0.0.1, ports 3024 - 4023       REQ-2    one address
    bob    100.64.0.3 ─┼── carrier ─────┼─ 11.0.0.1, ports 4024 - 5023       REQ-4    so many ports, and bob has his
    ...               ─╯                ╰─ 11.0.0.2, ...                     REQ-14   his alone: the log is one line

Only a carrier's NAT is measured by these: `nat_report("cgnat", carrier=True)`. REQ-1 is all the rest of the report.
REQ-11 and RFC 5508 REQ-8 want another ICMP error each from a box that has no room, so no box that is full keeps both.

*Not measured*: REQ-3 (how many addresses may be configured), REQ-6 (destinations that are not to be translated, which
our boxes do not have either), REQ-8 for TCP (REQ-8a lets a box that tracks connections do as it likes), REQ-9 (PCP: the
bench has no gateway services, see `natlab.portmap`), REQ-10, REQ-11c and REQ-12 (management and logs, which nobody
outside sees), REQ-13 (as many ports in use as possible: a matter of degree).
"""

from __future__ import annotations

from itertools import pairwise

from natlab.endpoint import Endpoint
from natlab.lab.report import behaviour, udp
from natlab.lab.report.behaviour import CROWD, TRIES, Crowd, Question, crowd, of_translation
from natlab.lab.report.prober import Prober
from natlab.lab.report.requirement import Finding, Level, Probe, Requirement, judged, not_applicable, not_measured
from natlab.nat import Behaviour
from natlab.packet import IcmpKind, IPProtocol

__all__ = ["REQUIREMENTS"]

UDP, TCP, ICMP = int(IPProtocol.UDP), int(IPProtocol.TCP), int(IPProtocol.ICMP)
REST = 120  # seconds for which a port is not to be given out again
A_MOMENT = 1  # second
AT_ONCE = 1000  # mappings, of two hosts; of 64,512 random ports they have some 15 in common


async def pooling(prober: Prober) -> Finding:
    """Each host by all three protocols, towards two remotes."""
    alice = prober.alice()
    if await prober.opens(UDP, alice, prober.xenia()) == alice:
        return not_applicable("it does not translate")
    remotes = prober.xenia(), prober.yves()
    seen = [
        {
            door.ip
            for protocol in (UDP, TCP, ICMP)
            for remote in remotes
            if (door := await _opened(prober, protocol, ip, remote))
        }
        for ip in prober.hosts
    ]
    if len(set().union(*seen)) < 2:
        return not_applicable(f"{len(seen)} hosts are all seen at one address")
    most = max(map(len, seen))
    return judged(most == 1, f"a host is seen at {'one address' if most == 1 else f'up to {most} addresses'}")


async def _opened(prober: Prober, protocol: int, ip: str, remote: Endpoint) -> Endpoint | None:
    return await prober.opens(protocol, Endpoint(ip, prober.alice().port), remote)


# Limits


async def share_of_ports(prober: Prober) -> Finding:
    """Alice asks for more mappings than she gets; then bob asks for one."""
    return await _leaves_room(prober, await crowd(prober, [prober.xenia()]), "mappings")


async def share_of_memory(prober: Prober) -> Finding:
    """Alice talks to more remotes from one port than she may; then bob asks for a mapping."""
    remotes = [prober.xenia(10_000 + number) for number in range(CROWD)]
    return await _leaves_room(prober, await crowd(prober, remotes), "remotes of one port")


async def _leaves_room(prober: Prober, asked: Crowd, what: str) -> Finding:
    if asked.refused is None:
        return not_applicable(f"a host gets {CROWD} {what} and more")
    bob = await prober.opens(UDP, prober.bob(prober.alice().port), prober.xenia())
    others = "others still get one" if bob else "others get none either"
    return judged(bob is not None, f"a host gets {len(asked.seen)} {what}, and then {others}")


async def no_eviction(prober: Prober) -> Finding:
    """Alice asks for more mappings than she gets; are the first ones still there?"""
    asked = await crowd(prober, [prober.xenia()])
    outcome = await prober.send(*(prober.answer(packet) for packet in asked.seen))
    lost = len(asked.seen) - len(outcome.inside)
    if lost:
        return judged(False, f"{lost} of {len(asked.seen)} mappings ended to make room")
    if asked.refused is None:
        return not_applicable(f"a host gets {CROWD} mappings and more")
    return judged(True, f"mapping {len(asked.seen) + 1} of a host is refused, and all others stay")


async def refusal(prober: Prober) -> Finding:
    return behaviour.told_when_full(await crowd(prober, [prober.xenia()]), IcmpKind.HOST_UNREACHABLE)


# Filtering, and what it lets through to the next owner of a port


async def filtering(prober: Prober) -> Finding:
    found = {
        protocol.name: await behaviour.filtering(prober, protocol, prober.alice())
        for protocol in (IPProtocol.UDP, IPProtocol.TCP)
    }
    words = ", ".join(f"{how} for {name}" for name, how in found.items())
    return judged(all(how is Behaviour.ENDPOINT_INDEPENDENT for how in found.values()), words)


@of_translation
async def port_reuse(prober: Prober, protocol: int) -> Finding:
    """Alice's mappings end; bob asks for as many just after, and a third host just before the ports' rest is over."""
    if (filters := await behaviour.filtering(prober, protocol, prober.alice())) is not Behaviour.ENDPOINT_INDEPENDENT:
        return not_applicable(f"REQ-8c: ports may be used again at once if filtering is {filters}")
    timer = await udp.closes_after(prober, False)
    if timer is None or prober.patience < REST:
        return not_measured(f"takes {REST} s after the timer, and {prober.patience:.0f} s were tried")
    ports = [prober.alice().port for _ in range(AT_ONCE)]
    old = await _doors(prober, protocol, prober.hosts[0], ports)
    await prober.wait(timer + A_MOMENT)
    soon = old & await _doors(prober, protocol, prober.hosts[1], ports)
    await prober.wait(REST - 3 * A_MOMENT)
    late = old & await _doors(prober, protocol, prober.hosts[2], ports)
    for again, seconds in ((soon, A_MOMENT), (late, REST - 2 * A_MOMENT)):
        if again:
            return judged(False, f"{len(again)} of {len(old)} ports go to another host after {seconds} s or less")
    return judged(True, f"of {len(old)} ports none goes to another host within {REST - 2 * A_MOMENT} s")


async def _doors(prober: Prober, protocol: int, ip: str, ports: list[int]) -> set[Endpoint]:
    """The external endpoints of one host's ports."""
    outcome = await prober.send(*(prober.first(protocol, Endpoint(ip, port), prober.xenia()) for port in ports))
    return {packet.source for packet in outcome.outside}


# Port allocation


@of_translation
async def log(prober: Prober, protocol: int) -> Finding:
    ports = [prober.alice().port for _ in range(TRIES)]
    owners = {ip: sorted(await _doors(prober, protocol, ip, ports)) for ip in prober.hosts}
    if not all(owners.values()):
        return not_measured("not every host gets a port")
    spans = [(doors[0].ip, doors[0].port, doors[-1].port) for doors in owners.values()]
    in_one_span = all(len({door.ip for door in doors}) == 1 for doors in owners.values())
    apart = in_one_span and not any(_overlap(a, b) for number, a in enumerate(spans) for b in spans[:number])
    if apart:
        return judged(True, f"each of {len(spans)} hosts has a range of ports: a line in a log for each host")
    return judged(False, f"the ports of {len(spans)} hosts lie mixed: a line in a log for each mapping")


def _overlap(a: tuple[str, int, int], b: tuple[str, int, int]) -> bool:
    return a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2]


@of_translation
async def guessing(prober: Prober, protocol: int) -> Finding:
    """One host's ports, one after the other."""
    sources = [prober.alice() for _ in range(TRIES)]
    doors = [door for source in sources if (door := await prober.opens(protocol, source, prober.xenia()))]
    if len(doors) < TRIES:
        return not_measured(f"{len(doors)} of {TRIES} ports could be opened")
    if all(source.port == door.port for source, door in zip(sources, doors, strict=True)):
        return judged(False, "a port is the one inside")
    steps = {after.port - before.port for before, after in pairwise(doors)}
    if len(steps) == 1:
        return judged(False, f"each port is {steps.pop()} above the last one")
    return judged(True, f"{TRIES} ports follow no rule that is easily seen")


def _of_udp(question: Question) -> Probe:
    return lambda prober: question(prober, UDP)


MUST, SHOULD, _ = Level

REQUIREMENTS = tuple(
    Requirement(6888, *row)
    for row in (
        ("REQ-2", MUST, "3", "A host has one external address for all it does: paired pooling.", pooling),
        ("REQ-4", MUST, "3", "The ports of a host are limited, so that others have theirs.", share_of_ports),
        ("REQ-5", SHOULD, "3", "So is what one mapping takes of the box's memory.", share_of_memory),
        ("REQ-7", SHOULD, "3", "Filtering is endpoint-independent.", filtering),
        ("REQ-8", SHOULD, "3", "A port goes to no other host for two minutes.", _of_udp(port_reuse)),
        ("REQ-11", MUST, "3", "No mapping ends to make room for another.", no_eviction),
        ("REQ-11b", SHOULD, "3", "A host for which there is no room is told so: host unreachable.", refusal),
        ("REQ-14", SHOULD, "3", "Ports are handed out so that a log of them is short.", _of_udp(log)),
        ("REQ-15", SHOULD, "3", "Ports are hard to guess.", _of_udp(guessing)),
    )
)
