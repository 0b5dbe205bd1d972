"""The labs whose journals must be the same in every process: a few made by hand, and many random ones."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from topologies import random_lab

from natlab import Lab
from natlab.errors import NatlabError
from natlab.events import HandlerFailed
from natlab.lab.classify import Classification
from natlab.nat import Behaviour
from natlab.portmap import GatewayConfig
from natlab.protocol.circuit import Limit
from natlab.protocol.reservations import RelayLimits

EVERYTHING = 10  # of so many random labs one has all its tables and pictures compared too, not the events alone


@dataclass(frozen=True, slots=True)
class Told:
    """What one lab came to.

    Attributes:
        digest: of every event and what the verbs answered; perhaps of every table, graph, ladder and capture file.
        problems: what may not happen in any lab: tasks that outlive every node, foreign errors in a handler.
    """

    name: str
    digest: str
    problems: list[str]


def all_told(count: int, seed: int = 7, backwards: bool = False) -> Iterator[Told]:
    """The scenarios made by hand with this seed, and `count` random ones."""
    for name in reversed(names(count)) if backwards else names(count):
        yield told(name, seed)


def names(count: int) -> list[str]:
    return [*SCENARIOS, *ASKING, *map(str, range(count))]


def told(name: str, seed: int) -> Told:
    """Plays one: by its name, or a random one by its number."""
    lab, answers = _played(name, seed)
    shown = _tables_and_pictures(lab) if not name.isdecimal() or int(name) % EVERYTHING == 0 else []
    digest = hashlib.sha256()
    for part in (*lab.journal.events, *answers, *shown):
        digest.update(repr(part).encode())
    result = Told(name, digest.hexdigest(), problems(lab))
    lab.close()
    return result


def _played(name: str, seed: int) -> tuple[Lab, list[object]]:
    """The lab after its story, and what the verbs answered, where that is not seen in the journal."""
    if name.isdecimal():
        return random_lab(int(name))
    return ASKING[name](seed) if name in ASKING else (SCENARIOS[name](seed), [])


def _tables_and_pictures(lab: Lab) -> Iterator[object]:
    for table in (lab.packets, lab.mappings, lab.port_mappings, lab.observations, lab.connections, lab.punches):
        yield table.dtypes.to_dict(), table.to_csv()
    graph = lab.reachability
    yield list(graph.nodes(data=True)), list(graph.edges(data=True))
    for figure in (lab.ladder(), lab.draw()):
        yield figure.text, figure.svg
    with TemporaryDirectory() as directory:
        lab.pcap(file := Path(directory, "packets.pcap"))
        yield file.read_bytes()


def problems(lab: Lab) -> list[str]:
    """Closes every node and host; then nothing of them may run."""
    foreign = [event.cause for event in lab.journal.of(HandlerFailed) if "(" in event.cause.split(" ")[0]]
    return foreign + lab.run(_left_after_closing(lab))


async def _left_after_closing(lab: Lab) -> list[str]:
    for host in lab.hosts.values():
        host.close()
    for node in lab.nodes.values():
        await node.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}  # a set: in no order
    return sorted(f"{task.get_name()}: {task.get_coro().__qualname__}" for task in left)


# ---- made by hand


def punching(lab: Lab) -> Iterator[Awaitable[object]]:
    """The demo, verb by verb: two nodes behind NATs meet through a relay and punch."""
    relay = lab.node("relay")
    alice, bob = lab.node("alice", lab.nat("home")), lab.node("bob", lab.nat("office"))
    yield alice.reserve(relay)
    yield bob.dial(alice.address_via(relay))
    yield asyncio.sleep(5.0)


def punch(seed: int) -> Lab:
    lab = Lab(seed)
    for verb in punching(lab):
        lab.run(verb)
    return lab


def punch_grid(seed: int) -> Lab:
    """Nine pairs of NATs on one internet, all punching at once: reversals, third attempts and failures."""
    lab = Lab(seed)
    relay = lab.node("relay", relay_service=RelayLimits(reservations=9, reservations_per_ip=9))
    pairs = []
    for number, (listening, dialling) in enumerate(product(Behaviour, repeat=2)):
        boxes = [
            lab.nat(mapping=mapping, filtering=filtering, port_allocation="random")
            for mapping, filtering in ((listening, dialling), (dialling, listening))
        ]
        pairs.append([lab.node(f"{who} {number}", box) for who, box in zip(("a", "b"), boxes, strict=True)])
    lab.run(_all(*(listener.reserve(relay) for listener, _ in pairs)))
    lab.run(_all(*(dialler.dial(listener.address_via(relay)) for listener, dialler in pairs)))
    lab.advance(40.0)
    return lab


def lossy(seed: int) -> Lab:
    """Every fifth packet is lost on one link, and the other has unequal directions."""
    lab = Lab(seed)
    relay = lab.node("relay")
    alice = lab.node("alice", lab.nat("home"), loss=0.2)
    bob = lab.node("bob", lab.nat("office"), delay=(0.005, 0.08), loss=0.02)
    lab.run(_all(alice.reserve(relay), bob.dial(relay)))
    lab.run(_all(bob.dial(alice.address_via(relay)), bob.ping(relay), alice.ping(relay)))
    lab.advance(60.0)
    return lab


def timers(seed: int) -> Lab:
    """Mappings die under idle connections, and are made anew from other ports."""
    lab = Lab(seed)
    server = lab.node("server", keepalive=None)
    box = lab.nat("office", tcp_established_timeout=20.0, tcp_transitory_timeout=5.0, udp_timeout=4.0)
    clients = [lab.node(f"client {number}", box, keepalive=None) for number in range(3)]
    host, peer = lab.host("host", box), lab.host("peer")
    for pause in (0.0, 30.0, 100.0):
        lab.advance(pause)
        lab.run(_all(*(client.ping(server) for client in clients)))
        lab.run(_send(host, peer))
    return lab


async def _send(host: object, peer: object) -> None:
    socket = await host.udp()
    for _ in range(2):
        await socket.send("hello", f"{peer.ip}:9")
        await asyncio.sleep(5.0)
    socket.close()


def relay_limits(seed: int) -> Lab:
    """Reservations refused, renewed and lost; circuits cut by bytes and by time."""
    lab = Lab(seed)
    limits = RelayLimits(ttl=125, reservations=2, circuits_per_peer=2, circuit=Limit(duration=8, data=3000))
    relay = lab.node("relay", relay_service=limits)
    nodes = [lab.node(f"node {number}", lab.nat("symmetric"), hole_punching=None) for number in range(4)]
    lab.run(_all(*(node.reserve(relay) for node in nodes)))
    lab.run(_all(*(one.dial(other.address_via(relay)) for one, other in product(nodes, nodes) if one is not other)))
    lab.advance(20.0)
    lab.run(_all(*(one.ping(other) for one, other in product(nodes, nodes) if one is not other)))
    lab.run(nodes[0].close())
    lab.advance(30.0)
    return lab


def bare_hosts(seed: int) -> Lab:
    """Sockets alone: simultaneous opens, port reuse, refusals, datagrams through two NAT boxes in a row."""
    lab = Lab(seed)
    outer = lab.nat("linux")
    hosts = [lab.host("inner", lab.nat("home", behind=outer)), lab.host("outer", outer), lab.host("public", loss=0.1)]
    lab.run(_sockets(*hosts))
    lab.advance(40.0)
    return lab


async def _sockets(inner: object, outer: object, public: object) -> None:
    listener = await public.listen(4001, reuse_port=True)
    dials = [inner.dial(listener), outer.dial(listener), inner.dial(f"{public.ip}:4002"), outer.dial("203.0.113.9:1")]
    await _all(*dials, public.dial("1.2.3.4:5", from_port=4001, reuse_port=True))
    socket, answering = await inner.udp(4001), await public.udp(4001)
    for number in range(20):
        await socket.send(f"{number}", answering)
    datagram = await answering.receive()
    await answering.send("answer", datagram.source)
    await _all(inner.dial(outer.resolve(f"{outer.ip}:7")), outer.dial(f"{inner.ip}:7"))


async def _all(*verbs: object) -> list[object]:
    """All at once; refusals are part of the story."""
    answers = await asyncio.gather(*verbs, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, NatlabError):
            raise answer
    return answers


def gateways(seed: int) -> Lab:
    """Leases by all three protocols, renewed, refused, lost in a reboot, made again; a node at its mapped address."""
    lab = Lab(seed)
    home = lab.nat("home", gateway=GatewayConfig(leases_per_host=3))
    alice, carol = lab.node("alice", home), lab.host("carol", home, loss=0.1)
    lab.run(
        _all(alice.map_ports(), *(carol.map_port(4001 + n, by=by) for n, by in enumerate(("pcp", "nat-pmp", "upnp"))))
    )
    lab.run(_all(carol.map_port(5000), lab.node("bob").dial(alice.addresses[1])))
    lab.at(lab.now + 100.0, lab.reboot, "home")
    lab.advance(1000.0)
    carol.close()
    lab.run(home.gateway.close())
    return lab


def which_nat(seed: int) -> tuple[Lab, list[object]]:
    """STUN's tests over UDP and TCP, pings and traces of routes, through boxes of all kinds; three boxes' reports."""
    lab = Lab(seed)
    outer = lab.nat("cgnat")
    boxes = [
        outer,
        lab.nat("home", behind=outer),
        lab.nat(mapping="address-dependent", filtering="endpoint-independent", port_allocation="random"),
        lab.nat("symmetric", port_allocation="random"),
        lab.nat("linux"),
    ]
    hosts = [lab.host(f"host {number}", box, loss=0.05) for number, box in enumerate(boxes)]
    server = lab.run(lab.host("stun").serve_stun(lab.host("stun 2", loss=0.1)))
    answers = lab.run(_all(*(host.classify(server, by) for host in hosts for by in ("udp", "tcp"))))
    answers += [answer.probes.to_csv() for answer in answers if isinstance(answer, Classification)]
    answers += lab.run(_all(*(host.ping(place.ip) for host in hosts for place in lab.places)))
    answers += [table.to_csv() for table in lab.run(_all(*(host.traceroute(hosts[0]) for host in hosts)))]
    answers += [lab.nat_report(box, carrier=box is outer).table.to_csv() for box in boxes[::2]]
    lab.run(server.close())
    return lab, answers


ASKING: dict[str, Callable[[int], tuple[Lab, list[object]]]] = {which_nat.__name__: which_nat}
SCENARIOS: dict[str, Callable[[int], Lab]] = {
    play.__name__: play for play in (punch, punch_grid, lossy, timers, relay_limits, bare_hosts, gateways)
}
