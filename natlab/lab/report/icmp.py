"""RFC 5508, NAT Behavioral Requirements for ICMP, and the ICMP of RFC 4787 and RFC 5382: each requirement, measured.

Section 9 of RFC 5508 lists them, 3 to 8 explain them. REQ-10 is about the box as a router, which says itself what it
cannot pass on; of that `fragments.py` has the packets that are too long. An error is sent by zoe, who stands for a
router on the way:

    alice ── datagram or SYN ──> box ──> xenia               never gets there, says zoe:
    alice <── ICMP error ─────── box <── zoe                 quoting the packet as it was outside

*Not measured*: REQ-2a (what may be configured); REQ-3 (checksums and IP options are bytes, and packets are values
here; `natlab.wire.ip` keeps to it where a box of ours meets bytes, and its tests try that); REQ-9, REQ-10b and REQ-11
(what a box may do); REQ-10c and REQ-10d (source quench, the DS field: packets have neither here); REQ-10f (a
rate limit, which a box may choose).
"""

from __future__ import annotations

from natlab.endpoint import Endpoint
from natlab.lab.report import behaviour
from natlab.lab.report.prober import Prober
from natlab.lab.report.requirement import Finding, Level, Requirement, judged, not_applicable, not_measured
from natlab.lab.report.silence import shortest_fatal
from natlab.packet import IcmpKind, IPProtocol, Packet, echo_reply, icmp_error

__all__ = ["REQUIREMENTS", "closes_after"]

UDP, TCP, ICMP = int(IPProtocol.UDP), int(IPProtocol.TCP), int(IPProtocol.ICMP)
MINUTE = 60  # seconds
MTU = 1400  # bytes, in an error that says "too big"
ERRORS = (
    IcmpKind.PORT_UNREACHABLE,
    IcmpKind.HOST_UNREACHABLE,
    IcmpKind.NETWORK_UNREACHABLE,
    IcmpKind.PROHIBITED,
    IcmpKind.TOO_BIG,
    IcmpKind.TIME_EXCEEDED,
)
UNREACHABLE = ERRORS[:-1]  # type 3, Destination Unreachable, of which "too big" is code 4


# Pings


async def ping(prober: Prober) -> Finding:
    alice = prober.alice()
    seen = await _seen(prober, ICMP, alice)
    if seen is None:
        return judged(False, "an echo request does not get out")
    back = (await prober.send(echo_reply(seen))).to(alice)
    return judged(bool(back), "an echo request gets out, its reply " + ("comes back" if back else "does not come back"))


async def identifiers(prober: Prober) -> Finding:
    return await behaviour.mapping_is_endpoint_independent(prober, ICMP)


async def alive(prober: Prober, silence: float) -> bool:
    """Whether the reply gets in that xenia sends after a silence."""
    alice = prober.alice()
    seen = await _seen(prober, ICMP, alice)
    await prober.wait(silence)
    return seen is not None and bool((await prober.send(echo_reply(seen))).to(alice))


async def closes_after(prober: Prober) -> int | None:
    return await shortest_fatal(lambda silence: alive(prober, silence), prober.patience)


async def query_timer(prober: Prober) -> Finding:
    seconds = await closes_after(prober)
    if seconds is None and prober.patience < MINUTE:
        return not_measured(f"longer than the {prober.patience:.0f} s that were tried")
    return judged(seconds is None or seconds >= MINUTE, f"{seconds or prober.patience:.0f} s; {MINUTE} s needed")


async def _seen(prober: Prober, protocol: int, source: Endpoint) -> Packet | None:
    """A first packet from alice, as xenia gets it."""
    got = (await prober.send(prober.first(protocol, source, prober.xenia()))).outside
    return got[0] if got else None


# Errors from outside


async def _passed(prober: Prober, protocol: int, kind: IcmpKind) -> bool:
    """Whether alice gets zoe's error about her packet, with her packet in it as she sent it."""
    alice = prober.alice()
    seen = await _seen(prober, protocol, alice)
    return seen is not None and await _told(prober, seen, kind, alice)


async def _told(prober: Prober, seen: Packet, kind: IcmpKind, alice: Endpoint, by: str = "") -> bool:
    error = icmp_error(kind, by or prober.zoe().ip, seen, MTU if kind is IcmpKind.TOO_BIG else 0)
    assert error is not None
    for got in (await prober.send(error)).inside:
        if got.icmp is not None and got.icmp.quoted is not None:
            quoted = got.icmp.quoted
            ends = got.destination.ip, quoted.source, quoted.destination
            return got.icmp.kind is kind and ends == (alice.ip, alice, seen.destination)
    return False


async def _all_passed(prober: Prober, protocols: tuple[int, ...], kinds: tuple[IcmpKind, ...]) -> Finding:
    pairs = [(protocol, kind) for protocol in protocols for kind in kinds]
    lost = [pair for pair in pairs if not await _passed(prober, *pair)]
    if not lost:
        return judged(True, f"{len(pairs)} of {len(pairs)} kinds reach the sender, translated")
    protocol, kind = lost[0]
    return judged(
        False, f"{len(pairs) - len(lost)} of {len(pairs)} kinds reach the sender; lost: {kind} for {_name(protocol)}"
    )


def _name(protocol: int) -> str:
    return IPProtocol(protocol).name


async def errors_from_outside(prober: Prober) -> Finding:
    return await _all_passed(prober, (UDP, TCP, ICMP), ERRORS)


async def unreachable_for_udp(prober: Prober) -> Finding:
    return await _all_passed(prober, (UDP,), UNREACHABLE)


async def errors_from_anywhere(prober: Prober) -> Finding:
    """The same error from xenia, whom alice has sent to, and from zoe, a router on the way."""
    alice = prober.alice()
    seen = await _seen(prober, UDP, alice)
    assert seen is not None
    kind = IcmpKind.HOST_UNREACHABLE
    from_remote = await _told(prober, seen, kind, alice, by=prober.xenia().ip)
    from_router = await _told(prober, seen, kind, alice)
    if not from_remote and not from_router:
        return not_applicable("errors from nobody reach the sender")
    return judged(from_router, "from routers, too" if from_router else "from the remote only")


async def unreachable_for_tcp(prober: Prober) -> Finding:
    return await _all_passed(prober, (TCP,), UNREACHABLE)


async def errors_about_nothing(prober: Prober) -> Finding:
    """Errors that quote what alice might have sent, but has not."""
    door = await prober.opens(UDP, prober.alice(), prober.xenia())
    assert door is not None
    never_sent = prober.first(UDP, door, prober.yves())
    got = [await prober.send(error) for kind in ERRORS if (error := icmp_error(kind, prober.zoe().ip, never_sent))]
    silent = not any(outcome.inside or outcome.outside for outcome in got)
    return judged(silent, "met with silence" if silent else "passed on or answered")


async def udp_survives(prober: Prober) -> Finding:
    return await _survives(prober, UDP)


async def tcp_survives(prober: Prober) -> Finding:
    return await _survives(prober, TCP)


async def ping_survives(prober: Prober) -> Finding:
    return await _survives(prober, ICMP)


async def no_refresh(prober: Prober) -> Finding:
    """An error about alice's ping at three quarters of its timer, and the reply as long after it."""
    timer = await closes_after(prober)
    if timer is None:
        return not_measured(f"the timer is longer than the {prober.patience:.0f} s that were tried")
    alice = prober.alice()
    seen = await _seen(prober, ICMP, alice)
    assert seen is not None
    await prober.wait(0.75 * timer)
    await _told(prober, seen, IcmpKind.HOST_UNREACHABLE, alice)
    await prober.wait(0.75 * timer)
    refreshed = bool((await prober.send(echo_reply(seen))).to(alice))
    return judged(not refreshed, f"an error starts the {timer} s {'again' if refreshed else 'not again'}")


async def _survives(prober: Prober, protocol: int) -> Finding:
    """After errors of all kinds about alice's packet, does the answer still get in?"""
    alice = prober.alice()
    seen = await _seen(prober, protocol, alice)
    if seen is None:
        return not_applicable(f"{_name(protocol)} does not get out")
    answer = echo_reply(seen) if protocol == ICMP else prober.answer(seen)
    for kind in ERRORS:
        await _told(prober, seen, kind, alice)
        if not (await prober.send(answer)).to(alice):
            return judged(False, f"{kind} ends it")
    return judged(True, f"it survives {len(ERRORS)} kinds of errors")


# Errors from inside, and between two hosts inside


async def errors_from_inside(prober: Prober) -> Finding:
    """Xenia answers, and alice says that nobody is there any more."""
    alice = prober.alice()
    seen = await _seen(prober, UDP, alice)
    assert seen is not None
    door = seen.source
    got = (await prober.send(prober.answer(seen))).to(alice)
    if not got:
        return not_applicable("nothing came in that could be complained about")
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, alice.ip, got[0])
    assert error is not None
    for told in (await prober.send(error)).outside:
        if told.quoted is not None:
            ends = told.source.ip, told.quoted.source, told.quoted.destination
            right = ends == (door.ip, prober.xenia(), door)
            return judged(right, "it reaches the remote, " + ("translated" if right else "with wrong endpoints"))
    return judged(False, "it does not get out")


async def errors_from_inside_about_nothing(prober: Prober) -> Finding:
    """Alice complains about a datagram that yves might have sent, but has not."""
    alice = prober.alice()
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, alice.ip, prober.first(UDP, prober.yves(), alice))
    assert error is not None
    outcome = await prober.send(error)
    if outcome.outside:
        return judged(False, f"it leaves, from {outcome.outside[0].source.ip}")
    return judged(not outcome.inside, "answered" if outcome.inside else "met with silence")


async def hairpinned_errors(prober: Prober) -> Finding:
    """Bob calls alice's door, and alice says that nobody is there any more."""
    meeting = await behaviour.meet_inside(prober, UDP)
    if meeting is None:
        return not_applicable(behaviour.UNMET)
    if meeting.got is None:
        return judged(False, "nothing hairpins, so no error does")
    error = icmp_error(IcmpKind.PORT_UNREACHABLE, meeting.alice.ip, meeting.got)
    assert error is not None
    ends = meeting.bob, meeting.hers  # of the packet that bob has sent
    told = (await prober.send(error)).inside
    right = any(p.destination.ip == meeting.bob.ip and p.quoted is not None and p.quoted[1:3] == ends for p in told)
    return judged(right, "it reaches the sender, translated" if right else "it does not reach the sender as it should")


# No room


async def refusal(prober: Prober) -> Finding:
    return behaviour.told_when_full(await behaviour.crowd(prober, [prober.xenia()]), IcmpKind.PROHIBITED)


# The box as a router


async def time_exceeded(prober: Prober) -> Finding:
    """A datagram each way that has no hop left."""
    alice = prober.alice()
    door = await prober.opens(UDP, alice, prober.xenia())
    assert door is not None
    told = {
        "inside": await _last_hop(prober, alice, prober.xenia()),
        "outside": await _last_hop(prober, prober.xenia(), door),
    }
    silent = [side for side, was_told in told.items() if not was_told]
    return judged(
        not silent, f"a sender {' and '.join(silent)} is not told" if silent else "the sender is told, on both sides"
    )


async def _last_hop(prober: Prober, source: Endpoint, to: Endpoint) -> bool:
    """Whether the sender of a datagram with TTL 1 is told that it could go no further, as it sent it."""
    outcome = await prober.send(prober.first(UDP, source, to)._replace(ttl=1))
    told = [packet for packet in (*outcome.inside, *outcome.outside) if packet.destination.ip == source.ip]
    return any(
        packet.icmp is not None and packet.icmp.kind is IcmpKind.TIME_EXCEEDED and _ends(packet.quoted) == (source, to)
        for packet in told
    )


def _ends(quoted: Packet | None) -> tuple[Endpoint, Endpoint] | None:
    return quoted and quoted[1:3]


async def silence_on_errors(prober: Prober) -> Finding:
    """An error about alice's datagram that has no hop left: an error about it could go on for ever."""
    seen = await _seen(prober, UDP, prober.alice())
    assert seen is not None
    error = icmp_error(IcmpKind.HOST_UNREACHABLE, prober.zoe().ip, seen)
    assert error is not None
    answered = (await prober.send(error._replace(ttl=1))).outside
    return judged(not answered, "an error about an error is sent" if answered else "no error is sent about an error")


MUST, SHOULD, _ = Level

REQUIREMENTS = tuple(
    Requirement(*row)
    for row in (
        (4787, "REQ-12", MUST, "9", "An ICMP error does not end the mapping that it is about.", udp_survives),
        (
            4787,
            "REQ-12a",
            SHOULD,
            "9",
            "ICMP errors are let in from anywhere, not from the remote alone.",
            errors_from_anywhere,
        ),
        (
            4787,
            "REQ-12b",
            SHOULD,
            "9",
            "Destination Unreachable about a datagram reaches its sender.",
            unreachable_for_udp,
        ),
        (
            5382,
            "REQ-9",
            SHOULD,
            "7.3",
            "Destination Unreachable about a segment reaches its sender.",
            unreachable_for_tcp,
        ),
        (5382, "REQ-10", MUST, "7.3", "An ICMP error does not end the connection that it is about.", tcp_survives),
        (5508, "REQ-1", MUST, "3.1", "A ping from inside gets out, and its reply in.", ping),
        (5508, "REQ-1a", SHOULD, "3.1", "An identifier of pings is the same for every remote.", identifiers),
        (5508, "REQ-2", MUST, "3.2", "A ping may be answered for a minute.", query_timer),
        (
            5508,
            "REQ-4",
            MUST,
            "4.2.1",
            "An error from outside reaches the sender of what it quotes.",
            errors_from_outside,
        ),
        (5508, "REQ-4, none", SHOULD, "4.2.1", "... and is dropped if nobody sent that.", errors_about_nothing),
        (
            5508,
            "REQ-5",
            MUST,
            "4.2.2",
            "An error from inside reaches the remote, from the external address.",
            errors_from_inside,
        ),
        (
            5508,
            "REQ-5, none",
            SHOULD,
            "4.2.2",
            "... and is dropped if nothing like that came in.",
            errors_from_inside_about_nothing,
        ),
        (5508, "REQ-6", MUST, "4.3", "An error does not end the ping that it is about.", ping_survives),
        (5508, "REQ-6, refresh", MUST, "4.3", "... nor start its timer again.", no_refresh),
        (5508, "REQ-7", MUST, "5", "Errors pass between two hosts inside: hairpinning.", hairpinned_errors),
        (5508, "REQ-8", SHOULD, "6", "A host for which there is no room is told so by ICMP.", refusal),
        (5508, "REQ-10a", MUST, "7.2", "A packet that has made all its hops is answered by ICMP.", time_exceeded),
        (5508, "REQ-10e", SHOULD, "7", "... but never an ICMP error (RFC 1812 section 4.3.2.7).", silence_on_errors),
    )
)
