"""`lab.reachability`: who can reach whom, as far as what happened shows it.

The graph is evidence, not prophecy: it is drawn from dials that worked or failed, never from the NATs' settings.

    verdict of a node   public    somebody dialled it directly and got through
                        private   it was dialled directly, and nobody got through without its help
                        unknown   nobody tried

    edge a -> b, `how`  dialled      a dialled b directly
                        answers      b dialled a directly; a reaches b over that connection only
                        punched      a hole punch joined them, or b dialled back (connection reversal)
                        relayed      through a relay
                        failed       a tried to dial b, and nothing joins them now

The nodes' verdicts are the words that AutoNAT uses; here they cost nothing, because the lab sees everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import networkx as nx

from natlab.events import DialFailed, Journal
from natlab.lab.views.connections import Life, lives
from natlab.lab.views.frame import Names, who

_BETTER_FIRST = ("dialled", "punched", "answers", "relayed", "failed")


def reachability(journal: Journal, names: Names, nodes: Iterable[str] = ()) -> nx.DiGraph[str]:
    """The graph after all that the journal holds.

    Args:
        nodes: names that are in the graph even if nothing happened to them.

    Returns:
        a DiGraph; nodes have `verdict`, edges `how` and `opened_by` ("" for failed).
    """
    joined = lives(journal, names)
    failed = [(event.place, who(event.peer, names)) for event in journal.of(DialFailed) if is_direct(event.address)]
    graph: nx.DiGraph[str] = nx.DiGraph()
    for node in nodes:
        graph.add_node(node)
    for caller, callee in failed:
        _offer(graph, caller, callee, "failed", "")
    for life in joined:
        if math.isnan(life.closed):
            for source, target, how in _ways(life):
                _offer(graph, source, target, how, life.opened_by)
    for node in graph.nodes:
        graph.nodes[node]["verdict"] = _verdict(node, joined, failed)
    return graph


def is_direct(address: str) -> bool:
    return "/p2p-circuit" not in address


def _offer(graph: nx.DiGraph[str], source: str, target: str, how: str, opened_by: str) -> None:
    """Adds the edge unless a better one is there."""
    known = graph.get_edge_data(source, target)
    if known is None or _BETTER_FIRST.index(how) < _BETTER_FIRST.index(known["how"]):
        graph.add_edge(source, target, how=how, opened_by=opened_by)


def _ways(life: Life) -> Iterator[tuple[str, str, str]]:
    """What one open connection says about both directions."""
    if life.path == "relayed":
        there, back = "relayed", "relayed"
    elif life.opened_by == "dial":
        there, back = "dialled", "answers"
    else:
        there, back = "punched", "punched"
    yield life.dialer, life.listener, there
    yield life.listener, life.dialer, back


def _verdict(node: str, joined: list[Life], failed: list[tuple[str, str]]) -> str:
    dialled = [life for life in joined if life.path == "direct" and life.opened_by != "hole punch"]
    if any(life.listener == node for life in dialled):
        return "public"
    return "private" if any(callee == node for _, callee in failed) else "unknown"
