"""RFC 4787, Network Address Translation (NAT) Behavioral Requirements for Unicast UDP: each requirement, measured.

Section 12 of the RFC lists them, 4 to 11 explain them. RFC 7857 section 8 lets a box give up port parity, and its
section 7.1 says what is no refresh.

Sections 10 and 11 are `fragments.py`'s, section 9 is `icmp.py`'s.

REQ-7 is about a box whose network outside has the addresses of the one inside: a NAT behind a NAT, whose owner knows of
neither. It may renumber its hosts, or keep its own addresses and theirs apart. The second is measured.

*Not measured*: REQ-5a, REQ-5b, REQ-6a and REQ-8a (what a box may do, or what may be configured), REQ-10a (switches for
an administrator); of REQ-7 a box that renumbers the hosts inside, who have addresses for good on this bench.
"""

from __future__ import annotations

from collections.abc import Sequence

from natlab.endpoint import Endpoint
from natlab.lab.report import behaviour
from natlab.lab.report.prober import Prober
from natlab.lab.report.requirement import Finding, Level, Requirement, judged, not_applicable, not_measured
from natlab.lab.report.silence import shortest_fatal
from natlab.packet import IcmpKind, IPProtocol, icmp_error

__all__ = ["REQUIREMENTS", "TWO_MINUTES", "alive", "closes_after"]

UDP = int(IPProtocol.UDP)
TWO_MINUTES, FIVE_MINUTES = 120, 300  # seconds
CONVERSATION = 3.0  # seconds; Linux takes nothing for a conversation that is over within 2 s


async def mapping(prober: Prober) -> Finding:
    return await behaviour.mapping_is_endpoint_independent(prober, UDP)


async def pooling(prober: Prober) -> Finding:
    return await behaviour.pairs_addresses(prober, UDP)


async def overloading(prober: Prober) -> Finding:
    return await behaviour.overloads(prober, UDP)


async def port_range(prober: Prober) -> Finding:
    return await behaviour.keeps_range(prober, UDP)


async def parity(prober: Prober) -> Finding:
    return await behaviour.keeps_parity(prober, UDP)


# Timers


async def alive(prober: Prober, silence: float, *, answered: bool = False, keepalives: Sequence[float] = ()) -> bool:
    """Alice sends to xenia; is xenia let in after a silence?

    Args:
        silence: seconds between alice's last datagram and xenia's.
        answered: whether xenia has answered her first, and she has spoken once more.
        keepalives: seconds before each further datagram of alice's.
    """
    alice = prober.alice()
    door = await prober.opens(UDP, alice, prober.xenia())
    if door is None:
        return False
    if answered:
        await prober.reaches(UDP, prober.xenia(), door)
    for seconds in (CONVERSATION, *keepalives) if answered else keepalives:
        await prober.wait(seconds)
        await prober.opens(UDP, alice, prober.xenia())
    await prober.wait(silence)
    return await prober.reaches(UDP, prober.xenia(), door) == alice


async def closes_after(prober: Prober, answered: bool) -> int | None:
    """The shortest silence in whole seconds after which the remote is no longer let in, see `silence.py`."""
    return await shortest_fatal(lambda silence: alive(prober, silence, answered=answered), prober.patience)


async def at_least(prober: Prober, needed: int) -> Finding:
    unanswered, answered = await closes_after(prober, False), await closes_after(prober, True)
    measured = f"{_seconds(prober, unanswered)} unanswered, {_seconds(prober, answered)} answered; {needed} s needed"
    known = [seconds for seconds in (unanswered, answered) if seconds is not None]
    if any(seconds < needed for seconds in known):
        return judged(False, measured)
    if len(known) < 2 and prober.patience < needed:
        return not_measured(f"longer than the {prober.patience:.0f} s that were tried")
    return judged(True, measured)


def _seconds(prober: Prober, seconds: int | None) -> str:
    return f"more than {prober.patience:.0f} s" if seconds is None else f"{seconds} s"


async def two_minutes(prober: Prober) -> Finding:
    return await at_least(prober, TWO_MINUTES)


async def five_minutes(prober: Prober) -> Finding:
    return await at_least(prober, FIVE_MINUTES)


async def outbound_refresh(prober: Prober) -> Finding:
    """A datagram at three quarters of the timer, and a knock as long after it."""
    timer = await closes_after(prober, False)
    if timer is None:
        return not_measured(f"the timer is longer than the {prober.patience:.0f} s that were tried")
    kept = await alive(prober, 0.75 * timer, keepalives=[0.75 * timer])
    return judged(kept, f"a datagram from inside starts the {timer} s {'again' if kept else 'not again'}")


async def no_refresh_by_errors(prober: Prober) -> Finding:
    """Alice's error about a datagram of xenia's at three quarters of the timer, and a knock as long after it."""
    timer = await closes_after(prober, True)
    if timer is None:
        return not_measured(f"the timer is longer than the {prober.patience:.0f} s that were tried")
    alice, xenia = prober.alice(), prober.xenia()
    door = await prober.opens(UDP, alice, xenia)
    assert door is not None
    (came,) = (await prober.send(prober.first(UDP, xenia, door))).to(alice)
    await prober.wait(CONVERSATION)
    await prober.opens(UDP, alice, xenia)
    await prober.wait(0.75 * timer)
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, alice.ip, came)
    assert error is not None
    await prober.send(error)
    await prober.wait(0.75 * timer)
    refreshed = await prober.reaches(UDP, xenia, door) == alice
    return judged(not refreshed, f"an error from inside starts the {timer} s {'again' if refreshed else 'not again'}")


# Filtering, hairpinning, and the rest


async def filtering(prober: Prober) -> Finding:
    return await behaviour.filtering_is_mild(prober, UDP)


async def hairpinning(prober: Prober) -> Finding:
    return await behaviour.hairpins(prober, UDP)


async def payloads(prober: Prober) -> Finding:
    return await behaviour.alters_payload(prober, UDP)


async def determinism(prober: Prober) -> Finding:
    return await behaviour.is_deterministic(prober, UDP)


async def strays(prober: Prober) -> Finding:
    return await behaviour.survives_strays(prober, UDP)


# The box's address


async def address_conflict(prober: Prober) -> Finding:
    """The network outside gives the box the address that bob has inside: does every host still reach yves, and hear
    him?"""
    alice = prober.alice()
    if await prober.opens(UDP, alice, prober.xenia()) == alice:
        return not_applicable("it does not translate, so it has no address outside")
    bob = prober.hosts[1]
    prober.readdress_box(bob)
    cut_off = [ip for ip in prober.hosts if not await _talks(prober, Endpoint(ip, prober.alice().port))]
    if cut_off:
        return judged(False, f"the box has {bob} outside, and {', '.join(cut_off)} inside is cut off")
    return judged(True, f"the box has {bob} outside, a host has it inside, and all hosts talk to those outside")


async def _talks(prober: Prober, source: Endpoint) -> bool:
    door = await prober.opens(UDP, source, prober.yves())
    return door is not None and await prober.reaches(UDP, prober.yves(), door) == source


MUST, SHOULD, _ = Level

REQUIREMENTS = (
    *(
        Requirement(4787, *row)
        for row in (
            ("REQ-1", MUST, "4.1", "An endpoint inside is seen at one external endpoint, by every remote.", mapping),
            (
                "REQ-2",
                SHOULD,
                "4.1",
                "With several external addresses, a host has one of them: paired pooling.",
                pooling,
            ),
            (
                "REQ-3",
                MUST,
                "4.2.1",
                "No two hosts are seen at one external endpoint: no port overloading.",
                overloading,
            ),
            ("REQ-3a", SHOULD, "4.2.1", "A port below 1024 becomes one below 1024, and another one above.", port_range),
            ("REQ-4", SHOULD, "4.2.2", "Even ports stay even, odd ones odd.", parity),
            ("REQ-5", MUST, "4.3", "A mapping outlives two minutes of silence.", two_minutes),
            ("REQ-5c", SHOULD, "4.3", "Better five minutes.", five_minutes),
            ("REQ-6", MUST, "4.3", "A datagram from inside starts the timer again.", outbound_refresh),
            ("REQ-7", MUST, "4.4", "An address of the network inside may be the box's outside.", address_conflict),
            ("REQ-8", SHOULD, "5", "Filtering is endpoint-independent, or address-dependent.", filtering),
            (
                "REQ-9",
                MUST,
                "6",
                "Hosts inside reach each other at their external endpoints, and come from them.",
                hairpinning,
            ),
            ("REQ-10", SHOULD, "7", "Payloads are left alone.", payloads),
            ("REQ-11", MUST, "8", "Mapping and filtering stay as they are when two hosts want one port.", determinism),
            ("REQ-11, early", MUST, "8", "... and when a packet comes too early.", strays),
        )
    ),
    Requirement(
        7857, "7.1", SHOULD, "7.1", "An ICMP error from inside is no datagram: no refresh.", no_refresh_by_errors
    ),
)
