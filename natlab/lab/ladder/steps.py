"""What a ladder is made of: steps, in the order they began.

    packet    one packet on its whole way: sent, translated at each NAT, delivered or dropped
    message   what one node said to another over a connection (CONNECT, SYNC), through a relay if that is its way
    note      something at one place: a dial begins, a connection stands, a reservation is granted

A TCP connection is mostly data and acknowledgements, and a ladder that draws all of them shows none. So the reader
chooses what to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHOWABLE = {
    "handshake": "TCP segments with SYN or RST",
    "data": "TCP segments with payload",
    "ack": "TCP segments with nothing but an acknowledgement",
    "closing": "TCP segments with FIN",
    "udp": "datagrams",
    "icmp": "ICMP: pings and errors",
    "drop": "any packet that was dropped or lost",
    "message": "messages of the libp2p protocols",
    "note": "dials, connections, reservations and their ends",
    "observation": "observed addresses as they are told",
}
SHOWN = ("handshake", "udp", "icmp", "drop", "message", "note")
"""What a ladder shows unless asked for something else."""


class StepKind(StrEnum):
    PACKET = "packet"
    MESSAGE = "message"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Stop:
    """A step at one place, `time` in seconds. `label` says how a NAT box rewrote the packet, "" elsewhere."""

    time: float
    place: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow (two stops or more) or one note (one stop).

    Attributes:
        kind: packet, message or note.
        topic: the word of `SHOWABLE` that selects it.
        label: what it is, in a word or two.
        stops: where it was and when, in order.
        detail: what the label leaves out, e.g. whom a packet is for.
        end: "" if it arrived, else what stopped it.
        again: seconds at which the same packet was sent again and ended the same way.
    """

    kind: StepKind
    topic: str
    label: str
    stops: tuple[Stop, ...]
    detail: str = ""
    end: str = ""
    again: tuple[float, ...] = ()

    @property
    def time(self) -> float:
        return self.stops[0].time

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(stop.place for stop in self.stops)

    @property
    def text(self) -> str:
        return f"{self.label} {self.detail}".rstrip()

    @property
    def ending(self) -> str:
        """What stopped it, and when it was tried again."""
        if not self.again:
            return self.end
        times = ", ".join(f"{time:.3f}" for time in self.again[:4]) + (" ..." if len(self.again) > 4 else "")
        return f"{self.end}; again at {times} s".removeprefix("; ")
