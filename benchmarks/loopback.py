"""natlab's node over the operating system's loopback, beside go-libp2p, py-libp2p and js-libp2p, and the crypto floor.

Each implementation is a listener and a dialer, two processes that speak with each other only. TCP and Yamux; Noise,
except for go-libp2p's default, TLS. All have no use for a second computer, so loopback's bandwidth and delay are not
what is measured: processor time is.

    dial to ready     from the call until the connection is encrypted and muxed; the same listener again and again
    with identify     from the call until identify has been exchanged too, as `dial` here and `Connect` in go do
    20 at once        twenty nodes of one process dial one listener at the same moment; until the last one is ready
    ping              32 bytes there and back over a stream that is open
    one stream        bytes per second, until the receiver says that it has them all
    idle memory       of a listener that nobody has dialled
    per connection    by how much a listener grows with each of 80 connections, after 20 others
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from benchmarks import floor, subjects
from benchmarks.building import NotHere
from benchmarks.pairs import Measurement, paired
from benchmarks.subjects import Subject
from benchmarks.table import Aim, Row, Skipped

RIVALS: dict[str, Callable[[], list[str]]] = {
    "go Noise": lambda: subjects.go("noise"),
    "go TLS": lambda: subjects.go("tls"),
    "py-libp2p": subjects.py,
    "js-libp2p": subjects.js,
}
DIALS = 20  # of one half of a pair
PINGS = 200
STREAM = 32 << 20  # bytes
SLOW_STREAM = 4 << 20  # bytes, for whom the others would wait
CROWD = 20


def rows() -> Iterator[Row | Skipped]:
    commands: dict[str, list[str]] = {}
    for name, build in RIVALS.items():  # before the network is taken away
        try:
            commands[name] = build()
        except NotHere as reason:
            yield Skipped(f"beside {name}", str(reason))
    try:
        with subjects.empty_network():
            yield from beside_the_floors()
            for name, command in commands.items():
                yield from beside(name, command)
    except NotHere as reason:
        yield Skipped("the node over loopback", str(reason))


def beside_the_floors() -> Iterator[Row]:
    """What the cryptography alone takes, and for a ping what asyncio alone takes."""
    with Subject(subjects.natlab()) as ours, Subject(subjects.echo()) as echo:
        dial(ours, "ready")
        yield _row("dial to ready", "ms", lambda: dial(ours, "ready"), "crypto floor", _floor_dial, Aim(3.5))
        yield _row("ping", "us", lambda: ping(ours), "crypto floor", _floor_ping)
        yield _row("ping", "us", lambda: ping(ours), "asyncio echo", lambda: ping(echo))
        yield _row("one stream", "MB/s", lambda: stream(ours, STREAM), "crypto floor", _floor_stream)


def beside(name: str, command: list[str]) -> Iterator[Row]:
    aim = AIMS.get(name, {})
    with Subject(subjects.natlab()) as ours, Subject(command) as theirs:
        yield from memory(name, ours, theirs)
    with Subject(subjects.natlab()) as ours, Subject(command) as theirs:
        dial(ours, "ready"), dial(theirs, "ready")  # warm up

        def both(what: str, unit: str, measure: Callable[[Subject], float], pairs: int = 5) -> Row:
            return _row(what, unit, lambda: measure(ours), name, lambda: measure(theirs), aim.get(what), pairs)

        yield both("dial to ready", "ms", lambda subject: dial(subject, "ready"))
        if name != "py-libp2p":  # which does not say when
            yield both("with identify", "ms", lambda subject: dial(subject, "identified"))
        yield both("20 at once", "ms", crowd, 3)
        yield both("ping", "us", ping)
        size = SLOW_STREAM if name == "py-libp2p" else STREAM
        yield both("one stream", "MB/s", lambda subject: stream(subject, size), 3)


AIMS = {
    "go Noise": {
        "dial to ready": Aim(1.2),
        "with identify": Aim(1.0),
        "ping": Aim(2.0),
        "one stream": Aim(1.0, at_least=True),
        "memory per connection": Aim(0.15),
    },
    "py-libp2p": {"dial to ready": Aim(0.2), "one stream": Aim(6.0, at_least=True)},
}


def dial(subject: Subject, until: str) -> float:
    """Milliseconds, the median of a series."""
    return 1e3 * float(median(subject.tell("dial", DIALS)[until]))


def crowd(subject: Subject) -> float:
    """Milliseconds."""
    return 1e3 * float(subject.tell("crowd", CROWD)["seconds"])


def ping(subject: Subject) -> float:
    """Microseconds, the median of a series."""
    return 1e6 * float(median(subject.tell("ping", PINGS)["rtt"]))


def stream(subject: Subject, size: int) -> float:
    """Megabytes per second."""
    return size / 1e6 / float(subject.tell("send", size)["seconds"])


def memory(name: str, ours: Subject, theirs: Subject) -> Iterator[Row]:
    aim = AIMS.get(name, {}).get("memory per connection")
    idle = [subject.listener_bytes() / 2**20 for subject in (ours, theirs)]
    yield Row("idle memory", "MiB", idle[0], name, idle[1], idle[0] / idle[1])
    each = [_growth(subject) / 1024 for subject in (ours, theirs)]
    yield Row("memory per connection", "KiB", each[0], name, each[1], each[0] / each[1], aim)


def _growth(subject: Subject) -> float:
    """Bytes for each connection after the first twenty."""
    subject.tell("crowd", CROWD)
    before = subject.listener_bytes()
    for _ in range(4):
        subject.tell("crowd", CROWD)
    return (subject.listener_bytes() - before) / (4 * CROWD)


def _floor_dial() -> float:
    return 1e3 * floor.handshake_seconds()


def _floor_ping() -> float:
    return 1e6 * floor.ping_seconds()


def _floor_stream() -> float:
    return STREAM / 1e6 / floor.stream_seconds(STREAM)


def _row(
    what: str,
    unit: str,
    ours: Measurement,
    name: str,
    theirs: Measurement,
    aim: Aim | None = None,
    pairs: int = 5,
) -> Row:
    pair = paired(ours, theirs, pairs)
    return Row(what, unit, pair.ours, name, pair.theirs, pair.ratio, aim)
