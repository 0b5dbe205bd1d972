"""SSDP: where on this LAN is somebody who does such and such?

Specification: UPnP Device Architecture 2.0 section 1.3. A question to a multicast group, answered by unicast:

    control point                                   device
       │ ── M-SEARCH, ST: ...GatewayDevice:1 ────> │   to 239.255.255.250:1900, from any port
       │ ── the same ────────────────────────────> │   UDP loses datagrams
       │ <─ 200 OK, LOCATION: http://192.168... ── │   where its description is

Anybody on the LAN can answer. So only an answer that points to its own sender counts: else a liar would send the
control point, which fetches what LOCATION says, to any server it likes.

*Not modelled*: NOTIFY, by which devices announce themselves unasked and say goodbye; the random delay of up to MX
seconds, which spreads the answers of many devices; one answer for each part of a device to `ssdp:all`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, UnreachableError
from natlab.net import Network, UdpSocket
from natlab.wire import http

__all__ = ["GROUP", "Found", "answer", "parse_url", "search"]

GROUP = Endpoint("239.255.255.250", 1900)
MX = 1
"""Seconds within which a device should answer."""
REPETITIONS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """An answer. Attributes: target, what was searched for; location, of the description."""

    target: str
    location: str


async def search(network: Network, ip: str, targets: Sequence[str], only: str | None = None) -> Found:
    """Asks for any of several targets until somebody answers.

    Args:
        ip: this computer's address on the LAN.
        only: the one device whose answer counts, by its address; None for any.

    Raises:
        UnreachableError: nobody has answered.
    """
    socket = await network.bind_udp(Endpoint(ip, 0))
    try:
        for _ in range(REPETITIONS):
            for target in targets:
                socket.send(_question(target), GROUP)
            try:
                async with asyncio.timeout(MX):
                    return await _answer_to(socket, targets, only)
            except TimeoutError:
                continue
    finally:
        socket.close()
    raise UnreachableError(f"no answer to {REPETITIONS} searches for {targets[0]}")


async def _answer_to(socket: UdpSocket, targets: Sequence[str], only: str | None) -> Found:
    while True:
        data, source = await socket.receive()
        try:
            found = _found(data)
            server = parse_url(found.location)[0]
        except (DecodeError, ValueError):
            continue
        if found.target in targets and server.ip == source.ip and only in (None, source.ip):
            return found


def answer(data: bytes, targets: Sequence[str], name: str, location: str) -> bytes | None:
    """The device's answer to one datagram, or None for silence.

    Args:
        targets: what it is.
        name: its unique name, "uuid:...".
    """
    try:
        message = http.decode(data)
        method, _ = message.request
    except DecodeError:
        return None
    target = message.fields.get("st", "")
    if method != "M-SEARCH" or message.fields.get("man") != '"ssdp:discover"':
        return None
    if target == "ssdp:all":
        target = targets[0]
    if target not in (*targets, name):
        return None
    fields = {
        "Cache-Control": "max-age=1800",
        "Ext": "",
        "Location": location,
        "Server": "natlab UPnP/1.1 natlab/1.0",
        "ST": target,
        "USN": name if target == name else f"{name}::{target}",
    }
    return http.encode("HTTP/1.1 200 OK", fields)


def parse_url(url: str) -> tuple[Endpoint, str]:
    """Server and path of `http://IP:PORT/path`; no names, for there is nobody here who could resolve one.

    Raises:
        ValueError: not of that form.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.username is not None:
        raise ValueError(f"not of the form http://IP:PORT/path: {url[:200]!r}")
    path = parts.path or "/"
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError(f"what HTTP cannot ask for: {url[:200]!r}")
    return Endpoint.of(parts.hostname, parts.port or 80), f"{path}?{parts.query}" if parts.query else path


def _question(target: str) -> bytes:
    fields = {"Host": str(GROUP), "Man": '"ssdp:discover"', "MX": str(MX), "ST": target}
    return http.encode("M-SEARCH * HTTP/1.1", fields)


def _found(data: bytes) -> Found:
    message = http.decode(data)
    if message.status != 200:
        raise DecodeError(message.start)
    return Found(message.fields.get("st", ""), message.fields.get("location", ""))
