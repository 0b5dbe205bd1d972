"""RFC 5382, NAT Behavioral Requirements for TCP: each requirement, measured.

Section 8 of the RFC lists them, 4 to 7 explain them. RFC 7857 section 2 adds what becomes of a connection after an RST.

REQ-2 wants every valid sequence of segments to pass. Besides the ordinary handshakes, from inside and from outside, two
of them matter to hole punching. Both begin with a SYN that alice has sent and nobody answered:

    simultaneous open                              redial
    alice ── SYN, seq 1000 ──> xenia               alice ── SYN, seq 1000 ──> xenia         alice gives up
    alice <── SYN, seq 3000 ── xenia               alice <── SYN, seq 3000 ── xenia         her port listens by now
    alice ── SYN ACK, seq 1000 ──> xenia           alice ── SYN ACK, seq 9001000 ──> xenia  a number of its own

The second is the trap of labs without delay: there the peer's SYN always comes before one's own dial. A box that checks
sequence numbers may take the listener's SYN ACK for a forgery (`natlab.nat.tcp_window`).

REQ-5 knows three phases of a connection (section 5 of the RFC), and what is asked for TIME_WAIT is nothing:

    opening ── both have sent an ACK ──> established, half closed too ── both have sent a FIN ──> closing ──> TIME_WAIT
    4 minutes                            2 hours 4 minutes                                        4 minutes

*Not measured*: REQ-3a and REQ-3b, REQ-5a (what may be configured); whether a box sends the ICMP error that REQ-4 wants
after 6 s, since REQ-4a leaves that to its policy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from natlab.lab.report import behaviour
from natlab.lab.report.prober import ACK, FIN, RST, SYN, Outcome, Prober, Talk
from natlab.lab.report.requirement import Finding, Level, Requirement, judged, not_applicable, not_measured
from natlab.lab.report.silence import shortest_fatal
from natlab.packet import IPProtocol

__all__ = ["REQUIREMENTS"]

TCP = int(IPProtocol.TCP)
ESTABLISHED, TRANSITORY = 7440, 240  # seconds
QUIET = 6.0  # seconds for which an unsolicited SYN must stay unanswered
A_LITTLE_LATER = 1.0  # seconds after those, in which an answer may come
LATER_NUMBER = 9_000_000  # how far sequence numbers have moved on when a port is used again


async def mapping(prober: Prober) -> Finding:
    return await behaviour.mapping_is_endpoint_independent(prober, TCP)


# Valid sequences of segments


async def handshake(prober: Prober) -> Finding:
    """Open, talk, close one side, talk on, close the other."""
    talk = new_talk(prober)
    passed = {
        "the handshake": await talk.open(),
        "data": await talk.out(ACK, b"question") and await talk.back(ACK, b"answer"),
        "alice's FIN": await talk.out(FIN | ACK) and await talk.back(ACK),
        "data to her after it": await talk.back(ACK, b"more") and await talk.out(ACK),
        "xenia's FIN": await talk.back(FIN | ACK) and await talk.out(ACK),
    }
    return _all_passed(passed)


async def from_outside(prober: Prober) -> Finding:
    """Alice's port is known, for it has called yves; now yves and xenia call, who have as yet not spoken to it."""
    alice = prober.alice()
    door = await prober.opens(TCP, alice, prober.yves())
    for caller in (prober.xenia(), prober.yves(8000)):
        talk = Talk(prober, alice, caller, door)
        if await talk.back(SYN):
            passed = {
                "the SYN ACK": await talk.out(SYN | ACK),
                "the ACK": await talk.back(ACK),
                "data": await talk.back(ACK, b"question") and await talk.out(ACK, b"answer"),
                "both FINs": await talk.back(FIN | ACK) and await talk.out(FIN | ACK) and await talk.back(ACK),
            }
            return _all_passed(passed)
    return not_applicable("no connection from outside is let in")


async def simultaneous_open(prober: Prober) -> Finding:
    talk = new_talk(prober)
    passed = {
        "both SYNs": await talk.out(SYN) and await talk.back(SYN),
        "both SYN ACKs": await talk.out_again(SYN | ACK) and await talk.back_again(SYN | ACK),
        "data": await talk.out(ACK, b"question") and await talk.back(ACK, b"answer"),
    }
    return _all_passed(passed)


async def redial(prober: Prober) -> Finding:
    talk = new_talk(prober)
    passed = {
        "the SYN that is not answered": await talk.out(SYN),
        "the peer's SYN": await talk.back(SYN),
    }
    talk.jump(LATER_NUMBER)
    passed |= {
        "the listener's SYN ACK, with a number of its own,": await talk.out_again(SYN | ACK),
        "data": await talk.back(ACK, b"question") and await talk.out(ACK, b"answer"),
    }
    return _all_passed(passed)


def _all_passed(passed: dict[str, bool]) -> Finding:
    lost = [words for words, did in passed.items() if not did]
    return judged(not lost, f"{lost[0]} did not pass" if lost else "all segments passed")


def new_talk(prober: Prober) -> Talk:
    return Talk(prober, prober.alice(), prober.xenia())


# Connections from outside


async def filtering(prober: Prober) -> Finding:
    return await behaviour.filtering_is_mild(prober, TCP)


async def unsolicited_syn(prober: Prober) -> Finding:
    """Zoe calls a door that is open to xenia only, and calls once."""
    alice = prober.alice()
    door = await prober.opens(TCP, alice, prober.xenia())
    assert door is not None
    if (at_once := _at_once(await prober.send(prober.first(TCP, prober.zoe(), door)))) is not None:
        return at_once
    if prober.patience < QUIET:
        return not_measured(f"takes {QUIET:g} s, and {prober.patience:.0f} s were tried")
    early, late = await prober.wait(QUIET - 0.1), await prober.wait(A_LITTLE_LATER)
    if early.outside:
        return judged(False, f"answered within {QUIET:g} s: {early.outside[0].flag_names or 'ICMP'}")
    answer = f"then {late.outside[0].flag_names or 'ICMP'}" if late.outside else "and on"
    return judged(True, f"silence for {QUIET:g} s, {answer}")


async def early_syn(prober: Prober) -> Finding:
    """Xenia calls a door that is open to yves only, before alice calls xenia: does xenia ever hear of it?"""
    alice = prober.alice()
    door = await prober.opens(TCP, alice, prober.yves())
    assert door is not None
    if (at_once := _at_once(await prober.send(prober.first(TCP, prober.xenia(), door)))) is not None:
        return at_once
    if await prober.opens(TCP, alice, prober.xenia()) != door:
        return not_applicable("the SYN to its sender leaves from another endpoint, for another connection")
    if prober.patience < QUIET:
        return not_measured(f"takes {QUIET:g} s, and {prober.patience:.0f} s were tried")
    late = await prober.wait(QUIET + A_LITTLE_LATER)
    return judged(not late.outside, "answered later" if late.outside else "never answered")


def _at_once(outcome: Outcome) -> Finding | None:
    """What an unsolicited SYN has shown already; None: it has met with silence so far."""
    if outcome.inside:
        return judged(True, "no SYN is unsolicited: filtering admits it")
    if outcome.outside:
        return judged(False, f"answered at once: {outcome.outside[0].flag_names or 'ICMP'}")
    return None


async def mapping_after_syn(prober: Prober) -> Finding:
    return await behaviour.survives_strays(prober, TCP)


# Timers

Alive = Callable[[Talk], Awaitable[bool]]


async def closes_after(prober: Prober, prepare: Alive, knock: Alive) -> int | None:
    """The shortest silence in whole seconds after `prepare` that `knock` does not survive."""

    async def alive(silence: float) -> bool:
        talk = new_talk(prober)
        if not await prepare(talk):
            return False
        await prober.wait(silence)
        return await knock(talk)

    return await shortest_fatal(alive, prober.patience)


async def syn_sent(talk: Talk) -> bool:
    return await talk.out(SYN)


async def answered(talk: Talk) -> bool:
    return await talk.back(SYN | ACK)


async def opened(talk: Talk) -> bool:
    return await talk.open()


async def spoken_to(talk: Talk) -> bool:
    return await talk.back(ACK, b"still there?")


async def half_closed(talk: Talk) -> bool:
    """Alice's FIN, acknowledged."""
    return await talk.open() and await talk.out(FIN | ACK) and await talk.back(ACK)


async def closing(talk: Talk) -> bool:
    """A FIN of each, of which the last is not acknowledged."""
    return await half_closed(talk) and await talk.back(FIN | ACK)


async def last_fin_again(talk: Talk) -> bool:
    """What xenia sends if her FIN, or the ACK of it, was lost."""
    return await talk.back_again(FIN | ACK)


async def reset(talk: Talk) -> bool:
    return await talk.open() and await talk.back(RST | ACK)


async def established_timeout(prober: Prober) -> Finding:
    seconds = {
        "open": await closes_after(prober, opened, spoken_to),
        "half closed": await closes_after(prober, half_closed, spoken_to),
    }
    return _at_least(prober, ESTABLISHED, seconds)


async def transitory_timeout(prober: Prober) -> Finding:
    seconds = {
        "opening": await closes_after(prober, syn_sent, answered),
        "closing": await closes_after(prober, closing, last_fin_again),
    }
    return _at_least(prober, TRANSITORY, seconds)


async def after_reset(prober: Prober) -> Finding:
    if not await reset(new_talk(prober)):
        return judged(False, "an RST is not passed on")
    return _at_least(prober, TRANSITORY, {"after an RST": await closes_after(prober, reset, spoken_to)})


def _at_least(prober: Prober, needed: int, found: dict[str, int | None]) -> Finding:
    most = f"more than {prober.patience:.0f} s"
    words = ", ".join(f"{most if seconds is None else f'{seconds} s'} {name}" for name, seconds in found.items())
    known = [seconds for seconds in found.values() if seconds is not None]
    if len(known) < len(found) and prober.patience < needed and all(seconds >= needed for seconds in known):
        return not_measured(f"longer than the {prober.patience:.0f} s that were tried")
    return judged(all(seconds >= needed for seconds in known), f"{words}; {needed} s needed")


# Ports, payloads, hairpinning


async def payloads(prober: Prober) -> Finding:
    """A call by SIP over a connection."""
    talk = Talk(prober, prober.alice(), prober.xenia(5060))
    words = behaviour.sip_call(talk.internal)
    if not await talk.open():
        return not_measured("no connection could be opened")
    came = await talk.said(ACK, words)
    return judged(came == words, "a SIP call came through " + ("as sent" if came == words else "altered"))


async def overloading(prober: Prober) -> Finding:
    return await behaviour.overloads(prober, TCP)


async def hairpinning(prober: Prober) -> Finding:
    return await behaviour.hairpins(prober, TCP)


MUST, SHOULD, _ = Level

REQUIREMENTS = (
    *(
        Requirement(5382, *row)
        for row in (
            ("REQ-1", MUST, "4.1", "An endpoint inside is seen at one external endpoint, by every remote.", mapping),
            ("REQ-1, early", MUST, "4.1", "... also by one whose SYN came too early.", mapping_after_syn),
            ("REQ-2", MUST, "4.2", "A connection opens, is half closed and closes as TCP may.", handshake),
            ("REQ-2, outside", MUST, "4.2", "So does one that is begun outside, if it is let in.", from_outside),
            ("REQ-2a", MUST, "4.2", "Two SYNs that cross open a connection: simultaneous open.", simultaneous_open),
            (
                "REQ-2, redial",
                MUST,
                "4.2",
                "A SYN from outside is accepted on a port that has dialled in vain.",
                redial,
            ),
            ("REQ-3", SHOULD, "4.3", "Filtering is endpoint-independent, or address-dependent.", filtering),
            ("REQ-4", MUST, "4.3", "An unsolicited SYN is not answered for 6 s.", unsolicited_syn),
            ("REQ-4, early", MUST, "4.3", "... and never, if a SYN goes out to its sender meanwhile.", early_syn),
            ("REQ-5", MUST, "5", "An idle connection, open or half closed, outlives 2:04 hours.", established_timeout),
            ("REQ-5, short", MUST, "5", "One that opens or closes outlives 4 minutes.", transitory_timeout),
            ("REQ-6", SHOULD, "6", "Payloads are left alone, but for FTP.", payloads),
            ("REQ-7", MUST, "7.1", "No two hosts are seen at one external endpoint: no port overloading.", overloading),
            ("REQ-8", MUST, "7.2", "Hosts inside reach each other at their external endpoints.", hairpinning),
        )
    ),
    Requirement(7857, "2.2", SHOULD, "2.2", "An RST is passed on, and its connection kept for 4 minutes.", after_reset),
)
