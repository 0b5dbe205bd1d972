"""Random labs: a topology and a story for each number, small and fast, and together with something of everything.

    public nodes, NAT boxes with any axes, firewalls, pools, boxes behind boxes, nodes and bare hosts anywhere, of IPv4,
    IPv6 or both, tunnels, gateways and a STUN server, links with every hardship; then dials, reservations, pings,
    punches, datagrams, port mappings, questions to the STUN server, traces of routes, pauses, cuts, reboots and
    closings, one by one or several at once

What a verb answers, errors included, is part of the story: the same number must give the same answers.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable
from dataclasses import fields
from enum import StrEnum

from natlab import Lab
from natlab.endpoint import Endpoint
from natlab.errors import LabError, NatlabError
from natlab.host import Node
from natlab.lab.bare import BareHost
from natlab.lab.which_nat import ask
from natlab.nat import PRESETS, NatConfig
from natlab.portmap import GatewayConfig
from natlab.protocol.circuit import Limit
from natlab.protocol.dcutr import GO_V029, GO_V048, SPEC
from natlab.protocol.reservations import RelayLimits
from natlab.protocol.stun_server import StunServer
from natlab.sim import NatRouter
from natlab.sim.links import GilbertElliott, Jitter, LinkConfig, Trace

PATIENCE = 100.0  # virtual seconds for one verb
OF_A_FIREWALL = ("filtering", "tcp_established_timeout", "tcp_transitory_timeout", "udp_timeout", "udp_refresh")


def random_lab(number: int) -> tuple[Lab, list[str]]:
    """The lab after its story, and what the verbs answered."""
    return _Story(number).told()


class _Story:
    """One lab, and the random numbers that shape it; the lab's own come from its seed."""

    def __init__(self, number: int) -> None:
        self.chance = random.Random(number)
        self.lab = Lab(number)
        self.answers: list[str] = []
        self.boxes: list[NatRouter] = []
        self.relays: list[Node] = []
        self.nodes: list[Node] = []
        self.hosts: list[BareHost] = []
        self.server: StunServer | None = None
        self.verbs = [self.dial, self.dial, self.via_relay, self.via_relay, self.reserve, self.ping, self.identify]

    def told(self) -> tuple[Lab, list[str]]:
        self.build()
        for _ in range(self.chance.randint(3, 7)):
            self.chance.choice([self.one, self.one, self.several, self.pause, self.talk, self.cut, self.reboot])()
        self.several()
        self.end()
        return self.lab, self.answers

    # ---- the topology

    def build(self) -> None:
        chance = self.chance
        for number in range(chance.randint(1, 2)):
            self.relays.append(self.lab.node(f"relay {number}", ipv6=chance.random() < 0.7, **self.habits(relay=True)))
        self.lab.crowd(chance.choice([0, 0, 1, 4]))
        for _ in range(chance.randint(1, 3)):
            self.boxes.append(self.box(chance.choice([None, None, *self.boxes])))
        for number in range(chance.randint(2, 3)):
            spot = self.spot(chance.choice([None, *self.boxes]))
            self.nodes.append(self.lab.node(f"node {number}", **spot, **self.habits()))
        for number in range(chance.choice([0, 2])):
            spot = self.spot(chance.choice([None, None, *self.boxes]))
            self.hosts.append(self.lab.host(f"host {number}", **spot, **self.link()))
        if self.hosts:
            self.verbs += [self.map_port, self.map_ports, self.echo, self.traceroute, self.classify, self.ask]
            self.server = self.lab.run(self.lab.host("stun", **self.link()).serve_stun(self.lab.host("stun 2")))
        for node in self.nodes:
            if chance.random() < 0.7:
                self.answered(node.reserve(chance.choice(self.relays)))

    def box(self, outer: NatRouter | None) -> NatRouter:
        """A NAT box or firewall; now and then with several addresses, or with a carrier's LAN."""
        preset, axes = self.chance.choice(list(PRESETS)), self.axes()
        lan = self.chance.choice([None, "100.64.0.0/10"]) if outer is None else None
        ipv6 = self.chance.choice([True, "simple-security", False]) if outer is None or outer.ipv6 else False
        if not PRESETS[preset].translates:
            axes = {axis: axes[axis] for axis in OF_A_FIREWALL if axis in axes}
            return self.lab.nat(preset, behind=outer, ipv6=ipv6, **axes)
        gateway = self.gateway()
        try:
            return self.lab.nat(preset, behind=outer, lan=lan, ipv6=ipv6, gateway=gateway, **axes)
        except LabError:  # the axes contradict each other
            return self.lab.nat(preset, behind=outer, lan=lan, ipv6=ipv6, gateway=gateway)

    def gateway(self) -> GatewayConfig | tuple[()]:
        """Half of the boxes are asked for ports, and some of these say no, or forget soon."""
        chance = self.chance
        if chance.random() < 0.5:
            return ()
        return GatewayConfig(
            services=tuple(chance.sample(("nat-pmp", "pcp", "upnp"), chance.randint(1, 3))),
            refuses=chance.random() < 0.2,
            shortest=chance.choice([1, 120]),
            leases_per_host=chance.choice([1, 64]),
            **chance.choice([{}, {"igd": 1}, {"igd": 1, "permanent_only": True}]),
        )

    def spot(self, behind: NatRouter | None) -> dict[str, object]:
        """Behind a box or not; with IPv4, both or IPv6 alone, or in a tunnel."""
        exits = [box for box in self.boxes if box.behind is None and (behind is None or behind.behind is None)]
        exits = [box for box in exits if box is not behind]
        if exits and self.chance.random() < 0.15:
            return {"behind": behind, "vpn": self.chance.choice(exits)}
        if behind is not None and behind.ipv6 is None:
            return {"behind": behind}
        choices = [{}, {"ipv6": True}, {"ipv6": True}, {"ipv4": False, "ipv6": True}]
        return {"behind": behind, **self.chance.choice(choices)}

    def axes(self) -> dict[str, str | float]:
        """Some axes of a NAT box: every choice there is, and short timers, so that mappings die while others talk."""
        chance = self.chance
        every: dict[str, str | float] = {
            axis.name: chance.choice(list(type(axis.default)))
            for axis in fields(NatConfig)
            if isinstance(axis.default, StrEnum)
        }
        every["tcp_established_timeout"] = chance.choice([8.0, 7440.0])
        every["tcp_transitory_timeout"] = chance.choice([2.0, 240.0])
        every["udp_timeout"] = chance.choice([3.0, 300.0])
        every["external_addresses"] = chance.choice([1, 3])
        return {axis: value for axis, value in every.items() if chance.random() < 0.6}

    def link(self) -> dict[str, object]:
        """Half of them plain, some slow or lossy, some with everything that can befall a packet."""
        if (kind := self.chance.random()) < 0.5:
            return {}
        if kind < 0.8:
            delays = (self.chance.uniform(0, 0.1), self.chance.uniform(0, 0.2))
            return {"delay": delays, "loss": self.chance.choice([0.0, 0.02, 0.15])}
        return {"link": (self.hardship(), self.hardship())}

    def hardship(self) -> LinkConfig:
        chance = self.chance
        return LinkConfig(
            delay=chance.choice([None, Jitter(0.001, 0.1), Trace([0.01, 0.2, 0.05], every=0.7)]),
            loss=chance.choice([0.0, 0.05, GilbertElliott(0.05, 0.4)]),
            reordering=chance.choice([0.0, 0.1]),
            duplication=chance.choice([0.0, 0.1]),
            rate=chance.choice([math.inf, 20_000.0]),
            queue=chance.choice([3000, 65_536]),
        )

    def habits(self, relay: bool = False) -> dict[str, object]:
        chance = self.chance
        few = RelayLimits(
            ttl=chance.choice([10, 3600]),
            reservations=chance.choice([1, 128]),
            circuits_per_peer=chance.choice([1, 16]),
            circuit=Limit(duration=chance.choice([5, 120]), data=chance.choice([4096, 1 << 17])),
        )
        return {
            "relay_service": chance.choice([True, few]) if relay else None,
            "hole_punching": chance.choice([GO_V048, GO_V048, SPEC, GO_V029, None]),
            "keepalive": chance.choice([None, 5.0, 30.0]),
            "reuse_port": chance.random() < 0.9,
            **self.link(),
        }

    # ---- what happens

    def one(self) -> None:
        self.answered(self.chance.choice(self.verbs)())

    def several(self) -> None:
        """Several verbs at once."""
        self.answered(_together([self.chance.choice(self.verbs)() for _ in range(self.chance.randint(2, 4))]))

    def pause(self) -> None:
        self.lab.advance(self.chance.choice([0.1, 3.0, 12.0, 70.0]))

    def talk(self) -> None:
        """Bare hosts: a datagram, and a dial where somebody listens or nobody does."""
        if self.hosts:
            self.answered(_talk(*self.hosts, self.chance.randint(1, 3), self.chance.choice([4001, 4002])))

    def cut(self) -> None:
        """A place is cut off, now or soon, and comes back; what it was about to say is lost or late."""
        place = self.chance.choice([place.name for place in self.lab.places])
        begin, length = self.chance.choice([0.0, 0.05, 1.0]), self.chance.choice([0.5, 4.0, 40.0])
        self.lab.at(self.lab.now + begin, self.lab.partition, place)
        self.lab.at(self.lab.now + begin + length, self.lab.heal, place)

    def reboot(self) -> None:
        """A box forgets everything, and may come back at another address."""
        box = self.chance.choice(self.boxes)
        self.lab.reboot(box.name, box.translates and self.chance.random() < 0.5)

    def end(self) -> None:
        """Some leave in order, some just stop; then a while passes."""
        for node in self.chance.sample(self.nodes, self.chance.randint(0, len(self.nodes))):
            self.answered(node.close())
        self.lab.advance(15.0)
        for service in (self.server, *(box.gateway for box in self.boxes)):
            if service is not None:
                self.lab.run(service.close())

    async def dial(self) -> object:
        one, other = self.chance.sample([*self.relays, *self.nodes], 2)
        return await one.dial(other)

    async def via_relay(self) -> object:
        one, other = self.chance.sample(self.nodes, 2)
        return await one.dial(other.address_via(self.chance.choice(self.relays)))

    async def reserve(self) -> object:
        return await self.chance.choice(self.nodes).reserve(self.chance.choice(self.relays))

    async def ping(self) -> object:
        one, other = self.chance.sample([*self.relays, *self.nodes], 2)
        return await one.ping(other.peer_id)

    async def identify(self) -> object:
        return (await self.chance.choice(self.nodes).identify(self.chance.choice(self.relays))).observed_address

    async def map_ports(self) -> object:
        return await self.chance.choice(self.nodes).map_ports()

    async def map_port(self) -> object:
        host, by = self.chance.choice(self.hosts), self.chance.choice([None, "nat-pmp", "pcp", "upnp"])
        protocol, lifetime = self.chance.choice(["tcp", "udp"]), self.chance.choice([5, 120, 7200])
        return await host.map_port(self.chance.randint(4001, 4003), protocol, lifetime=lifetime, by=by)

    async def echo(self) -> object:
        return await self.chance.choice(self.hosts).ping(self.anywhere())

    async def traceroute(self) -> object:
        return (await self.chance.choice(self.hosts).traceroute(self.anywhere(), most=6)).to_csv()

    def anywhere(self) -> str:
        """An address that somebody has, perhaps not one that is reached from everywhere, or one that nobody has."""
        return self.chance.choice([*(place.ip for place in self.lab.places), "203.0.113.9"])

    async def classify(self) -> object:
        found = await self.chance.choice(self.hosts).classify(self.server, self.chance.choice(["udp", "tcp"]))
        return found, found.probes.to_csv()

    async def ask(self) -> object:
        socket = await self.chance.choice(self.hosts).udp()
        try:
            async with asyncio.timeout(5.0):
                return await ask(socket, self.server.endpoint)
        except TimeoutError:
            return "silence"
        finally:
            socket.close()

    def answered(self, verb: Awaitable[object]) -> None:
        """Runs it, and writes down what came of it."""
        try:
            self.answers.append(repr(self.lab.run(verb, PATIENCE)))
        except (NatlabError, ValueError) as error:
            self.answers.append(f"{type(error).__name__}: {error}")


async def _together(verbs: list[Awaitable[object]]) -> list[object]:
    return await asyncio.gather(*verbs, return_exceptions=True)


async def _talk(one: BareHost, other: BareHost, datagrams: int, port: int) -> list[object]:
    """Port 4001 has a listener, 4002 has none."""
    here, there, listener = await one.udp(), await other.udp(), await other.listen(4001)
    answers: list[object] = []
    try:
        for number in range(datagrams):
            await here.send(f"datagram {number}", there)
        async with asyncio.timeout(5.0):
            answers.append(await there.receive())
            answers.append(await one.dial(Endpoint(other.ip, port)))
    except (NatlabError, TimeoutError, ValueError) as error:
        answers.append(repr(error))
    for socket in (here, there, listener):
        socket.close()
    return answers
