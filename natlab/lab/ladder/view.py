"""From a journal to the ladder a notebook shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from natlab.errors import LabError
from natlab.events import Event
from natlab.lab.figure import Figure
from natlab.lab.ladder.dialogue import message_steps, note_steps
from natlab.lab.ladder.layout import lay_out
from natlab.lab.ladder.packets import packet_steps
from natlab.lab.ladder.picture import picture
from natlab.lab.ladder.plain import brief, plain, sentence
from natlab.lab.ladder.steps import SHOWABLE, SHOWN, Step
from natlab.lab.topology import CORE, Topology
from natlab.lab.views.frame import Names

MOST_STEPS = 150  # more than that nobody reads; the ladder says how many it left out
MOST_TOLD = 30  # in alt text, through which a listener cannot skim


def ladder(
    events: Iterable[Event],
    topology: Topology,
    names: Names,
    hosts: Sequence[str],
    *,
    since: float = 0.0,
    until: float = math.inf,
    show: Collection[str] = SHOWN,
) -> Figure:
    """The packet ladder of some hosts and the NAT boxes in front of them.

    Args:
        hosts: who gets a line, left to right; NAT boxes are added by themselves.
        since, until: seconds since the lab began; what begins outside is left out.
        show: words of `SHOWABLE`.

    Raises:
        LabError: no host, or no such thing to show.
    """
    places, visible, chosen = _choose(list(events), topology, names, hosts, since, until, show)
    kept = chosen[:MOST_STEPS]
    title = f"Packet ladder of {', '.join(places)}" + (f", {kept[0].time:.3f} s to {_end(kept):.3f} s" if kept else "")
    footer = _footer(visible, chosen, len(chosen) - len(kept))
    description = " ".join([*(f"{sentence(step)}." for step in kept), footer]).rstrip() if kept else "Nothing happened."
    lines = [topology[place] for place in places]
    art = picture(lay_out(kept, lines), lines, title, description, footer)
    return Figure(title, _gist(kept), art, "\n".join([plain(kept, places), footer]).rstrip())


def moments(
    events: Iterable[Event],
    topology: Topology,
    names: Names,
    hosts: Sequence[str],
    *,
    since: float = 0.0,
    until: float = math.inf,
    show: Collection[str] = SHOWN,
) -> list[float]:
    """When the steps of such a ladder begin, each time once. Arguments and errors are those of `ladder`."""
    _, _, chosen = _choose(list(events), topology, names, hosts, since, until, show)
    return sorted({step.time for step in chosen[:MOST_STEPS]})


def _choose(
    events: list[Event],
    topology: Topology,
    names: Names,
    hosts: Sequence[str],
    since: float,
    until: float,
    show: Collection[str],
) -> tuple[Sequence[str], list[Step], list[Step]]:
    """The lines of the ladder, the steps between them, and those of them to be shown."""
    _check(hosts, show)
    found = _all_steps(events, names, since, until)
    places = topology.in_line(hosts, core=any(_with_the_core(step, hosts) for step in found))
    visible = [cut for step in found if (cut := _within(step, places))]
    return places, visible, [step for step in visible if step.topic in show or ("drop" in show and step.end)]


def _check(hosts: Sequence[str], show: Collection[str]) -> None:
    if isinstance(show, str) or not isinstance(show, Collection):
        raise LabError(f"show= is a list of words, such as [{SHOWN[0]!r}], not {show!r}")
    if not hosts:
        raise LabError("a ladder needs a host: make one with lab.node(name)")
    for word in show:
        if word not in SHOWABLE:
            raise LabError(f"a ladder cannot show {word!r} (it can show: {', '.join(SHOWABLE)})")


def _all_steps(events: list[Event], names: Names, since: float, until: float) -> list[Step]:
    """Everything that began in this time, in the order it did; at equal times notes first, since they say why."""
    said = [step for step in (*note_steps(events, names), *message_steps(events, names)) if since <= step.time <= until]
    return sorted([*said, *packet_steps(events, since, until)], key=lambda step: step.time)


def _within(step: Step, places: Sequence[str]) -> Step | None:
    """The step without stops that have no line here; None if it begins or ends at one of those."""
    if step.places[0] not in places or step.places[-1] not in places:
        return None
    return replace(step, stops=tuple(stop for stop in step.stops if stop.place in places))


def _with_the_core(step: Step, hosts: Sequence[str]) -> bool:
    """Whether it goes from one of the hosts to the core, or from there to one of them."""
    first, last = step.places[0], step.places[-1]
    return (first in hosts and last == CORE) or (first == CORE and last in hosts)


def _end(steps: Sequence[Step]) -> float:
    return max(stop.time for step in steps for stop in step.stops)


def _footer(visible: Sequence[Step], chosen: Sequence[Step], cut: int) -> str:
    """What the ladder does not show."""
    hidden = Counter(step.topic for step in visible) - Counter(step.topic for step in chosen)
    counts = ", ".join(f"{hidden[topic]} {topic}" for topic in SHOWABLE if hidden[topic])
    notes = [f"Not drawn: {counts} (show= chooses)."] if counts else []
    return " ".join([*notes, *([f"The last {cut} steps are cut: choose since= and until=."] if cut else [])])


def _gist(steps: Sequence[Step]) -> str:
    """Alt text: who did what, in order; when and at which endpoints is for the description."""
    if not steps:
        return "Nothing happened."
    more = len(steps) - MOST_TOLD
    return "; ".join([*map(brief, steps[:MOST_TOLD]), *([f"and {more} steps more"] if more > 0 else [])]) + "."
