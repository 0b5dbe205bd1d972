"""PCP: asking for a port where NAT-PMP's simple picture does not hold.

Specification: RFC 6887. The server is at UDP port 5351 of the default gateway, like NAT-PMP's, whose successor it is.

    client                                             gateway
       │ ── MAP TCP 4001, nonce, "I am 192.168.1.2" ──> │   is that where it came from?
       │ <─ SUCCESS, 11.0.0.1:4001, 7200 s, epoch ───── │   a port forward of the NAT box
       │ ── the same, same nonce, 1/2 to 5/8 on ──────> │   renewed (section 11.2.1)
       │ ── PEER towards 12.0.0.1:9, nonce ───────────> │   no stranger is let in: the mapping towards one peer
       │ <─ SUCCESS, 11.0.0.1:4001, 7200 s ──────────── │   just lasts, without keepalives
       │                                                ╳   reboot
       │ <─ ANNOUNCE, epoch 0, multicast ────────────── │   to 224.0.0.1:5350 (section 14.1.3)

What it has that NAT-PMP has not: the client's address in the request, so that another NAT in between is noticed
(ADDRESS_MISMATCH); a nonce, so that nobody else changes the mapping; PEER; options: PREFER_FAILURE, this port or none;
FILTER, only for these remotes; THIRD_PARTY, for another host, which is refused here as section 13.1 recommends.

**Which one does it speak?** (sections 9 and appendix A; RFC 6886 section 1.1) The first byte is the version, and the
two headers agree on where the result stands:

    a PCP request meets a gateway with NAT-PMP only    <- version 0, result 1: the client asks again in NAT-PMP, at once
    a NAT-PMP request meets one with PCP only          <- version 2, and where NAT-PMP has its result: 1

*Not modelled*: mappings of all ports or of other protocols than TCP and UDP (UNSUPP_PROTOCOL), IPv6, PEER lifetimes of
their own for each peer and nonces of their own for MAP and PEER (of one internal endpoint there is one lease), FILTERs
stricter than the NAT box's own filtering (whom that admits, it admits), several gateways.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, NegotiationError, RefusedError, UnreachableError
from natlab.nat.mapping import Remotes
from natlab.net import UdpSocket
from natlab.packet import IPProtocol
from natlab.portmap.config import Service
from natlab.portmap.leases import Denial, Lease, Leases, Wish
from natlab.portmap.natpmp import ANNOUNCEMENTS, LIFETIME, PORT
from natlab.wire import pcp
from natlab.wire.pcp import Filter, Mapping, Opcode, Request, Response, ResultCode

__all__ = ["ANNOUNCEMENTS", "Epoch", "Timers", "announce", "announcement", "answer", "ask", "map_port", "new_nonce"]

LONG_ERROR, SHORT_ERROR = 1800, 30
"""Seconds until it makes sense to ask again (section 7.4)."""
SHORT_ERRORS = (ResultCode.NETWORK_FAILURE, ResultCode.NO_RESOURCES, ResultCode.USER_EX_QUOTA)
MAX_REMOTES = 16
"""FILTERs of one mapping, or peers; more are EXCESSIVE_REMOTE_PEERS."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long a client tries (section 8.1.1): seconds to the first repetition, doubling up to `longest`, each a tenth
    longer or shorter at random. The RFC never gives up; `tries` does."""

    first: float = 3.0
    longest: float = 1024.0
    tries: int = 9

    def waits(self, rng: Random) -> Iterator[float]:
        wait = self.first
        for _ in range(self.tries):
            yield (1 + rng.uniform(-0.1, 0.1)) * wait
            wait = min(2 * wait, self.longest)


DEFAULT_TIMERS = Timers()


class Epoch:
    """What a client makes of the epoch in every response: has the server forgotten its mappings? (section 8.5)"""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def shows_loss(self, epoch: int, now: float) -> bool:
        """Notes an epoch received at `now`, in seconds of any clock; True unless both clocks agree.

        Server and client may differ by a sixteenth, and two seconds are granted.
        """
        before, self._last = self._last, (epoch, now)
        if before is None:
            return False
        server, client = epoch - before[0], now - before[1]
        return server < -1 or client + 2 < server * 15 / 16 or server + 2 < client * 15 / 16


def new_nonce(rng: Random) -> bytes:
    """The client's secret of one mapping (section 11.2)."""
    return rng.randbytes(pcp.NONCE_SIZE)


# ---- the client


async def map_port(
    socket: UdpSocket,
    gateway: str,
    mapping: Mapping,
    rng: Random,
    lifetime: int = LIFETIME,
    timers: Timers = DEFAULT_TIMERS,
    *,
    prefer_failure: bool = False,
    filters: tuple[Filter, ...] = (),
) -> Response:
    """Opens, renews or (lifetime 0) closes a port of the computer whose socket this is; with a remote it is PEER.

    Args:
        mapping: what is asked for; what was got stands in the response's.
        prefer_failure: the suggested external port or none.
        filters: who may send there.

    Raises:
        UnreachableError: no answer: it does not speak PCP.
        NegotiationError: it speaks NAT-PMP.
        RefusedError: an answer that says no; `.status` is a `ResultCode`.
    """
    opcode = Opcode.MAP if mapping.remote is None else Opcode.PEER
    ip = socket.local.ip
    request = Request(opcode, lifetime, ip, mapping, prefer_failure=prefer_failure, filters=filters)
    return await ask(socket, gateway, request, rng, timers)


async def announce(socket: UdpSocket, gateway: str, rng: Random, timers: Timers = DEFAULT_TIMERS) -> Response:
    """Asks for the server's epoch and nothing else (section 14.1). Errors are those of `map_port`."""
    return await ask(socket, gateway, Request(Opcode.ANNOUNCE, 0, socket.local.ip), rng, timers)


async def ask(
    socket: UdpSocket, gateway: str, request: Request, rng: Random, timers: Timers = DEFAULT_TIMERS
) -> Response:
    """One request, repeated until it is answered. Nobody else may read from the socket meanwhile."""
    to, data = Endpoint(gateway, PORT), pcp.encode_request(request)
    for wait in timers.waits(rng):
        socket.send(data, to)
        try:
            async with asyncio.timeout(wait):
                response = await _response(socket, to, request)
        except TimeoutError:
            continue
        if response.result == ResultCode.SUCCESS:
            return response
        raise RefusedError(f"{gateway} answers {_name(response.result)}", response.result)
    raise UnreachableError(f"no PCP response from {gateway} to {timers.tries} requests")


async def _response(socket: UdpSocket, server: Endpoint, request: Request) -> Response:
    """Waits for the response to this request; discards all else (section 8.3)."""
    while True:
        data, source = await socket.receive()
        if source != server:
            continue
        _check_version(data, server)
        try:
            response = pcp.decode_response(data)
        except DecodeError:
            continue
        if _belongs(response, request):
            return response


def _check_version(data: bytes, server: Endpoint) -> None:
    """Section 9 and appendix A: who knows another version only says so, in its own; NAT-PMP is version 0."""
    if len(data) >= 4 and data[0] != pcp.VERSION and data[3] == ResultCode.UNSUPP_VERSION:
        other = "NAT-PMP" if data[0] == 0 else f"version {data[0]} of PCP"
        raise NegotiationError(f"{server.ip} speaks {other}, not version {pcp.VERSION} of PCP")


def _belongs(response: Response, request: Request) -> bool:
    """A mapping is known by its nonce, protocol and internal port (section 11.4); PEER's also by the remote."""
    theirs, ours = response.mapping, request.mapping
    if response.opcode != request.opcode:
        return False
    if theirs is None or ours is None:
        return theirs is ours or response.result != ResultCode.SUCCESS
    return (theirs.nonce, theirs.protocol, theirs.internal_port, theirs.remote) == (
        ours.nonce,
        ours.protocol,
        ours.internal_port,
        ours.remote,
    )


def _name(result: int) -> str:
    return ResultCode(result).name if result < len(ResultCode) else f"result code {result}"


# ---- the gateway


class _No(Exception):
    """A request that is refused, inside this file."""

    def __init__(self, result: ResultCode) -> None:
        self.result = result


def answer(leases: Leases, data: bytes, source: Endpoint) -> bytes | None:
    """The response to one datagram from inside, or None for silence."""
    try:
        request = pcp.decode_request(data)
        response = _answer(leases, request, source)
    except (pcp.BadRequest, _No) as no:
        wait = SHORT_ERROR if no.result in SHORT_ERRORS else LONG_ERROR
        return pcp.error_response(data, no.result, wait, leases.epoch)
    except DecodeError:
        return None
    return pcp.encode_response(response)


def announcement(leases: Leases) -> bytes:
    """The epoch, asked or unasked."""
    return pcp.encode_response(Response(Opcode.ANNOUNCE, ResultCode.SUCCESS, 0, leases.epoch))


def _answer(leases: Leases, request: Request, source: Endpoint) -> Response:
    if request.client_ip != source.ip:
        raise _No(ResultCode.ADDRESS_MISMATCH)  # section 8.2: there is a NAT between the two
    if request.third_party is not None:
        raise _No(ResultCode.UNSUPP_OPTION)  # section 13.1: off, unless somebody has turned it on
    mapping = request.mapping
    if mapping is None:
        return Response(Opcode.ANNOUNCE, ResultCode.SUCCESS, 0, leases.epoch)
    if mapping.protocol == 0 and mapping.internal_port:
        raise _No(ResultCode.MALFORMED_REQUEST)  # section 11.1: all protocols, but one port of each?
    if request.opcode is Opcode.MAP and request.lifetime == 0:
        return _delete(leases, request, mapping, source)
    if mapping.protocol not in (IPProtocol.TCP, IPProtocol.UDP) or not mapping.internal_port:
        raise _No(ResultCode.UNSUPP_PROTOCOL)
    return _map(leases, request, mapping, Endpoint(source.ip, mapping.internal_port))


def _map(leases: Leases, request: Request, mapping: Mapping, internal: Endpoint) -> Response:
    """Section 11.3 for MAP, 12.3 for PEER: makes a mapping or renews it, for as long as both agree to."""
    lease = leases.of(mapping.protocol, internal)
    _check_nonce(lease, mapping)
    if request.prefer_failure:
        _check_preference(leases, mapping, internal)
    seconds = min(max(request.lifetime, leases.config.shortest), leases.config.longest)
    if lease is not None and request.opcode is Opcode.PEER:  # it makes a mapping last, and never shorter
        seconds = max(seconds, lease.seconds(leases.now_ns))
    granted = leases.grant(
        Wish(
            service=Service.PCP,
            protocol=mapping.protocol,
            internal=internal,
            port=mapping.external.port,
            seconds=seconds,
            exact=request.prefer_failure,
            remotes=_remotes(request, mapping, lease),
            nonce=mapping.nonce,
        )
    )
    if isinstance(granted, Denial):
        raise _No(_RESULTS[granted])
    got = replace(mapping, external=Endpoint(leases.external_ip, granted.external.port))
    prefer, filters = request.prefer_failure, request.filters
    return Response(request.opcode, ResultCode.SUCCESS, seconds, leases.epoch, got, prefer, filters)


def _delete(leases: Leases, request: Request, mapping: Mapping, source: Endpoint) -> Response:
    """Section 15.1: what is not there is deleted successfully, too. What others made is not, nor what hands made."""
    if request.prefer_failure:
        raise _No(ResultCode.MALFORMED_OPTION)
    internal = Endpoint(source.ip, mapping.internal_port)
    for lease in leases:
        if _is_meant(lease, mapping, internal):
            _check_nonce(lease, mapping)
            leases.release(lease)
    if leases.has_manual(mapping.protocol, internal):
        raise _No(ResultCode.NOT_AUTHORIZED)
    return Response(request.opcode, ResultCode.SUCCESS, 0, leases.epoch, mapping)


def _is_meant(lease: Lease, mapping: Mapping, internal: Endpoint) -> bool:
    """One mapping; or all that this nonce made, for internal port 0."""
    if mapping.protocol not in (0, lease.protocol) or lease.internal.ip != internal.ip:
        return False
    return lease.internal == internal or (internal.port == 0 and lease.nonce == mapping.nonce)


def _check_nonce(lease: Lease | None, mapping: Mapping) -> None:
    if lease is not None and lease.nonce and lease.nonce != mapping.nonce:
        raise _No(ResultCode.NOT_AUTHORIZED)


def _check_preference(leases: Leases, mapping: Mapping, internal: Endpoint) -> None:
    """PREFER_FAILURE (section 13.2): the suggested address and port can be had, as far as the mapping there is goes."""
    if mapping.external.port == 0:
        raise _No(ResultCode.MALFORMED_OPTION)
    visible = leases.visible(mapping.protocol, internal)
    ours = mapping.external.ip in (leases.external_ip, "0.0.0.0", "::")
    if not ours or (visible is not None and visible.port != mapping.external.port):
        raise _No(ResultCode.CANNOT_PROVIDE_EXTERNAL)


def _remotes(request: Request, mapping: Mapping, lease: Lease | None) -> Remotes:
    """Who may send: whoever the last FILTERs name, or PEER's peers, or everybody."""
    if mapping.remote is not None:
        if lease is not None and not lease.remotes:
            return ()  # a MAP mapping stays as open as it is
        peer = ip_network(mapping.remote.ip), mapping.remote.port
        remotes = tuple(dict.fromkeys((*(lease.remotes if lease else ()), peer)))
    else:
        remotes = ()
        for item in request.filters:  # section 13.3: a prefix length of 0 takes all before it away
            remotes = (*remotes, (item.remote, item.port)) if item.remote is not None else ()
    if len(remotes) > MAX_REMOTES:
        raise _No(ResultCode.EXCESSIVE_REMOTE_PEERS)
    return remotes


_RESULTS = {
    Denial.NOT_AUTHORIZED: ResultCode.NOT_AUTHORIZED,
    Denial.QUOTA: ResultCode.USER_EX_QUOTA,
    Denial.FULL: ResultCode.NO_RESOURCES,
    Denial.TAKEN: ResultCode.CANNOT_PROVIDE_EXTERNAL,
}
