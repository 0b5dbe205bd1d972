"""What a NAT box says itself: to a stranger's SYN, to a ping that is meant for it, to a host that it has no room for.

    what came                       answer                                          axis
    a SYN that nothing admits       none, RST, ICMP port unreachable, the same      unsolicited_syn
                                    after 6 s (RFC 5382 REQ-4)
    a ping to an external address   the same bytes (RFC 1122 section 3.2.2.6)       answers_ping
    a packet from inside, for       ICMP administratively prohibited (RFC 5508      icmp_when_full
    which there is no room or port  REQ-8) or host unreachable (RFC 6888 REQ-11)

Everything else that is dropped is met with silence. An answer travels with the `Drop`; who drives the box sends it.

Not modelled: a rate limit (RFC 1812 section 4.3.2.8), pings to the internal address.
"""

from __future__ import annotations

from collections.abc import Collection

from natlab.nat.config import IcmpWhenFull, NatConfig, UnsolicitedSyn
from natlab.nat.outcome import Drop, Wait
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, echo_reply, icmp_error

__all__ = ["Answers"]

PATIENCE = 6_000_000_000  # nanoseconds, RFC 5382 REQ-4: how long a stranger's SYN is met with silence at least

_TCP = int(IPProtocol.TCP)
_SYN, _ACK, _RST = int(Flag.SYN), int(Flag.ACK), int(Flag.RST)


class Answers:
    """The answers of one box.

    Args:
        internal_ip: where its ICMP errors to hosts inside come from.
    """

    def __init__(self, config: NatConfig, internal_ip: str) -> None:
        self._config = config
        self._internal_ip = internal_ip

    def to_stranger(self, packet: Packet, reason: str, now: int) -> Drop:
        """A packet from outside that nothing admits. `now` is in nanoseconds."""
        if packet.protocol != _TCP or packet.flags & (_SYN | _ACK | _RST) != _SYN:
            return Drop(reason)
        match self._config.unsolicited_syn:
            case UnsolicitedSyn.DROP:
                return Drop(reason)
            case UnsolicitedSyn.RST:
                return Drop(reason, _reset_for(packet))
            case UnsolicitedSyn.ICMP:
                return Drop(reason, icmp_error(IcmpKind.PORT_UNREACHABLE, packet.destination.ip, packet))
            case UnsolicitedSyn.WAIT:
                reply = icmp_error(IcmpKind.PORT_UNREACHABLE, packet.destination.ip, packet)
                return Drop(reason, reply, Wait(now + PATIENCE, packet[:3]))

    def to_ping(self, packet: Packet, own_ips: Collection[str]) -> Drop | None:
        """An echo request that goes no further, since the box itself is meant; None for all others."""
        is_request = packet.icmp is not None and packet.icmp.kind is IcmpKind.ECHO_REQUEST
        if not is_request or packet.destination.ip not in own_ips:
            return None
        if not self._config.answers_ping:
            return Drop("ping: this box itself is meant, and it does not answer")
        return Drop("ping: this box itself is meant, and it answers", echo_reply(packet))

    def to_ping_from_inside(self, packet: Packet, own_ips: Collection[str]) -> Drop | None:
        """The same, and whatever else opens no session of ICMP."""
        if drop := self.to_ping(packet, own_ips) or self.unasked(packet):
            return drop
        return None if self._config.icmp_queries else Drop("ICMP queries: this box lets no ping out")

    def unasked(self, packet: Packet) -> Drop | None:
        """An echo reply from inside: queries make sessions, replies do not (Linux's conntrack calls it invalid)."""
        if packet.icmp is None or packet.icmp.kind is not IcmpKind.ECHO_REQUEST:
            return Drop(f"no mapping: nobody asked for {packet.icmp}, and only an echo request opens one")
        return None

    def full(self, packet: Packet, reason: str) -> Drop:
        """A packet from inside for which there is no room, or no port."""
        kind = _WHEN_FULL[self._config.icmp_when_full]
        return Drop(reason, icmp_error(kind, self._internal_ip, packet) if kind else None)


_WHEN_FULL = {
    IcmpWhenFull.SILENCE: None,
    IcmpWhenFull.PROHIBITED: IcmpKind.PROHIBITED,
    IcmpWhenFull.HOST_UNREACHABLE: IcmpKind.HOST_UNREACHABLE,
}


def _reset_for(syn: Packet) -> Packet:
    """The RST that answers a SYN nobody listens for (RFC 9293 section 3.10.7.1)."""
    after = (syn.seq + len(syn.payload) + 1) % 2**32
    return Packet(syn.protocol, syn.destination, syn.source, flags=_RST | _ACK, ack=after)
