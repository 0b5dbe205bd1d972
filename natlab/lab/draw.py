"""`lab.draw()`: what is connected to what, and who can reach whom.

     ┌───────┐                       public hosts
     │ relay │
═════╧═══════╧═════  internet
  ┌──────┐ ┌────────┐
  │ home │ │ office │                NAT boxes
  └──┬───┘ └───┬────┘
 ┌───┴───┐ ┌───┴───┐
 │ alice │ │  bob  │                 the hosts behind them
 └───────┘ └───────┘
     ╰── punched ──╯                 one curve per pair of hosts, from the reachability graph
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import networkx as nx

from natlab.errors import LabError
from natlab.lab import svg
from natlab.lab.figure import Figure
from natlab.lab.palette import FAINT, GREEN, INK, MUTED, PAPER, VERMILION, colour
from natlab.lab.svg import Area, Point
from natlab.lab.topology import BOXES, COMPUTERS, Place, Topology

_SLOT, _ROW, _WIDE, _HIGH, _TOP = 260.0, 92.0, 124.0, 44.0, 40.0  # px
_FEW = 4  # hosts side by side that may have wide slots
_ALONG = (12, 14, 10, 16, 8, 18, 6, 20, 4)  # of the 24 parts of a curve: where its words may stand, best first
_STYLES = {  # how -> (line, dashes): the line says how, the words on it say it again
    "dialled": (GREEN, ""),
    "punched": (GREEN, ""),
    "relayed": (MUTED, "7 4"),
    "failed": (VERMILION, "2 4"),
}


def draw(topology: Topology, graph: nx.DiGraph[str], hosts: Sequence[str]) -> Figure:
    """The picture of some hosts, the NAT boxes in front of them, and the edges between them.

    Args:
        graph: as `natlab.lab.views.reachability` makes it.

    Raises:
        LabError: no host.
    """
    if not any(topology[name].kind in COMPUTERS for name in hosts):
        raise LabError("a map needs a computer: name one, or make one with lab.node(name)")
    shown = [topology[name] for name in _with_nats(topology, hosts)]
    pairs = _pairs(graph, hosts)
    verdicts = {name: str(graph.nodes[name]["verdict"]) for name in hosts if name in graph}
    captions = {place.name: _caption(place, verdicts.get(place.name, "")) for place in shown}
    slot = _slot(topology, shown, captions)
    at = _positions(topology, shown, slot)
    boxes = {place.name: _box(place, at[place.name], captions[place.name]) for place in shown}
    title = "Who is where, and who can reach whom"
    lines = [_plain(place, topology, verdicts) for place in shown] + [_edge_text(*pair) for pair in pairs]
    shapes = _wires(topology, shown, at)
    curves = [_curve(pair, at, topology) for pair in pairs]
    shapes += [shape for pair, curve in zip(pairs, curves, strict=True) for shape in _edge(pair, curve)]
    shapes += [shape for place in shown for shape in _place(place, boxes[place.name], captions[place.name])]
    taken = list(boxes.values())
    shapes += [shape for pair, curve in zip(pairs, curves, strict=True) for shape in _words(pair, curve, taken)]
    width = max(x for x, _ in at.values()) + slot / 2
    height = max([y for _, y in at.values()] + [y - _HIGH for curve in curves for _, y in curve]) + _HIGH + 26
    alt = "; ".join(line.strip() for line in lines) + "."
    return Figure(title, alt, svg.document(width, height, title, alt, shapes), "\n".join(lines))


def _with_nats(topology: Topology, hosts: Sequence[str]) -> list[str]:
    """Public hosts first, then each NAT box followed by who is behind it."""
    public = [host for host in hosts if not topology[host].behind]
    hidden = [place for host in hosts if topology[host].behind for place in reversed(topology.way_out(host))]
    return list(dict.fromkeys([*public, *hidden]))


def _rows(topology: Topology, shown: Sequence[Place]) -> tuple[list[Place], list[Place]]:
    """The hosts in public, and those behind boxes: neighbours behind one box side by side."""
    order = {place.name: number for number, place in enumerate(shown)}
    hosts = [place for place in shown if place.kind not in BOXES]
    hidden = [host for host in hosts if host.behind]
    hidden.sort(key=lambda host: [order[box] for box in reversed(topology.way_out(host.name)[1:])])
    return [host for host in hosts if not host.behind], hidden


def _slot(topology: Topology, shown: Sequence[Place], captions: dict[str, str]) -> float:
    """How far apart hosts stand: many of them as close as their captions allow."""
    needed = max(_width(place, captions[place.name]) for place in shown) + 20
    return max(needed, _SLOT) if max(map(len, _rows(topology, shown))) <= _FEW else needed


def _positions(topology: Topology, shown: Sequence[Place], slot: float) -> dict[str, Point]:
    """The top centre of each box: hosts side by side, a NAT box above the middle of what is behind it."""
    public, leaves = _rows(topology, shown)
    hidden = [place for place in shown if place not in public]
    whole = slot * max(len(public), len(leaves))
    at = {place.name: (whole * (index + 0.5) / len(public), _TOP) for index, place in enumerate(public)}
    bottom = max((_depth(topology, leaf.name) for leaf in leaves), default=0.0)
    for index, leaf in enumerate(leaves):
        at[leaf.name] = (whole * (index + 0.5) / len(leaves), bottom)
    for place in reversed(hidden):
        if place.kind in BOXES:
            inside = [at[other.name][0] for other in hidden if other.behind == place.name]
            at[place.name] = (sum(inside) / len(inside), _depth(topology, place.name))
    return at


def _depth(topology: Topology, name: str) -> float:
    return _TOP + 20 + _ROW * len(topology.way_out(name))


def _wires(topology: Topology, shown: Sequence[Place], at: dict[str, Point]) -> list[str]:
    """The cables: from each place to its NAT box, or to the internet."""
    bar = _TOP + _ROW - 8
    ends = [x for x, _ in at.values()]
    left, right = min(ends) - _WIDE / 2, max(ends) + _WIDE / 2
    shapes = [svg.line([(left, bar), (right, bar)], FAINT, 10.0), svg.text((left, bar - 9), "internet", MUTED)]
    for place in shown:
        x, y = at[place.name]
        up = at[place.behind] if place.behind else (x, bar - _HIGH)
        shapes.append(svg.line([(x, y), (up[0], up[1] + _HIGH)], FAINT, 4.0))
    return shapes


def _caption(place: Place, verdict: str) -> str:
    """What stands below a name."""
    if place.kind in BOXES:
        return f"{place.kind} {place.ip}"
    return ", ".join(filter(None, (place.ips, verdict, place.through and f"tunnel through {place.through}")))


def _width(place: Place, caption: str) -> float:
    return max(_WIDE, svg.text_width(caption) + 14, svg.text_width(place.name, bold=True) + 14)


def _box(place: Place, top: Point, caption: str) -> Area:
    (x, y), width = top, _width(place, caption)
    return Area(x - width / 2, x + width / 2, y, y + _HIGH)


def _place(place: Place, box: Area, caption: str) -> list[str]:
    x, nat = (box.left + box.right) / 2, place.kind in BOXES
    stroke = MUTED if nat else colour(place.name)
    return [
        svg.box(box.left, box.top, box.right - box.left, _HIGH, PAPER, stroke, "4 3" if nat else ""),
        svg.text((x, box.top + 19), place.name, INK, "middle", bold=True),
        svg.text((x, box.top + 34), caption, MUTED, "middle"),
    ]


Pair = tuple[str, str, str]  # from, to, how


def _pairs(graph: nx.DiGraph[str], hosts: Sequence[str]) -> list[Pair]:
    """One entry per two hosts that have to do with each other: the direction that says more."""
    found: list[Pair] = []
    for number, one in enumerate(hosts):
        for other in hosts[number + 1 :]:
            ways = [
                (a, b, str(graph.edges[a, b]["how"]))
                for a, b in ((one, other), (other, one))
                if b in graph.adj.get(a, {})
            ]
            found += sorted((way for way in ways if way[2] in _STYLES), key=lambda way: list(_STYLES).index(way[2]))[:1]
    return found


def _curve(pair: Pair, at: dict[str, Point], topology: Topology) -> list[Point]:
    """The line between two hosts: below those behind NATs, above those in public."""
    source, target, _ = pair
    start, bend, end = _course(at[source], at[target], bool(topology[source].behind), bool(topology[target].behind))
    return [_on_curve(start, bend, end, step / 24) for step in range(25)]


def _edge(pair: Pair, curve: list[Point]) -> list[str]:
    stroke, dash = _STYLES[pair[2]]
    shapes = [svg.line(curve, stroke, 2.2, dash), svg.arrow_head(curve[-3], curve[-1], stroke, 10.0)]
    if pair[2] in ("punched", "relayed"):
        shapes.append(svg.arrow_head(curve[2], curve[0], stroke, 10.0))
    return shapes


def _words(pair: Pair, curve: list[Point], taken: list[Area]) -> list[str]:
    """How, written on the curve where nothing else is written, under a cross if it failed; it is `taken` then."""
    half, failed = svg.text_width(pair[2], bold=True) / 2 + 3, pair[2] == "failed"
    spots = [curve[number] for number in _ALONG]
    areas = [Area(x - half, x + half, y - 8, y + (20 if failed else 8)) for x, y in spots]
    free = (number for number, area in enumerate(areas) if not any(map(area.meets, taken)))
    number = next(free, 0)
    taken.append(areas[number])
    x, y = spots[number]
    words = svg.text((x, y + (17 if failed else 4)), pair[2], INK, "middle", bold=True)
    return [svg.cross((x, y), INK), words] if failed else [words]


def _course(source: Point, target: Point, source_low: bool, target_low: bool) -> tuple[Point, Point, Point]:
    """Start, control point and end of the curve between two boxes, given by their top centres."""
    inward = math.copysign(_WIDE / 2 - 8, target[0] - source[0])
    if source_low and target_low:
        start, end = (source[0], source[1] + _HIGH), (target[0], target[1] + _HIGH)
        dip = 22 + 34 * abs(source[0] - target[0]) / _SLOT
        return start, ((start[0] + end[0]) / 2, max(start[1], end[1]) + dip), end
    if not source_low and not target_low:
        return source, ((source[0] + target[0]) / 2, source[1] - 48), target
    if target_low:
        return _course(target, source, True, False)[::-1]
    start, end = (source[0] + inward, source[1]), (target[0] - inward * 0.6, target[1] + _HIGH)
    return start, (end[0], start[1] - 40), end


def _on_curve(start: Point, bend: Point, end: Point, t: float) -> Point:
    """A point of the quadratic Bezier curve, t from 0 to 1."""
    a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
    return (a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1])


def _plain(place: Place, topology: Topology, verdicts: dict[str, str]) -> str:
    indent = "  " * (len(topology.way_out(place.name)) - 1)
    kind = f"{place.kind}, {verdicts[place.name]}" if place.name in verdicts else str(place.kind)
    tunnel = f" in a tunnel through {place.through}" if place.through else ""
    return f"{indent}{place.name} {place.ips} ({kind}){tunnel}"


def _edge_text(source: str, target: str, how: str) -> str:
    words = {
        "dialled": "dialled",
        "punched": "punched through to",
        "relayed": "is relayed to",
        "failed": "cannot reach",
    }
    return f"{source} {words[how]} {target}"
