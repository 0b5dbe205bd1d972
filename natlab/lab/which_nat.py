"""What the lesson on classifying a NAT plays, shows and checks.

    host 1 ── box 1 ──┐
    host 2 ── box 2 ──┼── internet ──┬── stun       A1, ports 3478 and 3479
    host 3 ── box 3 ──┘              └── stun 2     A2, the same two ports

Nothing here looks into a box: verdicts are what a host behind it can measure, by STUN or from identify's answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import pandas as pd

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.lab import bad_input
from natlab.lab.bare_sockets import BareUdpSocket
from natlab.lab.checks import Feedback, is_change
from natlab.lab.classify import Classification
from natlab.lab.lab import Lab
from natlab.lab.raw_punch import Transport
from natlab.lab.views.frame import frame
from natlab.nat import Behaviour
from natlab.protocol.stun import PORT, binding_request
from natlab.wire import stun
from natlab.wire.stun import ChangeRequest, Message

__all__ = ["ask", "check_boxes", "check_disguise", "classify", "observers", "seen_at", "three_boxes", "verdicts"]

BOXES = {
    "box 1": Behaviour.ADDRESS_DEPENDENT,
    "box 2": Behaviour.ENDPOINT_INDEPENDENT,
    "box 3": Behaviour.ADDRESS_AND_PORT_DEPENDENT,
}
WORDS = ", ".join(f'"{behaviour}"' for behaviour in Behaviour)


class VerdictRow(NamedTuple):
    """
    Columns:
        preset: string, the NAT box.
        transport: string, udp or tcp.
        mapping, filtering: string, as measured.
        tests: int64, how many it took.
        seconds: float64, how long they took.
    """

    preset: str
    transport: str
    mapping: str
    filtering: str
    tests: int
    seconds: float


async def ask(socket: BareUdpSocket, server: Endpoint, change: ChangeRequest | None = None) -> Message:
    """One Binding Request from this socket, sent once, and the next message that comes."""
    await socket.send(stun.encode(binding_request(Random(0), change=change)), server)
    return stun.decode((await socket.receive()).data)


def three_boxes(seed: int) -> Lab:
    """Three hosts behind three boxes that map differently, and a STUN server with two addresses."""
    lab = Lab(seed)
    for number, (name, mapping) in enumerate(BOXES.items(), 1):
        box = lab.nat("office", name=name, mapping=mapping, port_allocation="random")
        lab.host(f"host {number}", behind=box)
    _serve(lab)
    return lab


def seen_at(lab: Lab) -> pd.DataFrame:
    """From which external endpoint the server sees port 5000 of each host of `three_boxes`: a column for each of the
    three server endpoints of RFC 5780's mapping tests.
    """
    first, second = lab.hosts["stun"].ip, lab.hosts["stun 2"].ip
    asked = {"I: A1, P1": (first, PORT), "II: A2, P1": (second, PORT), "III: A2, P2": (second, PORT + 1)}
    rows = {}
    for number, box in enumerate(BOXES, 1):
        socket = lab.run(lab.hosts[f"host {number}"].udp(5000))
        answers = [lab.run(ask(socket, Endpoint(*to))).xor_mapped_address for to in asked.values()]
        socket.close()
        rows[box] = [str(answer) for answer in answers]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(asked), dtype="string")


def classify(seed: int, preset: str, transport: Transport = "udp", **axes: str | float) -> tuple[Classification, float]:
    """What a host behind such a box finds out, and the virtual seconds it takes."""
    lab = Lab(seed, record=())
    alice = lab.host("alice", behind=lab.nat(preset, **axes))  # type: ignore[arg-type]  # axes only
    server = _serve(lab)
    return lab.run(alice.classify(server, transport)), lab.now


def verdicts(seed: int, presets: Sequence[str], transport: Transport = "udp") -> pd.DataFrame:
    """The verdict on each preset; columns as `VerdictRow`."""
    boxes = bad_input.checked_several(presets, "presets")
    return frame(VerdictRow, (_row(preset, transport, *classify(seed, preset, transport)) for preset in boxes))


def _row(preset: str, transport: str, found: Classification, seconds: float) -> VerdictRow:
    tests = len(found.discovery.probes)
    return VerdictRow(preset, transport, str(found.mapping), str(found.filtering), tests, round(seconds, 2))


def observers(seed: int, **axes: str | float) -> Lab:
    """A libp2p node behind a NAT dials four others, and each tells it where it is seen (specs `identify/README.md`)."""
    lab = Lab(seed)
    alice = lab.node("alice", behind=lab.nat("office", **axes))  # type: ignore[arg-type]  # axes only
    for observer in lab.crowd(4):
        lab.run(alice.dial(observer))
    return lab


def _serve(lab: Lab) -> Endpoint:
    return lab.run(lab.host("stun").serve_stun(lab.host("stun 2"))).endpoint


# ---- checks


def check_boxes(answers: Sequence[str]) -> Feedback:
    """Checks the mapping behaviours of the three boxes, in order."""
    if not isinstance(answers, Sequence) or len(answers) != len(BOXES):
        return Feedback(False, f"Three answers, each one of {WORDS}.")
    for (name, truth), answer in zip(BOXES.items(), answers, strict=True):
        if answer not in list(Behaviour):
            return Feedback(False, f"For {name} write one of {WORDS}.")
        if answer != truth:
            return Feedback(False, f"Look again at {name}: {_HINTS[truth]}")
    return Feedback(True, "Two comparisons, I with II and II with III, tell the three behaviours apart.")


_HINTS = {
    Behaviour.ENDPOINT_INDEPENDENT: "does the external endpoint change at all?",
    Behaviour.ADDRESS_DEPENDENT: "II and III go to one address. Did that change the endpoint?",
    Behaviour.ADDRESS_AND_PORT_DEPENDENT: "II and III differ in nothing but the port. Did that change the endpoint?",
}


def check_disguise(seed: int, axes: Mapping[str, str | float] | None) -> Feedback:
    """Checks a change of the "symmetric" box after which it is taken for endpoint-independent, by measuring it."""
    if not is_change(axes):
        return Feedback(False, 'Write what to change, e.g. {"filtering": ...}. What do the tests compare?')
    if "mapping" in axes:
        return Feedback(False, "Leave the mapping as it is: the box is to be *taken* for what it is not.")
    try:
        found, _ = classify(seed, "symmetric", "udp", **axes)
    except LabError as error:
        return Feedback(False, str(error))
    if found.mapping == Behaviour.ENDPOINT_INDEPENDENT:
        return Feedback(True, "A mapping for each destination, and all on one port, as long as no neighbour has it.")
    return Feedback(False, f"It is still found out: {found.mapping}. When would two mappings look the same outside?")
