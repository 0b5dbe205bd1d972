"""A packet as a value: what hosts send, links carry and NAT boxes rewrite.

Bytes, checksums and header layouts exist only where a packet meets the real world: `natlab.wire.ip` writes them for
capture files and TUN devices. A packet is a NamedTuple: immutable, and cheap to make at every hop.

ICMP is a packet too (RFC 792; RFC 4443 where the addresses are IPv6). An echo request has an identifier where UDP has
its source port, and the reply has it where UDP has its destination port (RFC 5508 section 3.1), so that a NAT box
treats a ping like any conversation. An error has no port at all; it quotes the packet that it is about:

    alice ── UDP :5000 to 12.0.0.1:9 ──> bob, where nobody has port 9
    alice <── ICMP port unreachable ──── bob        quoting "UDP 192.168.1.2:5000 to 12.0.0.1:9"

A packet that may be cut on its way is `df=False`; the pieces are packets of the protocol FRAGMENT without ports
(`natlab.wire.fragments`).

Not modelled: DSCP, TCP urgent data, ICMP other than in `IcmpKind`.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum
from typing import NamedTuple

from natlab.endpoint import Endpoint


class IPProtocol(IntEnum):
    """IANA protocol numbers. ICMP stands for ICMPv6 as well, whose number is 58: the addresses tell."""

    ICMP = 1
    TCP = 6
    UDP = 17
    FRAGMENT = 44  # IPv6's number for it; here a piece of an IPv4 packet is one, too


class Flag(IntFlag):
    """TCP control bits (RFC 9293 section 3.1)."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


class IcmpKind(StrEnum):
    """What an ICMP message says: its type and code by name; `natlab.wire.icmp` has the numbers."""

    ECHO_REQUEST = "echo request"
    ECHO_REPLY = "echo reply"
    NETWORK_UNREACHABLE = "network unreachable"
    HOST_UNREACHABLE = "host unreachable"
    PORT_UNREACHABLE = "port unreachable"
    PROHIBITED = "administratively prohibited"
    TOO_BIG = "packet too big"  # RFC 792 calls it "fragmentation needed and DF set"
    TIME_EXCEEDED = "time exceeded"
    REASSEMBLY_TIME_EXCEEDED = "reassembly time exceeded"


class Icmp(NamedTuple):
    """What only ICMP packets have.

    Attributes:
        kind: what it says.
        quoted: errors only, the packet it is about, as it was where the error was made. On the wire an error has room
            for its first bytes only, so what was read from there may lack the end of its payload, and TCP's fields
            behind the sequence number.
        mtu: TOO_BIG only, the largest size that would have passed, in bytes; 0 if the router does not say.
    """

    kind: IcmpKind
    quoted: Packet | None = None
    mtu: int = 0

    def __str__(self) -> str:
        words = f"{self.kind} (MTU {self.mtu})" if self.mtu else str(self.kind)
        return words if self.quoted is None else f"{words}, for {describe(self.quoted)}"


class Fragment(NamedTuple):
    """What only pieces of packets have.

    Attributes:
        whole: the packet that it is a piece of, as it was when it was cut.
        identification: the same in all its pieces.
        offset, length: which bytes of it, counted behind the IP header.
        more: whether it is not the last piece.
    """

    whole: Packet
    identification: int
    offset: int
    length: int
    more: bool


class Packet(NamedTuple):
    """One UDP datagram, TCP segment or ICMP message.

    Attributes:
        protocol: UDP, TCP or ICMP, an `IPProtocol` (a plain int compares equal).
        source, destination: the endpoints in the header as it is now; a NAT box changes them. Where ICMP has no
            identifier the port is 0.
        payload: the bytes it carries; none in an ICMP error.
        flags: TCP control bits, a plain int (an `IntFlag` operation costs a microsecond).
        seq, ack: TCP sequence and acknowledgement numbers, 0 to 2**32 - 1; `seq` is also an echo's, 0 to 65535.
        window: TCP receive window in bytes, already scaled.
        flight: number given by the first sender and kept across translation; the same packet at every hop.
        ttl: hops left.
        icmp: what only ICMP packets have; None in others.
        df: "don't fragment": whether no router may cut it. Linux sets it on all it sends, as long as it fits.
        fragment: what only pieces have; None in others.
    """

    protocol: int
    source: Endpoint
    destination: Endpoint
    payload: bytes = b""
    flags: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    flight: int = 0
    ttl: int = 64
    icmp: Icmp | None = None
    df: bool = True
    fragment: Fragment | None = None

    @property
    def size(self) -> int:
        """Bytes on the wire: IP header, transport header, payload (no options)."""
        ip = 40 if ":" in self.source.ip else 20
        if self.fragment is not None:
            return ip + (8 if ip == 40 else 0) + self.fragment.length
        quoted = self.quoted
        if quoted is not None:
            return ip + 8 + min(quoted.size, quotable(ip))
        return ip + (20 if self.protocol == IPProtocol.TCP else 8) + len(self.payload)

    @property
    def quoted(self) -> Packet | None:
        """The packet that an ICMP error is about; None if this is no error."""
        return None if self.icmp is None else self.icmp.quoted

    @property
    def flag_names(self) -> str:
        """`SYN`, `SYN ACK`, ... in header order; empty for UDP and ICMP."""
        return " ".join(str(flag.name) for flag in Flag if self.flags & flag)


def quotable(ip_header: int) -> int:
    """How many bytes of a packet an error quotes: what keeps it within 576 bytes (RFC 1812 section 4.3.2.3), or within
    IPv6's least MTU of 1280 (RFC 4443 section 2.4)."""
    return (1280 if ip_header == 40 else 576) - ip_header - 8


def describe(packet: Packet) -> str:
    """A packet in a few words: `UDP 11.0.0.1:5000 to 12.0.0.1:9`."""
    if packet.fragment is not None:
        piece = packet.fragment
        return f"bytes {piece.offset} to {piece.offset + piece.length - 1} of {describe(piece.whole)}"
    protocol = IPProtocol(packet.protocol).name
    kind = f" {packet.icmp.kind}" if packet.icmp is not None else ""
    return f"{protocol}{kind} {end_of(packet, packet.source)} to {end_of(packet, packet.destination)}"


def end_of(packet: Packet, end: Endpoint) -> str:
    """One end of a packet as text; where ICMP has no identifier, the address alone."""
    return end.ip if packet.icmp is not None and not end.port else str(end)


def echo_request(source: Endpoint, to: str, sequence: int, payload: bytes = b"", ttl: int = 64) -> Packet:
    """A ping. `source` is an address and the identifier."""
    return Packet(
        IPProtocol.ICMP,
        source,
        Endpoint(to, 0),
        payload,
        seq=sequence,
        ttl=ttl,
        icmp=Icmp(IcmpKind.ECHO_REQUEST),
    )


def echo_reply(request: Packet) -> Packet:
    """The answer to a ping: the same bytes back (RFC 1122 section 3.2.2.6)."""
    return Packet(
        request.protocol,
        request.destination,
        request.source,
        request.payload,
        seq=request.seq,
        icmp=Icmp(IcmpKind.ECHO_REPLY),
    )


def icmp_error(kind: IcmpKind, by: str, packet: Packet, mtu: int = 0) -> Packet | None:
    """An error about `packet`, to whoever sent it, from the address `by`.

    None about a piece of a packet, and about an ICMP error: an error about an error could go on for ever (RFC 1122
    section 3.2.2, RFC 4443 section 2.4).
    """
    if packet.quoted is not None or packet.fragment is not None:
        return None
    return Packet(IPProtocol.ICMP, Endpoint(by, 0), Endpoint(packet.source.ip, 0), icmp=Icmp(kind, packet, mtu))
