"""Arrows for messages and notes for what nodes did.

A message is reported by both its ends, so a report of sending is joined with the next report of receiving the same
message. DCUtR's messages travel on a relayed connection (specs `relay/DCUtR.md`), so their arrows bend at the relay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from natlab.events import (
    AddressObserved,
    CircuitEnded,
    ConnectionClosed,
    ConnectionOpened,
    DialFailed,
    Event,
    HandlerFailed,
    LinkCut,
    LinkHealed,
    MessageSeen,
    PunchDialled,
    PunchEnded,
    Rebooted,
    Reserved,
)
from natlab.lab.ladder.steps import Step, StepKind, Stop
from natlab.lab.views.connections import relay_of
from natlab.lab.views.frame import Names, named, who


def message_steps(events: Iterable[Event], names: Names) -> list[Step]:
    """An arrow for each message that arrived, a note for each that did not, in the order they were sent."""
    reader = _Reader(names)
    for event in events:
        match event:
            case ConnectionOpened(path="relayed"):
                reader.learn_relay(event)
            case MessageSeen(sent=True):
                reader.sent(event)
            case MessageSeen(sent=False):
                reader.received(event)
            case _:
                pass
    return sorted(reader.steps, key=lambda step: step.time)


@dataclass(slots=True)
class _Reader:
    """Joins the two reports of each message."""

    names: Names
    steps: list[Step] = field(default_factory=list)
    _on_the_way: dict[tuple[str, ...], list[int]] = field(default_factory=dict)  # message -> indices into steps
    _relays: dict[tuple[str, str], str] = field(default_factory=dict)

    def learn_relay(self, event: ConnectionOpened) -> None:
        if relay := relay_of(event, self.names):
            self._relays[_pair(event.place, who(event.peer, self.names))] = relay

    def sent(self, event: MessageSeen) -> None:
        peer = who(event.peer, self.names)
        self._on_the_way.setdefault((event.place, peer, event.protocol, event.name), []).append(len(self.steps))
        self.steps.append(_message(event, f"to {peer}", (Stop(event.time, event.place),)))

    def received(self, event: MessageSeen) -> None:
        """Turns the sender's note into an arrow; a message of a stranger stays a note at the receiver."""
        peer = who(event.peer, self.names)
        waiting = self._on_the_way.get((peer, event.place, event.protocol, event.name))
        if not waiting:
            self.steps.append(_message(event, f"from {peer}", (Stop(event.time, event.place),)))
            return
        index = waiting.pop(0)
        start, end = self.steps[index].stops[0], Stop(event.time, event.place)
        relay = self._relays.get(_pair(event.place, peer)) if event.protocol == "/libp2p/dcutr" else None
        halfway = (Stop((start.time + end.time) / 2, relay),) if relay else ()
        self.steps[index] = _message(event, "", (start, *halfway, end))


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _message(event: MessageSeen, detail: str, stops: tuple[Stop, ...]) -> Step:
    kind = StepKind.NOTE if len(stops) == 1 else StepKind.MESSAGE
    return Step(kind, "message", f"{event.name} ({_short(event.protocol)})", stops, detail)


def _short(protocol: str) -> str:
    """The telling part of a protocol ID: `/libp2p/circuit/relay/0.2.0/hop` is "hop", `/ipfs/id/1.0.0` "id"."""
    words = [word for word in protocol.split("/") if word and not word[0].isdecimal()]
    return words[-1] if words else protocol


def note_steps(events: Iterable[Event], names: Names) -> list[Step]:
    """A note for each thing a node did or found out."""
    return [
        Step(StepKind.NOTE, topic, text, (Stop(event.time, event.place),))
        for event in events
        for topic, text in _note(event, names)
    ]


def _note(event: Event, names: Names) -> list[tuple[str, str]]:
    """The topic and words of a note; nothing for events that are no notes."""
    match event:
        case PunchDialled():
            return [("note", f"dials {who(event.peer, names)} ({event.role}, attempt {event.attempt})")]
        case PunchEnded():
            return [("note", f"{_attempt(event.attempt)}: {_first_line(event.outcome, names)}")]
        case ConnectionOpened():
            how = "" if event.opened_by == "dial" else f", by {event.opened_by}"
            return [("note", f"{event.path} connection to {who(event.peer, names)}{how}")]
        case ConnectionClosed():
            return [("note", f"connection to {who(event.peer, names)} closed: {_first_line(event.reason, names)}")]
        case CircuitEnded():
            ends = f"{who(event.source, names)} to {who(event.target, names)}"
            return [("note", f"circuit from {ends} ended: {named(event.reason, names)}")]
        case Reserved():
            return [("note", f"reservation on {who(event.relay, names)}: {event.status}")]
        case DialFailed():
            return [("note", f"dial to {who(event.peer, names)} failed: {_first_line(event.cause, names)}")]
        case HandlerFailed():
            return [("note", f"{_short(event.protocol)} ended: {_first_line(event.cause, names)}")]
        case LinkCut():
            return [("note", "link cut")]
        case LinkHealed():
            return [("note", "link healed")]
        case Rebooted():
            return [("note", f"rebooted: forgot everything, now at {', '.join(event.external_ips)}")]
        case AddressObserved():
            return [("observation", f"{who(event.observer, names)} sees it at {event.address}")]
        case _:
            return []


def _attempt(number: int) -> str:
    return f"attempt {number}" if number else "connection reversal"


def _first_line(words: str, names: Names) -> str:
    return named(words.partition("\n")[0], names)
