"""What can be said of a TCP segment without knowing a connection."""

from __future__ import annotations

from natlab.packet import Flag, IPProtocol, Packet
from natlab.sim.tcp_sequence import to_wire

FIN, SYN, RST, PSH, ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.PSH), int(Flag.ACK)
"""The control bits as plain ints: an `IntFlag` operation costs a microsecond."""


def segment_length(packet: Packet) -> int:
    """SEG.LEN: payload, and one each for SYN and FIN (RFC 9293 section 3.4)."""
    length = len(packet.payload)
    return length + bool(packet.flags & SYN) + bool(packet.flags & FIN) if packet.flags & (SYN | FIN) else length


def opens(packet: Packet) -> bool:
    """A SYN that asks for a connection: no ACK, no RST."""
    return packet.flags & (SYN | ACK | RST) == SYN


def reset_for(packet: Packet) -> Packet | None:
    """The RST that answers a segment for which there is no connection; None for a RST (section 3.10.7.1).

    This is the answer to a SYN at a closed port, and to anything but a SYN or a RST at a listening one.
    """
    if packet.flags & RST:
        return None
    if packet.flags & ACK:
        return Packet(IPProtocol.TCP, packet.destination, packet.source, flags=RST, seq=packet.ack)
    ack = to_wire(packet.seq + segment_length(packet))
    return Packet(IPProtocol.TCP, packet.destination, packet.source, flags=RST | ACK, ack=ack)
