"""Be the NAT box: six packets, and the mapping table to fill in by hand.

    alice ─┐                       ┌─ bob
           ├─ home ── internet ────┤
    carol ─┘                       └─ dave

    1   alice:5000 -> bob:7000
    2   alice:5000 -> dave:7000
    3   carol:5000 -> bob:7000
    4   alice:6000 -> bob:7000
    5   bob:7000   -> the endpoint that packet 1 was seen to come from
    6   dave:9999  -> the same endpoint

The reader writes the table's rows and, for each packet, which row it uses. `check_table` compares that with what the
box did and gives a hint about the first packet that differs. The hints are made from the box's behaviour and from what
happened, so they serve any mapping, filtering and port allocation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import MappingCreated, PacketSeen
from natlab.lab.checks import Feedback
from natlab.lab.lab import Lab

__all__ = ["check_filtering", "check_table", "six_packets"]

BOX = "home"
DROP = "drop"
OTHER = "other"  # an external port that nobody can foretell
PAUSE = 0.1  # seconds between two packets: each has arrived before the next one leaves


def six_packets(seed: int, preset: str = "home", **axes: str | float) -> Lab:
    """A lab in which the six packets have been sent.

    Args:
        preset, axes: the NAT box, as in `Lab.nat`.

    Raises:
        LabError: it is a firewall.
    """
    lab = Lab(seed)
    home = lab.nat(preset, name=BOX, **axes)  # type: ignore[arg-type]  # axes only
    if not home.translates:
        raise LabError(f"{preset} does not translate, so there is no mapping table to fill in: take a NAT")
    alice, carol = lab.host("alice", behind=home), lab.host("carol", behind=home)
    bob, dave = lab.host("bob"), lab.host("dave")
    first, second, third = (lab.run(socket) for socket in (alice.udp(5000), carol.udp(5000), alice.udp(6000)))
    server, other, stranger = (lab.run(socket) for socket in (bob.udp(7000), dave.udp(7000), dave.udp(9999)))
    for sender, receiver in ((first, server), (first, other), (second, server), (third, server)):
        lab.run(sender.send("hello", receiver))
        lab.advance(PAUSE)
    seen = lab.journal.of(MappingCreated)[0].external
    for sender in (server, stranger):
        lab.run(sender.send("hello", seen))
        lab.advance(PAUSE)
    return lab


def check_filtering(seed: int, filtering: str | None) -> Feedback:
    """Checks a guess at the filtering that lets packet 6 in, and still nobody to whom nothing was sent."""
    if not filtering:
        return Feedback(False, "Write one of the three filtering behaviours. What has Dave been sent, and where?")
    try:
        lab = six_packets(seed, filtering=filtering)
    except LabError as error:
        return Feedback(False, str(error))
    door = lab.journal.of(MappingCreated)[0].external
    eve = lab.run(lab.host("eve").udp(7000))
    lab.run(eve.send("hello", door))
    lab.advance(PAUSE)
    dave_in, eve_in = (seen.before is not None for seen in _at_box(lab)[-2:])
    if not dave_in:
        return Feedback(False, "Dave's packet 6 is dropped. His address is known, but his port is not: ask for less.")
    if eve_in:
        return Feedback(False, "Packet 6 gets in, and so does Eve, whom nobody knows. Let the address matter.")
    return Feedback(True, "Dave may use any port, since something was sent to his address. Eve may not.")


def check_table(lab: Lab, table: Sequence[tuple[str, int | str]], rows: Mapping[int, int | str]) -> Feedback:
    """Checks a mapping table filled in by hand; talks about the first packet that goes wrong.

    Args:
        lab: what `six_packets` returned.
        table: a row for each mapping in the order they were made: internal endpoint as "alice:5000", external port,
            or "other" for a port that nobody can foretell.
        rows: for each packet, 1 to 6, the number of the row it uses, counted from 1, or "drop".
    """
    facts = _facts(lab) if isinstance(lab, Lab) else []
    if not isinstance(table, Sequence) or not isinstance(rows, Mapping):
        return Feedback(False, 'The table is a list of pairs, [("alice:5000", 5000)]; the rows a dictionary, {1: 1}.')
    if len(facts) != 6:
        return Feedback(False, "These are not the six packets: make the lab with six_packets(seed).")
    for number, fact in enumerate(facts, 1):
        problem = _row_problem(fact, _number(rows.get(number, "?")), len(table))
        problem = problem or _content_problem(lab, facts, fact, table)
        if problem:
            return Feedback(False, f"Packet {number}: {problem}")
    made = max(fact.row or 0 for fact in facts)
    if len(table) > made:
        return Feedback(False, f"All six packets are right, but which of them made row {made + 1} of your table?")
    return Feedback(True, f"Six packets, {made} mappings, and you knew each of them.")


def _number(answer: int | str) -> int | str:
    """What was written, as a number if it may be a row or a port."""
    short = isinstance(answer, str) and answer.isascii() and answer.isdecimal() and len(answer) <= 5
    return int(answer) if short else answer


def _at_box(lab: Lab) -> list[PacketSeen]:
    return [seen for seen in lab.journal.of(PacketSeen) if seen.place == BOX]


@dataclass(frozen=True, slots=True)
class _Fact:
    """What the box did with one packet.

    Attributes:
        row: number of the mapping it used, None if it was dropped.
        mapping: that mapping as it was made.
        new: whether this packet made it.
        remote: the endpoint on the internet that sent it, or that it is for.
    """

    outbound: bool
    row: int | None
    mapping: MappingCreated | None
    new: bool
    remote: Endpoint


def _facts(lab: Lab) -> list[_Fact]:
    """The box's treatment of each packet, in order."""
    made: list[MappingCreated] = []
    facts: list[_Fact] = []
    new = False
    for event in lab.journal.events:
        if isinstance(event, MappingCreated):
            made.append(event)
            new = True
        elif isinstance(event, PacketSeen) and event.place == BOX:
            facts.append(_fact(event, made, new))
            new = False
    return facts


def _fact(seen: PacketSeen, made: Sequence[MappingCreated], new: bool) -> _Fact:
    packet, before = seen.packet, seen.before
    if before is None:
        return _Fact(False, None, None, False, packet.source)
    outbound = packet.source != before.source
    external, remote = (packet.source, packet.destination) if outbound else (before.destination, packet.source)
    holders = [row for row, mapping in enumerate(made, 1) if mapping.external == external]
    if not holders:
        return _Fact(outbound, None, None, False, remote)
    row = next((row for row in holders if made[row - 1].remote in ("", remote.ip, str(remote))), holders[0])
    return _Fact(outbound, row, made[row - 1], new, remote)


def _row_problem(fact: _Fact, answer: int | str, rows: int) -> str:
    """A hint if the packet does not use the row that was answered, else ""."""
    if answer == (DROP if fact.row is None else fact.row):
        return "" if fact.row is None or fact.row <= rows else "it uses a row that your table does not have yet."
    if answer != DROP and not isinstance(answer, int):
        return _OPEN_QUESTIONS[fact.outbound]
    if fact.mapping is None:
        return (
            f"somebody inside does use that port. But which packets has {fact.remote} been sent through it so far? "
            "The box filters."
        )
    if answer == DROP:
        return (
            "what comes from inside always gets out."
            if fact.outbound
            else f"{fact.remote} was sent something through that port before. It may answer."
        )
    if not fact.outbound:
        return "it is for an external endpoint. In which row does that stand, towards this sender?"
    if not fact.new:
        return "there is a row that fits it already; a box makes a new one only if it finds none."
    if fact.mapping.remote:
        return "this box's rows hold for one destination only. Which packet has gone there before?"
    return "two internal endpoints never share a row, and an endpoint is an address *and* a port."


_OPEN_QUESTIONS = {
    True: "it comes from inside. Is there a row that it can use, or does it make a new one?",
    False: 'it comes from outside. Whose row is that port, and may this sender use it? If not, write "drop".',
}


def _content_problem(lab: Lab, facts: Sequence[_Fact], fact: _Fact, table: Sequence[tuple[str, int | str]]) -> str:
    """A hint if the row the packet uses is filled in wrongly, else ""."""
    if fact.row is None or fact.mapping is None:
        return ""
    row = table[fact.row - 1]
    if not isinstance(row, tuple | list) or len(row) != 2:
        return f'row {fact.row} is a pair, like ("alice:5000", 5000).'
    internal, port = row
    truth = fact.mapping
    names = {place.ip: place.name for place in lab.places}
    if internal not in (str(truth.internal), f"{names[truth.internal.ip]}:{truth.internal.port}"):
        return f"row {fact.row} begins with the endpoint that the packet has on the inside: who sends it, which port?"
    kept = truth.external.port == truth.internal.port
    if _number(port) == truth.external.port or (not kept and port == OTHER):
        return ""
    if kept:
        return f"row {fact.row}: this box keeps the internal port as long as nobody else inside holds it."
    rivals = [other.mapping for other in facts[: facts.index(fact)] if other.mapping]
    if any(rival.external.port == truth.internal.port for rival in rivals):
        return f"row {fact.row}: somebody else inside holds port {truth.internal.port}. A port has one owner at a time."
    return f'row {fact.row}: this box draws a random port for each row. Nobody can foretell it: write "other".'
