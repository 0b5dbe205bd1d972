"""The gateway: one table of leases, and the services by which hosts inside ask for a place in it.

    UDP 192.168.1.1:5351           version 0: NAT-PMP (`natpmp.py`)      version 2: PCP (`pcp.py`)
                                   any other: told which versions there are
    UDP 239.255.255.250:1900       SSDP: where is the gateway?            (`ssdp.py`)
    TCP 192.168.1.1:49152          UPnP: description and actions         (`igd_gateway.py`)

It runs on a `natlab.net.Network`, so the same code serves a simulated LAN and one of Linux. All it listens at is the
gateway's address inside: RFC 6886 section 3.3 forbids to answer what comes from outside.

After a reboot it tells everybody on the LAN, ten times in 128 s (RFC 6886 section 3.2.1, RFC 6887 section 14.1.3).
*Not modelled*: the same at the very first start, when nobody can have a lease yet, and when the external address
changes without a reboot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Self

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.net import Network, UdpSocket
from natlab.portmap import igd_gateway, natpmp, pcp, ssdp
from natlab.portmap.config import Service
from natlab.portmap.http import serve
from natlab.portmap.igd_gateway import Device
from natlab.portmap.leases import Leases
from natlab.wire.natpmp import VERSION as NATPMP_VERSION

__all__ = ["Gateway"]

ANNOUNCEMENT_TIMES = tuple(0.25 * (2**sent - 1) for sent in range(10))
"""Seconds after a reboot (RFC 6886 section 3.2.1)."""


class Gateway:
    """The services of one router.

    Args:
        network: of the router's own, with `ip` among its addresses.
        ip: its address inside.
        leases: its table; `leases.config` says which services there are.
    """

    def __init__(self, network: Network, ip: str, leases: Leases) -> None:
        self.ip = ip
        self.leases = leases
        self._network = network
        self._services = leases.config.services
        self._udp: UdpSocket | None = None
        self._herald: asyncio.Task[None] | None = None
        self._closing: list[Callable[[], None]] = []
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._loop: asyncio.AbstractEventLoop

    def __repr__(self) -> str:
        return f"<gateway at {self.ip}: {', '.join(self._services) or 'no services'}>"

    async def start(self) -> None:
        """Opens its sockets and begins to answer.

        Raises:
            SocketError: EADDRINUSE, EADDRNOTAVAIL; then none stays open.
        """
        self._loop = asyncio.get_running_loop()
        try:
            if Service.NAT_PMP in self._services or Service.PCP in self._services:
                self._udp = await self._network.bind_udp(Endpoint(self.ip, natpmp.PORT))
                self._closing.append(self._udp.close)
                self._spawn(self._answer(self._udp))
            if Service.UPNP in self._services:
                await self._start_upnp()
        except BaseException:
            await self.close()
            raise

    async def _start_upnp(self) -> None:
        listener = await self._network.listen_tcp(Endpoint(self.ip, igd_gateway.PORT))
        self._closing.append(listener.close)
        device = Device(self.ip, self.leases)
        self._spawn(serve(listener, device.answer_http))
        group = await self._network.bind_udp(ssdp.GROUP)
        self._closing.append(group.close)
        mouth = await self._network.bind_udp(Endpoint(self.ip, 0))
        self._closing.append(mouth.close)
        self._spawn(self._answer_searches(device, group, mouth))

    async def close(self) -> None:
        """Closes all it has opened. The leases stay: they are the NAT box's."""
        self._udp = None
        for close in self._closing:
            close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def announce(self) -> None:
        """Tells everybody on the LAN that the leases are lost: call it when the box has rebooted.

        What was left to say of an earlier reboot is not said any more.
        """
        if self._udp is None:
            return
        if self._herald is not None:
            self._herald.cancel()
        self._herald = self._spawn(self._announce(self._udp))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    async def _answer(self, socket: UdpSocket) -> None:
        while True:
            try:
                data, source = await socket.receive()
            except ClosedError:
                return
            response = self._response(data, source)
            if response is not None:
                socket.send(response, source)

    def _response(self, data: bytes, source: Endpoint) -> bytes | None:
        """The first byte is the version of both; who speaks neither is told what is spoken (RFC 6887 section 9)."""
        speaks_pcp = Service.PCP in self._services
        is_natpmp = data[:1] == bytes((NATPMP_VERSION,)) and Service.NAT_PMP in self._services
        answer = pcp.answer if speaks_pcp and not is_natpmp else natpmp.answer
        return answer(self.leases, data, source)

    async def _answer_searches(self, device: Device, group: UdpSocket, mouth: UdpSocket) -> None:
        """Answers are sent from an address of the gateway's own, by which a control point knows it."""
        while True:
            try:
                data, source = await group.receive()
            except ClosedError:
                return
            answer = device.answer_search(data)
            if answer is not None:
                mouth.send(answer, source)

    async def _announce(self, socket: UdpSocket) -> None:
        before = 0.0
        for time in ANNOUNCEMENT_TIMES:
            await asyncio.sleep(time - before)
            before = time
            if Service.NAT_PMP in self._services:
                socket.send(natpmp.announcement(self.leases), natpmp.ANNOUNCEMENTS)
            if Service.PCP in self._services:
                socket.send(pcp.announcement(self.leases), pcp.ANNOUNCEMENTS)
