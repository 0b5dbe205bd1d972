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
from natlab.lab.svg import Point
from natlab.lab.topology import BOXES, COMPUTERS, Place, Topology

_SLOT, _ROW, _WIDE, _HIGH, _TOP = 260.0, 92.0, 124.0, 44.0, 40.0  # px
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
    at = _positions(topology, shown)
    pairs = _pairs(graph, hosts)
    verdicts = {name: str(graph.nodes[name]["verdict"]) for name in hosts if name in graph}
    title = "Who is where, and who can reach whom"
    lines = [_plain(place, topology, verdicts) for place in shown] + [_edge_text(*pair) for pair in pairs]
    shapes = _wires(topology, shown, at)
    curves = [_curve(pair, at, topology) for pair in pairs]
    shapes += [shape for pair, curve in zip(pairs, curves, strict=True) for shape in _edge(pair, curve)]
    shapes += [shape for place in shown for shape in _place(place, at[place.name], verdicts.get(place.name, ""))]
    shapes += [_words(pair, curve) for pair, curve in zip(pairs, curves, strict=True)]
    width = max(x for x, _ in at.values()) + _SLOT / 2
    height = max([y for _, y in at.values()] + [y - _HIGH for curve in curves for _, y in curve]) + _HIGH + 26
    alt = "; ".join(line.strip() for line in lines) + "."
    return Figure(title, alt, svg.document(width, height, title, alt, shapes), "\n".join(lines))


def _with_nats(topology: Topology, hosts: Sequence[str]) -> list[str]:
    """Public hosts first, then each NAT box followed by who is behind it."""
    public = [host for host in hosts if not topology[host].behind]
    hidden = [place for host in hosts if topology[host].behind for place in reversed(topology.way_out(host))]
    return list(dict.fromkeys([*public, *hidden]))


def _positions(topology: Topology, shown: Sequence[Place]) -> dict[str, Point]:
    """The top centre of each box: hosts side by side, a NAT box above the middle of what is behind it."""
    public = [place for place in shown if not place.behind and place.kind not in BOXES]
    hidden = [place for place in shown if place not in public]
    leaves = [place for place in hidden if place.kind not in BOXES]
    slots = max(len(public), len(leaves), 1)
    at = {place.name: (_centre(index, len(public), slots), _TOP) for index, place in enumerate(public)}
    bottom = max((_depth(topology, leaf.name) for leaf in leaves), default=0.0)
    for index, leaf in enumerate(leaves):
        at[leaf.name] = (_centre(index, len(leaves), slots), bottom)
    for place in reversed(hidden):
        if place.kind in BOXES:
            inside = [at[other.name][0] for other in hidden if other.behind == place.name]
            at[place.name] = (sum(inside) / len(inside), _depth(topology, place.name))
    return at


def _centre(index: int, count: int, slots: int) -> float:
    return _SLOT * slots * (index + 0.5) / count


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


def _place(place: Place, top: Point, verdict: str) -> list[str]:
    x, y = top
    nat = place.kind in BOXES
    stroke = MUTED if nat else colour(place.name)
    below = f"{place.kind} {place.ip}" if nat else f"{place.ips}, {verdict}".removesuffix(", ")
    width = max(_WIDE, svg.text_width(below) + 14)
    return [
        svg.box(x - width / 2, y, width, _HIGH, PAPER, stroke, "4 3" if nat else ""),
        svg.text((x, y + 19), place.name, INK, "middle", bold=True),
        svg.text((x, y + 34), below, MUTED, "middle"),
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
    if pair[2] == "failed":
        shapes.append(svg.cross(curve[12], INK))
    return shapes


def _words(pair: Pair, curve: list[Point]) -> str:
    """How, written on the curve (under the cross of a failed dial)."""
    x, y = curve[12]
    return svg.text((x, y + (17 if pair[2] == "failed" else 4)), pair[2], INK, "middle", bold=True)


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
