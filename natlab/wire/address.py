"""Addresses: where a node can be reached, as multiaddrs.

Specification: libp2p specs `addressing/README.md`, `relay/circuit-v2.md`. `multiaddr.Multiaddr` is the type; this
module is what a node asks of it.

    /ip4/11.0.0.1/tcp/4001                                      an endpoint
    /ip4/11.0.0.1/tcp/4001/p2p/<peer>                           the same, and who must answer there
    /ip4/11.0.0.1/tcp/4001/p2p/<relay>/p2p-circuit              whoever listens through that relay
    /ip4/11.0.0.1/tcp/4001/p2p/<relay>/p2p-circuit/p2p/<peer>   that peer, through that relay
     `-------------- the relay's address -------------'

The library parses and writes text anew whenever it is asked, at 50 to 100 us; a node asks a dozen times for each
connection, mostly about the same few addresses. So what takes that long is remembered, for the last `REMEMBERED` of
them, and what only puts one thing behind another does it with bytes.

Not modelled: transports other than TCP are parsed and passed on, but have no endpoint here; names are not resolved.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

import multiaddr.exceptions
from multiaddr import Multiaddr

from natlab.endpoint import Endpoint, IPAddress, parse_ip
from natlab.errors import DecodeError
from natlab.wire import varint
from natlab.wire.peer_id import PeerId

MAX_ADDRESS_BYTES = 1024  # a relayed QUIC address with two peer IDs takes about 110
REMEMBERED = 2048
# What the library raises on bytes that are no multiaddr; TypeError and OverflowError come from its varints.
_LIBRARY_ERRORS = (ValueError, TypeError, LookupError, OverflowError, multiaddr.exceptions.Error)
_IP4, _TCP, _IP6, _CIRCUIT, _P2P = 4, 6, 41, 290, 421  # multicodec table
_NO_PORT = re.compile("/(?:tcp|udp)/(?![0-9]{1,5}(?:/|$))")
_PEER, _CIRCUIT_PART = "p2p", "p2p-circuit"


@lru_cache(maxsize=REMEMBERED)
def parse(text: str) -> Multiaddr:
    """Reads the text form, as a person types it.

    Raises:
        ValueError: not a multiaddr.
    """
    try:
        if not text.startswith("/"):
            raise ValueError("an address begins with /, e.g. /ip4/11.0.0.1/tcp/4001")
        if _NO_PORT.search(text):  # the library takes whatever int() does, "8_0" and other scripts' digits too
            raise ValueError("a port is a number from 0 to 65535")
        return decode(bytes(Multiaddr(text)))
    except (*_LIBRARY_ERRORS, DecodeError) as error:
        raise ValueError(f"not a multiaddr: {text[:MAX_ADDRESS_BYTES]!r} ({error})") from error


@lru_cache(maxsize=REMEMBERED)
def decode(data: bytes) -> Multiaddr:
    """Reads the binary form, as a peer sends it.

    Raises:
        DecodeError: not a multiaddr, one with a protocol unknown here, or longer than `MAX_ADDRESS_BYTES`.
    """
    if not 0 < len(data) <= MAX_ADDRESS_BYTES:
        raise DecodeError(f"multiaddr of {len(data)} bytes")
    try:
        address = Multiaddr(data)
        for name, value in _parts(address):  # the library reads values only when asked for them
            if name == _PEER:
                PeerId.parse(value)
        if Multiaddr(str(address)) != address:
            raise ValueError("not in canonical form")
    except _LIBRARY_ERRORS as error:
        raise DecodeError(f"not a multiaddr: {data[:64].hex()}") from error
    return address


def decode_known(encoded: Iterable[bytes]) -> tuple[Multiaddr, ...]:
    """Those of a peer's addresses that can be read here; it may well know protocols that we do not."""
    known = []
    for data in encoded:
        with contextlib.suppress(DecodeError):
            known.append(decode(data))
    return tuple(known)


@lru_cache(maxsize=REMEMBERED)
def text(address: Multiaddr) -> str:
    """`str(address)`."""
    return str(address)


@lru_cache(maxsize=32)  # few: most are those of one connection
def from_endpoint(endpoint: Endpoint) -> Multiaddr:
    """The TCP address of an endpoint."""
    code = _IP6 if endpoint.version == 6 else _IP4
    return Multiaddr(bytes((code, *endpoint.address.packed, _TCP)) + endpoint.port.to_bytes(2, "big"))


def to_endpoint(address: Multiaddr) -> Endpoint:
    """Where to connect for a direct TCP address; a trailing `/p2p/...` is ignored.

    Raises:
        ValueError: any other kind of address.
    """
    match _parts(without_peer(address)):
        case [("ip4" | "ip6", ip), ("tcp", port)]:
            return Endpoint.of(ip, int(port))
    raise ValueError(f"not a direct TCP address with an IP in it: {address}")


def is_direct_tcp(address: Multiaddr) -> bool:
    """Whether `to_endpoint` has an answer."""
    return [name for name, _ in _parts(without_peer(address))] in (["ip4", "tcp"], ["ip6", "tcp"])


def peer_of(address: Multiaddr) -> PeerId | None:
    """The peer the address ends at: its last component, if that is `/p2p/...`."""
    parts = _parts(address)
    return PeerId.parse(parts[-1][1]) if parts and parts[-1][0] == _PEER else None


def without_peer(address: Multiaddr) -> Multiaddr:
    """The address without its final `/p2p/...`, if it has one."""
    return _before_peer(address) if peer_of(address) else address


@lru_cache(maxsize=REMEMBERED)
def _before_peer(address: Multiaddr) -> Multiaddr:
    return address.decapsulate_code(_P2P)


def with_peer(address: Multiaddr, peer: PeerId) -> Multiaddr:
    """The address with `/p2p/<peer>` at its end, in place of one that is there."""
    return Multiaddr(bytes(without_peer(address)) + varint.encode(_P2P) + varint.prefixed(bytes(peer)))


def is_relayed(address: Multiaddr) -> bool:
    return any(name == _CIRCUIT_PART for name, _ in _parts(address))


def via_relay(relay: Multiaddr, peer: PeerId | None = None) -> Multiaddr:
    """The circuit address through `relay`, which must end in the relay's `/p2p/...`.

    Raises:
        ValueError: `relay` names no peer, or is itself relayed.
    """
    if peer_of(relay) is None or is_relayed(relay):
        raise ValueError(f"a relay's address is direct and ends in /p2p/<peer ID>, unlike {relay}")
    circuit = Multiaddr(bytes(relay) + varint.encode(_CIRCUIT))
    return with_peer(circuit, peer) if peer else circuit


def split_relay(address: Multiaddr) -> tuple[Multiaddr, PeerId | None]:
    """Takes a circuit address apart: the relay's address (with its `/p2p/...`, if given), and who is behind it.

    Raises:
        ValueError: not a relayed address, or a chain of relays.
    """
    if [name for name, _ in _parts(address)].count(_CIRCUIT_PART) != 1:
        raise ValueError(f"not an address through one relay: {address}")
    behind = _parts(address)[-1]
    if behind[0] not in (_PEER, _CIRCUIT_PART):
        raise ValueError(f"more than a peer ID behind /p2p-circuit: {address}")
    return address.decapsulate_code(_CIRCUIT), peer_of(address)


def is_public(address: Multiaddr) -> bool:
    """Whether the first component can be reached from the whole internet, by the rule of go-multiaddr `net/private.go`.

    libp2p acts on it: addresses that fail it are not sent in CONNECT, nor given out by relays. The documentation
    ranges (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24) and 198.18.0.0/15 fail it.
    """
    match _parts(address):
        case [("ip4" | "ip6", ip), *_]:
            return _is_public_ip(ip)
        case [("dns" | "dns4" | "dns6" | "dnsaddr", name), *_]:
            return not f".{name.rstrip('.').lower()}".endswith(_PRIVATE_NAMES)
    return False


@lru_cache(maxsize=REMEMBERED)
def _is_public_ip(ip: str) -> bool:
    return is_public_ip(parse_ip(ip))


def is_public_ip(ip: IPAddress) -> bool:
    """`is_public` for a bare IP address."""
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _PRIVATE_V4)
    if any(ip in network for network in _NAT64):
        return True
    return ip in _GLOBAL_UNICAST_V6 and ip not in _DOCUMENTATION_V6


# go-multiaddr net/private.go: privateCIDR4, unroutableCIDR4, and the IPv6 rules of IsPublicAddr.
_PRIVATE_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/26",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION_V6 = ipaddress.IPv6Network("2001:db8::/32")
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_PRIVATE_NAMES = (".localhost", ".local", ".test", ".invalid", ".home.arpa", ".in-addr.arpa", ".ip6.arpa")


@lru_cache(maxsize=REMEMBERED)
def _parts(address: Multiaddr) -> tuple[tuple[str, str], ...]:
    """The components as (protocol name, value as text); "" for a protocol without value."""
    return tuple((protocol.name, value or "") for protocol, value in address.items())
