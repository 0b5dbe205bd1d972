"""Keeping a port open: what a program does that wants to be reached, with whatever its gateway speaks.

    open ──> PCP? ──no answer, or no──> NAT-PMP? ──> UPnP? ──> nobody: UnreachableError
               │
               └─> mapping ──half its lifetime──> renewed ──half its lifetime──> renewed ...
                      │            └─ no answer: again at half of what is left, and when that is over, from the start
                      ├── the gateway has rebooted (its epoch says so) ──> renewed within 5 s
                      └── close ──> given back

PCP comes first, as RFC 6886 section 1.1 recommends; a gateway with NAT-PMP alone says so at once. Both are asked at one
port, so a gateway that is silent at one is hardly awake at the other; but some that know only NAT-PMP ignore PCP
instead of answering, and are asked again. UPnP comes last: it takes four round trips. Requests go out one at a time
(RFC 6886 section 3.1). Real clients differ: some ask all at once, and take the first answer.

What the gateway says is its external address need not be one: behind another NAT it is a private address, and of no use
to anybody outside (`PortMapping.looks_public`). Whether the port can be reached only somebody outside can tell.

*Not modelled*: trying PCP again at each renewal, in case the gateway has been updated; several gateways; IPv6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from random import Random

from natlab.endpoint import Endpoint, parse_ip
from natlab.errors import ClosedError, DecodeError, LabError, NatlabError, RefusedError, SocketError, UnreachableError
from natlab.net import Network, UdpSocket
from natlab.packet import IPProtocol
from natlab.portmap import igd, natpmp, pcp
from natlab.portmap.config import Service
from natlab.wire import natpmp as natpmp_wire
from natlab.wire import pcp as pcp_wire

__all__ = ["LIFETIME", "PortMapper", "PortMapping"]

LIFETIME = natpmp.LIFETIME
ORDER = (Service.PCP, Service.NAT_PMP, Service.UPNP)
FIRST_WAIT, TRIES = 0.25, 4
"""Seconds and requests until the next protocol gets its turn: 3.75 s. The RFCs wait minutes."""
SHORTEST_WAIT = 4.0
"""Seconds between two attempts to renew, at least (RFC 6887 section 11.2.1)."""
RECREATION_DELAY = 5.0
"""Seconds within which mappings are made again after a reboot, at random (RFC 6886 section 3.7)."""
OTHER_PORTS = 3
"""UPnP without AddAnyPortMapping: how many other ports are tried when the first is taken."""


class PortMapping:
    """A port of this computer that its gateway keeps open.

    Attributes:
        protocol: UDP or TCP.
        internal: the endpoint here.
        service: by which protocol the gateway was asked.
        external: where the world finds it, as the gateway says.
        lifetime: seconds, as granted.
        expires: the loop's time at which it ends unless it is renewed.
        renewals: how often it was renewed.
        trouble: why the last attempt to renew it failed, None if it did not.
    """

    def __init__(self, mapper: PortMapper, protocol: IPProtocol, internal: Endpoint, wanted: int, asked: int) -> None:
        self._mapper = mapper
        self.protocol = protocol
        self.internal = internal
        self.service = Service.PCP
        self.external = Endpoint("0.0.0.0", wanted)
        self.lifetime = asked
        self.expires = 0.0
        self.renewals = -1
        self.trouble: NatlabError | None = None
        self._asked = asked
        self._nonce = pcp.new_nonce(mapper.rng)
        self._lost = asyncio.Event()

    @property
    def looks_public(self) -> bool:
        """Whether the external address is one of the internet's, and not of another private network."""
        return parse_ip(self.external.ip).is_global

    def __repr__(self) -> str:
        which = f"{self.protocol.name} {self.internal} is {self.external}"
        return f"<{which}, by {self.service.value}, for {self.lifetime} s>"

    async def close(self) -> None:
        """Gives the port back. A gateway that does not answer forgets it by itself."""
        await self._mapper.give_back(self)


class PortMapper:
    """Opens ports of one computer, and keeps them open.

    Args:
        network: of that computer.
        ip: its address on the LAN.
        gateway: the address of its gateway.
        rng: nonces, and when exactly to renew.
        services: the protocols to try, in this order.
        on_changed: told when a mapping that is kept has another external endpoint, or has run out.
    """

    def __init__(
        self,
        network: Network,
        ip: str,
        gateway: str,
        rng: Random,
        services: Collection[Service] = ORDER,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.rng = rng
        self._network = network
        self._ip = ip
        self._gateway = gateway
        self._services = services
        self._on_changed = on_changed
        self._socket: UdpSocket | None = None
        self._control: igd.Control | None = None
        self._opening, self._turn = asyncio.Lock(), asyncio.Lock()
        self._epochs: dict[Service, pcp.Epoch | natpmp.Epoch] = {
            Service.PCP: pcp.Epoch(),
            Service.NAT_PMP: natpmp.Epoch(),
        }
        self._keepers: dict[PortMapping, asyncio.Task[None]] = {}
        self._ear: asyncio.Task[None] | None = None

    @property
    def mappings(self) -> list[PortMapping]:
        """What it keeps open, oldest first."""
        return list(self._keepers)

    async def open(
        self, protocol: IPProtocol, port: int, external_port: int = 0, lifetime: int = LIFETIME
    ) -> PortMapping:
        """Opens a port and keeps it open until it is closed. What is open already is returned as it is.

        Args:
            external_port: the one it would like; 0: the same as inside.
            lifetime: seconds, of each lease.

        Raises:
            ValueError: a port or lifetime that cannot be.
            UnreachableError: the gateway speaks none of the protocols, or refuses; `.attempts` says what it said.
        """
        internal = Endpoint.of(self._ip, port)
        if port == 0:
            raise ValueError("which port? 0 means any, and one has to be named")
        if not isinstance(lifetime, int) or not 0 < lifetime < 2**32:
            raise ValueError(f"a lease lasts a whole number of seconds, more than 0, not {lifetime!r}")
        wanted = Endpoint.of(self._ip, external_port).port or port
        async with self._opening:
            for mapping in self._keepers:
                if (mapping.protocol, mapping.internal) == (protocol, internal):
                    return mapping
            mapping = PortMapping(self, protocol, internal, wanted, lifetime)
            await self._ask_any(mapping)
            if self._ear is None:
                self._ear = asyncio.ensure_future(self._listen())
            self._keepers[mapping] = asyncio.ensure_future(self._keep(mapping))
        return mapping

    async def give_back(self, mapping: PortMapping) -> None:
        """Closes one mapping."""
        keeper = self._keepers.pop(mapping, None)
        if keeper is None:
            return
        await _end(keeper)
        with suppress(NatlabError):
            await self._release(mapping)

    async def close(self) -> None:
        """Closes all of them."""
        for mapping in self.mappings:
            await self.give_back(mapping)
        self.abandon()

    def abandon(self) -> None:
        """Stops without a word to the gateway, as a program does that crashes: the leases run out."""
        tasks = [*self._keepers.values(), *([self._ear] if self._ear else [])]
        for task in tasks:
            task.cancel()
        self._keepers.clear()
        self._ear = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # ---- asking

    async def _ask_any(self, mapping: PortMapping) -> None:
        attempts: list[tuple[str, Exception]] = []
        for service in self._services:
            try:
                await self._ask(mapping, service)
                return
            except LabError:
                raise  # not the gateway's no
            except NatlabError as error:
                attempts.append((service.value, error))
        raise UnreachableError(f"{self._gateway} gave out no port", attempts)

    async def _ask(self, mapping: PortMapping, service: Service) -> None:
        """Asks by one protocol, anew or to renew, and notes what was got."""
        async with self._turn:
            if service is Service.UPNP:
                external, lifetime = await self._by_upnp(mapping)
            elif service is Service.PCP:
                external, lifetime = await self._by_pcp(mapping)
            else:
                external, lifetime = await self._by_natpmp(mapping)
        if external.port == 0:
            raise DecodeError(f"{self._gateway} gives out port 0, which is none")
        mapping.service, mapping.external, mapping.lifetime = service, external, lifetime
        mapping.expires = asyncio.get_running_loop().time() + lifetime
        mapping.renewals += 1
        mapping.trouble = None

    async def _by_pcp(self, mapping: PortMapping) -> tuple[Endpoint, int]:
        wish = pcp_wire.Mapping(mapping._nonce, mapping.protocol, mapping.internal.port, mapping.external)
        timers = pcp.Timers(FIRST_WAIT, tries=TRIES)
        response = await pcp.map_port(await self._udp(), self._gateway, wish, self.rng, mapping._asked, timers)
        self._note(Service.PCP, response.epoch, mapping)
        if response.mapping is None:
            raise DecodeError(f"{self._gateway} maps nothing")
        return response.mapping.external, response.lifetime

    async def _by_natpmp(self, mapping: PortMapping) -> tuple[Endpoint, int]:
        timers, socket = natpmp.Timers(FIRST_WAIT, TRIES), await self._udp()
        wanted, inside = mapping.external.port, mapping.internal.port
        response = await natpmp.map_port(
            socket, self._gateway, mapping.protocol, inside, wanted, mapping._asked, timers
        )
        self._note(Service.NAT_PMP, response.epoch, mapping)
        address = await natpmp.external_address(socket, self._gateway, timers)
        return Endpoint(address.external_ip, response.external_port), response.lifetime

    async def _by_upnp(self, mapping: PortMapping) -> tuple[Endpoint, int]:
        if self._control is None:
            self._control = await igd.discover(self._network, self._ip, self._gateway)
        network, control = self._network, self._control
        wish = mapping.protocol, mapping.external.port, mapping.internal
        try:
            ip = await igd.external_ip(network, control)
            if control.version == 2:
                port = await igd.add_any_port_mapping(network, control, *wish, mapping._asked)
            else:
                port = await self._add_some_port(control, mapping)
        except UnreachableError:
            self._control = None  # it may have rebooted and be elsewhere now
            raise
        return Endpoint(ip, port), mapping._asked

    async def _add_some_port(self, control: igd.Control, mapping: PortMapping) -> int:
        """IGD 1: this port or another one."""
        port = mapping.external.port
        for _ in range(OTHER_PORTS):
            try:
                return await self._add_port(control, mapping, port)
            except RefusedError as error:
                if error.status != igd.CONFLICT:
                    raise
                port = self.rng.randrange(1024, 65536)
        return await self._add_port(control, mapping, port)

    async def _add_port(self, control: igd.Control, mapping: PortMapping, port: int) -> int:
        """With a lease, or without one if the gateway knows none."""
        wish = mapping.protocol, port, mapping.internal
        try:
            await igd.add_port_mapping(self._network, control, *wish, mapping._asked)
        except RefusedError as error:
            if error.status != igd.ONLY_PERMANENT:
                raise
            await igd.add_port_mapping(self._network, control, *wish, 0)
        return port

    async def _release(self, mapping: PortMapping) -> None:
        async with self._turn:
            if mapping.service is Service.UPNP and self._control is not None:
                await igd.delete_port_mapping(self._network, self._control, mapping.protocol, mapping.external.port)
            elif mapping.service is Service.NAT_PMP:
                timers, inside = natpmp.Timers(FIRST_WAIT, tries=2), mapping.internal.port
                await natpmp.unmap_port(await self._udp(), self._gateway, mapping.protocol, inside, timers)
            elif mapping.service is Service.PCP:
                wish = pcp_wire.Mapping(mapping._nonce, mapping.protocol, mapping.internal.port, mapping.external)
                timers_pcp = pcp.Timers(FIRST_WAIT, tries=2)
                await pcp.map_port(await self._udp(), self._gateway, wish, self.rng, 0, timers_pcp)

    async def _udp(self) -> UdpSocket:
        if self._socket is None:
            self._socket = await self._network.bind_udp(Endpoint(self._ip, 0))
        return self._socket

    # ---- keeping

    async def _keep(self, mapping: PortMapping) -> None:
        loop = asyncio.get_running_loop()
        told = mapping.external, True
        while True:
            await self._time_to_renew(mapping, mapping.expires - loop.time())
            try:
                if loop.time() < mapping.expires:
                    await self._ask(mapping, mapping.service)
                else:
                    await self._ask_any(mapping)
            except NatlabError as error:
                mapping.trouble = error
            if told != (mapping.external, loop.time() < mapping.expires):
                told = mapping.external, loop.time() < mapping.expires
                self._on_changed()

    async def _time_to_renew(self, mapping: PortMapping, left: float) -> None:
        """At half of what is left or a little later; or soon, if the gateway has forgotten it."""
        try:
            async with asyncio.timeout(max(left * self.rng.uniform(1 / 2, 5 / 8), SHORTEST_WAIT)):
                await mapping._lost.wait()
        except TimeoutError:
            return
        mapping._lost.clear()
        await asyncio.sleep(self.rng.uniform(0, RECREATION_DELAY))

    async def _listen(self) -> None:
        """Hears the gateway say that it has rebooted. Some systems do not let us: then we learn it when we ask."""
        with suppress(SocketError):
            socket = await self._network.bind_udp(natpmp.ANNOUNCEMENTS, reuse_port=True)
            try:
                while True:
                    data, source = await socket.receive()
                    if source.ip == self._gateway:
                        self._heard(data)
            except ClosedError:
                return
            finally:
                socket.close()

    def _heard(self, data: bytes) -> None:
        with suppress(DecodeError):
            if data[:1] == bytes((pcp_wire.VERSION,)):
                self._note(Service.PCP, pcp_wire.decode_response(data).epoch)
            else:
                self._note(Service.NAT_PMP, natpmp_wire.decode_response(data).epoch)

    def _note(self, service: Service, epoch: int, but: PortMapping | None = None) -> None:
        """Mappings that the gateway has lost are made again; but one is being made just now."""
        if self._epochs[service].shows_loss(epoch, asyncio.get_running_loop().time()):
            for mapping in self._keepers:
                if mapping is not but and mapping.service is service:
                    mapping._lost.set()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
