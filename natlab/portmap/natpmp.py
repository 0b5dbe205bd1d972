"""NAT-PMP: a host asks its gateway for a port, and gets it for two hours.

Specification: RFC 6886. The gateway is the host's default gateway, at UDP port 5351.

    client                                       gateway
       │ ── external address request ──────────────> │
       │ <─ 11.0.0.1, epoch 4711 ─────────────────── │
       │ ── map TCP: port 4001, for 7200 s ────────> │   a port forward of the NAT box
       │ <─ external port 4001, for 7200 s, epoch ── │
       │                                             │
       │ ── the same, halfway to its end ──────────> │   renewed (section 3.3)
       │ <─ the same ─────────────────────────────── │
       │                                             ╳   reboot: everything forgotten, epoch from 0
       │ <─ external address, epoch 0, multicast ─── │   to 224.0.0.1:5350 (section 3.2.1)
       │ ── map TCP: 4001, as it was ──────────────> │   at once, not halfway (section 3.7)
       │ ── map TCP: port 4001, for 0 s ───────────> │   given back (section 3.4)

UDP loses datagrams, so the client repeats: after 250 ms, then doubling, nine times in all, 127.75 s. All requests are
idempotent, so a repeated one does no harm, and there is no other acknowledgement.

The gateway believes nobody: the internal address is the one the request came from, so that no host opens a port for
another, and only requests from inside are answered (it listens at its internal address alone).

*Not modelled*: RSTs for the connections of a port that is given back (section 3.4), saving requests up (the client asks
one thing at a time because it is one coroutine), ICMP port unreachable as a quick "no" (section 3.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, RefusedError, UnreachableError
from natlab.net import UdpSocket
from natlab.packet import IPProtocol
from natlab.portmap.config import Service
from natlab.portmap.leases import Denial, Lease, Leases, Wish
from natlab.wire import natpmp
from natlab.wire.natpmp import AddressResponse, ErrorResponse, MapRequest, MapResponse, Opcode, ResultCode

__all__ = [
    "ANNOUNCEMENTS",
    "LIFETIME",
    "PORT",
    "Epoch",
    "Timers",
    "announcement",
    "answer",
    "external_address",
    "map_port",
    "unmap_port",
]

R = TypeVar("R", AddressResponse, MapResponse)

PORT = 5351
"""Where gateways listen (RFC 6886 section 3.1)."""
ANNOUNCEMENTS = Endpoint("224.0.0.1", 5350)
"""Where clients listen, all hosts of the link (section 3.2.1)."""
LIFETIME = 7200
"""Seconds: what section 3.3 recommends to ask for."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long a client tries (section 3.1): seconds to the first repetition, doubling, and requests in all."""

    first: float = 0.25
    tries: int = 9

    def waits(self) -> Iterator[float]:
        return (self.first * 2**sent for sent in range(self.tries))


DEFAULT_TIMERS = Timers()


class Epoch:
    """What a client makes of the epoch in every response: has the gateway forgotten its mappings? (section 3.6)"""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def shows_loss(self, epoch: int, now: float) -> bool:
        """Notes an epoch received at `now`, in seconds of any clock; True if it is behind what was to be expected.

        The two clocks may differ by an eighth, and two seconds are granted.
        """
        before, self._last = self._last, (epoch, now)
        return before is not None and epoch < before[0] + (now - before[1]) * 7 / 8 - 2


# ---- the client


async def external_address(socket: UdpSocket, gateway: str, timers: Timers = DEFAULT_TIMERS) -> AddressResponse:
    """Asks for the gateway's external address. Nobody else may read from the socket meanwhile.

    Raises:
        UnreachableError: no answer: it does not speak NAT-PMP.
        RefusedError: an answer that says no; `.status` is a `ResultCode`.
    """
    return await _ask(socket, gateway, natpmp.AddressRequest(), AddressResponse, timers)


async def map_port(
    socket: UdpSocket,
    gateway: str,
    protocol: int,
    internal_port: int,
    external_port: int = 0,
    lifetime: int = LIFETIME,
    timers: Timers = DEFAULT_TIMERS,
) -> MapResponse:
    """Opens or renews a port of the computer whose socket this is.

    Args:
        protocol: UDP or TCP, an `IPProtocol`.
        external_port: the one it would like, or has already; 0 for any. What it got the response says.
        lifetime: seconds.

    Raises: as `external_address`.
    """
    request = MapRequest(Opcode.mapping(protocol), internal_port, external_port, lifetime)
    return await _ask(socket, gateway, request, MapResponse, timers)


async def unmap_port(
    socket: UdpSocket, gateway: str, protocol: int, internal_port: int, timers: Timers = DEFAULT_TIMERS
) -> MapResponse:
    """Gives a port back; port 0 gives all of this protocol back. Errors are those of `external_address`."""
    return await map_port(socket, gateway, protocol, internal_port, 0, 0, timers)


async def _ask(socket: UdpSocket, gateway: str, request: natpmp.Request, kind: type[R], timers: Timers) -> R:
    to, data = Endpoint(gateway, PORT), natpmp.encode(request)
    for wait in timers.waits():
        socket.send(data, to)
        try:
            async with asyncio.timeout(wait):
                response = await _response(socket, to, request)
        except TimeoutError:
            continue
        if response.result != ResultCode.SUCCESS:
            raise RefusedError(f"{gateway} answers {_name(response.result)}", response.result)
        if isinstance(response, kind):
            return response
    raise UnreachableError(f"no NAT-PMP response from {gateway} to {timers.tries} requests")


async def _response(socket: UdpSocket, gateway: Endpoint, request: natpmp.Request) -> natpmp.Response:
    """Waits for the response to this request; discards all else, and what comes from elsewhere (section 3.2)."""
    while True:
        data, source = await socket.receive()
        try:
            response = natpmp.decode_response(data)
        except DecodeError:
            continue
        if source == gateway and _belongs(response, request):
            return response


def _belongs(response: natpmp.Response, request: natpmp.Request) -> bool:
    """No response has a number: it is known by what it repeats."""
    match request, response:
        case MapRequest(opcode, port), MapResponse(same_opcode, _, _, same_port):
            return opcode == same_opcode and port == same_port
        case natpmp.AddressRequest(), AddressResponse():
            return True
        case _, ErrorResponse():
            return True
    return False


def _name(result: int) -> str:
    return ResultCode(result).name if result < len(ResultCode) else f"result code {result}"


# ---- the gateway


def answer(leases: Leases, data: bytes, source: Endpoint) -> bytes | None:
    """The response to one datagram from inside, or None for silence."""
    try:
        request = natpmp.decode_request(data)
    except (natpmp.UnsupportedVersion, natpmp.UnsupportedOpcode) as error:
        return natpmp.unsupported(data, error, leases.epoch)
    except DecodeError:
        return None
    if isinstance(request, natpmp.AddressRequest):
        return announcement(leases)
    return natpmp.encode(
        _give_back(leases, request, source) if request.lifetime == 0 else _give(leases, request, source)
    )


def announcement(leases: Leases) -> bytes:
    """The external address, asked or unasked (sections 3.2 and 3.2.1)."""
    if leases.config.refuses:
        return natpmp.encode(AddressResponse(ResultCode.NOT_AUTHORIZED, leases.epoch, "0.0.0.0"))
    return natpmp.encode(AddressResponse(ResultCode.SUCCESS, leases.epoch, leases.external_ip))


def _give(leases: Leases, request: MapRequest, source: Endpoint) -> MapResponse:
    """Section 3.3. A lease may be shorter than what was asked for, never longer."""
    seconds = min(request.lifetime, leases.config.longest)
    internal = Endpoint(source.ip, request.internal_port)
    if request.internal_port == 0:
        return _no(leases, request, ResultCode.NOT_AUTHORIZED)
    granted = leases.grant(
        Wish(
            service=Service.NAT_PMP,
            protocol=request.opcode.protocol,
            internal=internal,
            port=request.external_port,
            seconds=seconds,
        )
    )
    if isinstance(granted, Denial):
        return _no(leases, request, _RESULTS[granted])
    port = granted.external.port
    return MapResponse(request.opcode, ResultCode.SUCCESS, leases.epoch, request.internal_port, port, seconds)


def _give_back(leases: Leases, request: MapRequest, source: Endpoint) -> MapResponse:
    """Section 3.4: what is not there is given back successfully too; what was made by hand is not."""
    protocol, internal = request.opcode.protocol, Endpoint(source.ip, request.internal_port)
    for lease in leases:
        if _matches(lease, protocol, internal):
            leases.release(lease)
    if leases.has_manual(protocol, internal):
        return _no(leases, request, ResultCode.NOT_AUTHORIZED)
    return _no(leases, request, ResultCode.SUCCESS)


def _matches(lease: Lease, protocol: IPProtocol, internal: Endpoint) -> bool:
    return lease.protocol == protocol and (
        lease.internal == internal or (internal.port == 0 and lease.internal.ip == internal.ip)
    )


def _no(leases: Leases, request: MapRequest, result: ResultCode) -> MapResponse:
    """No port: external port and lifetime are zero (section 3.5)."""
    return MapResponse(request.opcode, result, leases.epoch, request.internal_port, 0, 0)


_RESULTS = {
    Denial.NOT_AUTHORIZED: ResultCode.NOT_AUTHORIZED,
    Denial.QUOTA: ResultCode.OUT_OF_RESOURCES,
    Denial.FULL: ResultCode.OUT_OF_RESOURCES,
    Denial.TAKEN: ResultCode.OUT_OF_RESOURCES,
}
