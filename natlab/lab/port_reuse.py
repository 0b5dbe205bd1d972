"""One port that both dials and listens: the scenes, the picture and the checks of the lesson on SO_REUSEPORT.

    alice ── home ── internet ── bob       alice dials bob; bob says where he sees her; carol dials that
                        │
                      carol

The NAT at home lets everybody in (endpoint-independent filtering), so that ports alone decide; and it chooses external
ports at random, so that no port is right by luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from natlab.lab.bare import BareHost, Refusal, attempt
from natlab.lab.bare_sockets import BareConnection, BareListener, BareSocket
from natlab.lab.checks import Feedback
from natlab.lab.figure import Figure
from natlab.lab.lab import Lab
from natlab.lab.ladder.layout import lay_out
from natlab.lab.ladder.picture import picture
from natlab.lab.ladder.plain import plain, sentence
from natlab.lab.ladder.steps import Step, StepKind, Stop
from natlab.lab.topology import Kind, Place
from natlab.sim import NatRouter
from natlab.wire import address

PORT = 4001
FLAGGED = {"neither": (False, False), "the first": (True, False), "the second": (False, True), "both": (True, True)}
"""Which of two sockets has SO_REUSEPORT, in words and as (first, second)."""
SHARED, IN_USE = "shared", "EADDRINUSE"


# ---- scenes


def three_hosts(seed: int, **axes: str) -> Lab:
    """Alice at home behind her NAT, Bob and Carol on the public internet.

    Args:
        axes: in what the NAT differs from one that lets everybody in and chooses ports at random.
    """
    lab = Lab(seed)
    lab.host("alice", behind=_home(lab, axes))
    lab.host("bob")
    lab.host("carol")
    return lab


def _home(lab: Lab, axes: Mapping[str, str]) -> NatRouter:
    open_to_all = {"filtering": "endpoint-independent", "port_allocation": "random"}
    return lab.nat("home", **{**open_to_all, **axes})  # type: ignore[arg-type]


async def sharing(host: BareHost, server: BareListener) -> pd.DataFrame:
    """Makes two TCP sockets for one port of `host`, in both orders, with and without the flag.

    Args:
        server: somebody to dial.

    Returns:
        a row for each order, a column for each way to set the flag: "shared", or the name of the error.
    """
    orders = {"listen, then dial from its port": _listen_then_dial, "dial, then listen at its port": _dial_then_listen}
    rows = [[await order(host, server, *flags) for flags in FLAGGED.values()] for order in orders.values()]
    return pd.DataFrame(rows, index=list(orders), columns=list(FLAGGED))


async def _listen_then_dial(host: BareHost, server: BareListener, first: bool, second: bool) -> str:
    listener = await host.listen(reuse_port=first)
    dialled = await attempt(host.dial(server, listener.local.port, reuse_port=second))
    return _verdict(listener, dialled)


async def _dial_then_listen(host: BareHost, server: BareListener, first: bool, second: bool) -> str:
    dialled = await host.dial(server, reuse_port=first)
    listener = await attempt(host.listen(dialled.local.port, reuse_port=second))
    return _verdict(dialled, listener)


def _verdict(*sockets: BareSocket | Refusal) -> str:
    """Closes the sockets; the last one's fate in a word."""
    for socket in sockets:
        if not isinstance(socket, Refusal):
            socket.close()
    return sockets[-1].name if isinstance(sockets[-1], Refusal) else SHARED


def play(lab: Lab, also: tuple[str, int] | None = None) -> BareConnection | Refusal:
    """The lesson in one go: Alice listens on a port and dials Bob from it; Carol dials where Bob sees her.

    Args:
        also: whom Alice dials before Carol does, and from which port; it need not succeed.
    """
    alice, bob, carol = (lab.hosts[name] for name in ("alice", "bob", "carol"))
    server = lab.run(bob.listen(PORT))
    lab.run(alice.listen(PORT, reuse_port=True))
    lab.run(alice.dial(server, PORT, reuse_port=True))
    seen = lab.run(server.accept()).remote
    if also is not None:
        whom, from_port = also
        lab.run(attempt(alice.dial(f"{lab.hosts[whom].ip}:{PORT}", from_port, reuse_port=True)))
    return lab.run(attempt(carol.dial(seen)))


def four_observers(seed: int, *, reuse_port: bool, **axes: str) -> Lab:
    """A libp2p node behind the same NAT dials four others. Each tells it where it is seen (specs `identify/README.md`).

    Args:
        reuse_port: whether it dials from the port it listens on.
        axes: as in `three_hosts`.
    """
    lab = Lab(seed)
    alice = lab.node("alice", behind=_home(lab, axes), reuse_port=reuse_port)
    for observer in lab.crowd(4):
        lab.run(alice.dial(observer))
    return lab


def reports(**labs: Lab) -> pd.DataFrame:
    """What the four observers tell Alice: she asks each of them over the connection that stands.

    Args:
        labs: what `four_observers` returned, by what to call its column.

    Returns:
        a row for each observer, a column for each lab: the multiaddr at which that observer sees her.
    """
    return pd.DataFrame({name: _reports(lab) for name, lab in labs.items()})


def _reports(lab: Lab) -> dict[str, str]:
    alice, *observers = lab.nodes.values()
    return {one.name: str(lab.run(alice.identify(one)).observed_address) for one in observers}


def stranger_dials(lab: Lab) -> BareConnection | Refusal:
    """Carol, to whom Alice never sent anything, dials where the four observers see Alice."""
    (observed,) = lab.nodes["alice"].observed_addresses
    return lab.run(attempt(lab.host("carol").dial(address.to_endpoint(observed))))


# ---- the picture in the question


def asked_picture() -> Figure:
    """What the asker thought happens, as a ladder: three claims, numbered. The lesson finds which of them are wrong."""
    places = [
        Place("alice", Kind.HOST, "knows no port"),
        Place("home", Kind.NAT, "in between"),
        Place("bob", Kind.HOST, "sees a port"),
        Place("carol", Kind.HOST, "wants in"),
    ]
    names = [place.name for place in places]
    steps = _asked_steps()
    layout = lay_out(steps, places)
    layout.times.clear()  # nothing of this was measured
    title = "The picture in the question (not what happens)"
    words = " ".join(f"{sentence(step).partition(': ')[2]}." for step in steps)
    return Figure(title, words, picture(layout, places, title, words, title), plain(steps, names))


def _asked_steps() -> list[Step]:
    def step(kind: StepKind, words: str, *stops: str) -> Step:
        start = 0.1 * next(clock)
        hops = tuple(Stop(start + 0.01 * number, place) for number, place in enumerate(stops))
        return Step(kind, "note", words, hops)

    clock = iter(range(10))
    return [
        step(StepKind.NOTE, "1: dials from a port X that it cannot know", "alice"),
        step(StepKind.PACKET, "SYN from X", "alice", "home", "bob"),
        step(StepKind.MESSAGE, "you are at X", "bob", "home", "alice"),
        step(StepKind.NOTE, "2: now makes a second socket, listening at X", "alice"),
        step(StepKind.MESSAGE, "alice is at X", "bob", "carol"),
        step(StepKind.PACKET, "SYN to X", "carol", "home", "alice"),
        step(StepKind.NOTE, "3: the second socket accepts", "alice"),
    ]


# ---- checks

DIALS = {"A": ("bob", PORT), "B": ("carol", PORT), "C": ("bob", PORT), "D": ("bob", 5000)}
"""The dials of an exercise, one after the other, all with the flag: letter -> (to whose port 4001, from which port)."""


def check_sharing(verdicts: Sequence[str]) -> Feedback:
    """Checks the verdicts on two sockets for one port, in the order of `FLAGGED`."""
    lab = three_hosts(0)
    server = lab.run(lab.hosts["bob"].listen(PORT))
    right = lab.run(sharing(lab.hosts["alice"], server)).iloc[0]
    if not isinstance(verdicts, Sequence) or len(verdicts) != len(right):
        return Feedback(False, f"Four words, for: {', '.join(FLAGGED)}.")
    for column, verdict in zip(right.index, verdicts, strict=True):
        if verdict not in (SHARED, IN_USE):
            return Feedback(False, f'For "{column}" write "{SHARED}" or "{IN_USE}".')
        if verdict != right[column]:
            return Feedback(False, f'Look again at "{column}": which of the two sockets has agreed to share?')
    return Feedback(True, "A port is shared by consent: every socket on it has to say so.")


def check_refused(letter: str | None) -> Feedback:
    """Checks which of `DIALS` the kernel refuses, by making them."""
    if letter not in list(DIALS):
        return Feedback(False, f"Write one of these letters: {', '.join(DIALS)}.")
    refused = _refused_dial()
    if letter == refused:
        return Feedback(
            True, "Its two endpoints are those of a connection that stands: no segment could be told apart."
        )
    return Feedback(False, "A connection is named by its two endpoints. Write down both for each dial, then compare.")


def _refused_dial() -> str | None:
    lab = three_hosts(0)
    for letter, (who, from_port) in DIALS.items():
        other = lab.hosts[who]
        if other.sockets.empty:
            lab.run(other.listen(PORT))
        dial = lab.hosts["alice"].dial(f"{other.ip}:{PORT}", from_port, reuse_port=True)
        if isinstance(lab.run(attempt(dial)), Refusal):
            return letter
    return None


def check_let_in(seed: int, dial: tuple[str, int] | None) -> Feedback:
    """Checks by which dial Alice lets Carol in through address-dependent filtering, by playing it.

    Args:
        dial: to whose port 4001, "bob" or "carol", and from which of her own ports.
    """
    match dial:
        case ("bob" | "carol" as whom, int(from_port)) if 0 < from_port < 2**16 and not isinstance(from_port, bool):
            pass
        case _:
            return Feedback(False, 'Write whom she dials, and from which port of hers: ("bob", 4001), for example.')
    if isinstance(play(three_hosts(seed, filtering="address-dependent"), (whom, from_port)), BareConnection):
        return Feedback(True, "Carol refuses that SYN, and gets in by it: something was sent to her from that mapping.")
    if whom == "bob":
        return Feedback(False, "Carol is still a stranger to the NAT. To whom does something have to be sent?")
    return Feedback(False, f"Port {from_port} has a mapping of its own. Through which one does Carol want to come in?")
