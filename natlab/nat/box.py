"""The NAT box itself: the walk of a packet through mapping, filtering and timers.

    outbound packet                                   inbound packet
      a live session from here to there?                a live session from there to this port?
        yes: it decides                                   yes: it decides
        no:  mapping under the key? else make one         no:  who holds the port? is the remote admitted?
             a session of that mapping begins                  a session of that mapping begins
      the session's timer starts again                  TCP state, timer
      source := external endpoint                       destination := internal endpoint

Mappings expire lazily: there are no timer events, an entry is over when its time has come, and the box notices when
it next looks. Which packets start a timer again is `timers.py`'s question for UDP; for TCP, outbound ones do, and
inbound ones only on an established connection, so a stranger can keep nothing open.

Only a SYN opens a TCP mapping. Any other segment that belongs to no session is dropped, not guessed at.

The clash. Where mapping depends on the remote and filtering does not, the internal host may have a session to R
through one mapping when R's packet comes in through another. To the internal host both would be the same pair of
endpoints, but their replies must leave by different mappings. So the box shows R under another port there, as Linux
does. TCP then sees R's SYN as a stranger's, which lands on the listening socket and not on the socket that is dialling
R: it is why some hole punches of libp2p work on their third attempt only.

    internal -> R           mapping 2     seen inside as R, port 9000
    R -> mapping 1          admitted      seen inside as R, port 31337

ICMP. A ping is a conversation like any other, between an identifier and a remote address. It begins inside, with a
request (RFC 5508 REQ-1); a reply from inside answers nobody whom this box has let in. Errors are
`icmp_errors.py`'s, what the box itself has to say is `answers.py`'s.

Not modelled: see the package.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal
from natlab.nat.answers import Answers
from natlab.nat.config import Hairpinning, NatConfig, PortAllocation
from natlab.nat.filtering import refusal
from natlab.nat.fragments import Pieces
from natlab.nat.icmp_errors import ErrorTranslation
from natlab.nat.mapping import Mapping, MappingKey, Remotes, Session, forward_key, mapping_key
from natlab.nat.outcome import Drop, Hairpinned, Wait
from natlab.nat.pool import Pool, Share
from natlab.nat.ports import Ports, random_free_port
from natlab.nat.table import Table
from natlab.nat.tcp_session import LONG_LIVED, next_state
from natlab.nat.unsolicited import Memory
from natlab.packet import Flag, IPProtocol, Packet, end_of

__all__ = ["FOREVER", "NatBox"]

FOREVER = 2**63  # nanoseconds: when a port forward without a lease ends

Pair = tuple[int, Endpoint, Endpoint]  # protocol, remote, external

_UDP, _TCP, _ICMP = int(IPProtocol.UDP), int(IPProtocol.TCP), int(IPProtocol.ICMP)
_SYN, _ACK, _RST = int(Flag.SYN), int(Flag.ACK), int(Flag.RST)
_SECOND = 1_000_000_000


class NatBox:
    """A NAT box between its external addresses and the hosts inside. Times are virtual, in integer nanoseconds.

    Args:
        name: the `place` of its events.
        config: how it behaves.
        external_ip: its address on the outside, canonical text.
        rng: where its random ports come from.
        journal: where its mapping events go; what that does not want is not made.
        more_external_ips: the others, if `config.external_addresses` is more than 1.
        internal_ip: where its own ICMP errors to hosts inside come from; `external_ip` if empty.
        beside: another box of this name, for the other version of IP; they number their mappings together.

    Attributes:
        up_since: virtual time in nanoseconds of its last reboot, 0 before the first.

    Raises:
        ValueError: not as many addresses as the configuration says.
    """

    def __init__(
        self,
        name: str,
        config: NatConfig,
        external_ip: str,
        rng: random.Random,
        journal: Journal,
        more_external_ips: Sequence[str] = (),
        internal_ip: str = "",
        beside: NatBox | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.up_since = 0
        self._rng = rng
        self._table: Table = Table(name, config, journal, beside._table.numbers if beside else None)
        self._ports = Ports(config, rng)
        self._quarantine: Memory[str] = Memory(round(config.quarantine * _SECOND))
        self._strays: Memory[Pair] = Memory(round(config.udp_unanswered_timeout * config.strays_take_ports * _SECOND))
        self._errors = ErrorTranslation(config, self._table)
        self._pieces = Pieces(config.fragments)
        self._answers = Answers(config, internal_ip or external_ip)
        self.set_addresses(external_ip, *more_external_ips)
        # what every packet needs, without a detour
        self._outward, self._inward = self._table.outward, self._table.inward
        self._timers, self._set_expiry = self._table.timers, self._table.set_expiry
        self._udp_timeout, self._tcp_timeouts = self._timers.udp, self._timers.tcp
        self._shut_out = self._quarantine.until

    def set_addresses(self, *external_ips: str) -> None:
        """Gives the box other external addresses. What it remembers stays on the old ones: `reboot` it."""
        if len(external_ips) != self.config.external_addresses:
            raise ValueError(
                f"{self.name} has {self.config.external_addresses} external addresses by its configuration, "
                f"but was given {len(external_ips)}: {', '.join(external_ips)}"
            )
        self.external_ip = external_ips[0]
        self.external_ips = external_ips
        self._pool = Pool(self.config, external_ips, self._rng)

    def outbound(self, packet: Packet, now_ns: int) -> Packet | Hairpinned | Drop:
        """A packet from inside: as it leaves, or as it comes back inside, or why it does neither."""
        session = self._outward.get(packet[:3])
        if session is None or session.expires <= now_ns:
            if packet.quoted is not None:
                return self._errors.outbound(packet, now_ns)
            if packet.fragment is not None:
                whole = self._pieces.add(packet, now_ns)
                return whole if isinstance(whole, Drop) else self.outbound(whole, now_ns)
            opened = self._open(packet, now_ns)
            if isinstance(opened, Drop):
                return opened
            session = opened
        if packet.protocol == _UDP:
            expires = now_ns + self._udp_timeout if session.steady else self._timers.after_outbound(session, now_ns)
        elif packet.protocol == _TCP:
            if session.window is not None and not session.window.accepts(packet, outbound=True):
                return _outside_window(packet)
            session.state = next_state(session.state, packet.flags, outbound=True)
            expires = now_ns + self._tcp_timeouts[session.state]
        elif packet.quoted is not None:  # the session is that of a ping with identifier 0
            return self._errors.outbound(packet, now_ns)
        elif unasked := self._answers.unasked(packet):  # so is this one's
            return unasked
        else:
            expires = now_ns + self._timers.icmp
        self._set_expiry(session, expires, now_ns)
        sent = Packet(packet.protocol, session.mapping.external, session.remote, *packet[3:])
        return self._turn_back(sent, packet.source, now_ns) if session.is_hairpin else sent

    def inbound(self, packet: Packet, now_ns: int) -> Packet | Drop:
        """A packet from outside: as the internal host gets it, or why it does not."""
        if self._shut_out and self._quarantine.holds(packet.source.ip, now_ns):
            return Drop(f"quarantine: {packet.source.ip} has sent something unexpected lately")
        session = self._inward.get(packet[:3])
        if session is None or session.expires <= now_ns:
            if packet.quoted is not None:
                return self._errors.inbound(packet, now_ns)
            if packet.fragment is not None:
                whole = self._pieces.add(packet, now_ns)
                return whole if isinstance(whole, Drop) else self.inbound(whole, now_ns)
            admitted = self._admit(packet, now_ns)
            if isinstance(admitted, Drop):
                return admitted
            session = admitted
        if packet.protocol == _UDP:
            if not session.steady:
                self._set_expiry(session, self._timers.after_inbound(session, now_ns), now_ns)
        elif packet.protocol == _TCP:
            if session.window is not None and not session.window.accepts(packet, outbound=False):
                return _outside_window(packet)
            self._track_inbound(session, packet.flags, now_ns)
        elif packet.quoted is not None:
            return self._errors.inbound(packet, now_ns)
        return Packet(packet.protocol, session.seen, session.mapping.internal, *packet[3:])

    def still_due(self, wait: Wait, now_ns: int) -> bool:
        """Whether the reply of a `Drop` that had to wait is to be sent: nobody inside has dialled the sender."""
        session = self._inward.get(wait.pair)
        return session is None or session.expires <= now_ns

    def expire(self, now_ns: int) -> None:
        """Ends all whose time is over. Never needed for correctness: it saves memory and completes the journal."""
        self._table.expire(now_ns)

    def reboot(self, now_ns: int, *external_ips: str) -> None:
        """Forgets everything, port forwards too; comes back with other addresses if some are given."""
        self._table.expire(now_ns)
        for mapping in list(self._table.mappings.values()):
            self._table.end(mapping, "reboot: the box forgot everything", now_ns)
        self._shut_out.clear()
        self._strays.until.clear()
        self._table.rest.clear()
        self._pieces.clear()
        self.up_since = now_ns
        if external_ips:
            self.set_addresses(*external_ips)

    # Port forwards

    def forward(
        self,
        protocol: int,
        external: Endpoint,
        internal: Endpoint,
        now_ns: int,
        until: int = FOREVER,
        remotes: Remotes = (),
    ) -> None:
        """From now on everybody may send to `external`, and it goes to `internal`. Again: renewed, with a new end.

        What `internal` sends leaves from there as well, unless it has another mapping already.

        Args:
            until: when it ends by itself, in nanoseconds.
            remotes: who may send, if not everybody.

        Raises:
            LabError: not an endpoint of this box, or another internal endpoint has it.
        """
        is_ours = external.ip in self.external_ips or (external == internal and not self.config.translates)
        if not is_ours or external.port == 0:
            raise LabError(
                f"{external} is no endpoint of {self.name}: forward a port of {', '.join(self.external_ips)}"
            )
        if (other := self.other_holder(protocol, external, internal, now_ns)) is not None:
            raise LabError(f"{external} belongs to {other}: take another port, or end its forward first")
        key = forward_key(protocol, internal, external)
        if (mapping := self._table.mappings.get(key)) is None or mapping.expires <= now_ns:
            mapping = self._table.add(key, external, now_ns)
        mapping.open_until = until
        mapping.remotes = remotes
        self._table.set_mapping_expiry(mapping, now_ns)

    def unforward(self, protocol: int, external: Endpoint, now_ns: int) -> bool:
        """Ends a port forward, and the conversations through it. False: there was none."""
        forward = self._table.forward_at(protocol, external, now_ns)
        if forward is not None:
            self._table.end(forward, "port forward: taken back", now_ns)
        return forward is not None

    def holder(self, protocol: int, external: Endpoint, now_ns: int) -> Endpoint | None:
        """Which internal endpoint has an external one now, the oldest if they share it; None if it is free."""
        mapping = self._table.holder(protocol, external, now_ns)
        return mapping.internal if mapping else None

    def other_holder(self, protocol: int, external: Endpoint, internal: Endpoint, now_ns: int) -> Endpoint | None:
        """An internal endpoint other than this one that has an external one now; None: it is free, or its own."""
        holders = (mapping.internal for mapping in self._table.holders(protocol, external, now_ns))
        return next((holder for holder in holders if holder != internal), None)

    def external_of(self, protocol: int, internal: Endpoint, now_ns: int) -> Endpoint | None:
        """Where all remotes find an internal endpoint now: its port forward, or its endpoint-independent mapping."""
        forward = self._table.forward_of(protocol, internal, now_ns)
        mapping = forward or self._table.mappings.get((protocol, internal, "", 0))
        return mapping.external if mapping and mapping.expires > now_ns else None

    def has_forward(self, protocol: int, internal: Endpoint, now_ns: int) -> bool:
        """Whether a port is forwarded to an internal endpoint now."""
        return self._table.forward_of(protocol, internal, now_ns) is not None

    # An outbound packet that belongs to no session

    def _open(self, packet: Packet, now: int) -> Session | Drop:
        protocol, internal, remote = packet[:3]
        is_hairpin = self.config.translates and remote.ip in self.external_ips
        if protocol == _ICMP and (refused := self._answers.to_ping_from_inside(packet, self.external_ips)):
            return refused
        if self.config.confuses_addresses and internal.ip in self.external_ips:
            return Drop(f"conflict: {internal.ip} is this box's own address outside (RFC 4787 REQ-7)")
        if is_hairpin and self.config.hairpinning is Hairpinning.NONE:
            return Drop(f"hairpinning: {remote} is this box's own address, and it does not hairpin (RFC 4787 REQ-9)")
        if protocol == _TCP and packet.flags & (_SYN | _ACK | _RST) != _SYN:
            return Drop(f"no mapping: there is no TCP session from {internal} to {remote}, and only a SYN opens one")
        if not self._table.has_room(now):
            return self._answers.full(packet, f"no room: the box already has {self.config.session_limit} sessions")
        mapping = self._mapping_for(protocol, internal, remote, now)
        if isinstance(mapping, Drop):
            return self._answers.full(packet, mapping.reason)
        session = self._table.begin(mapping, remote, remote, now)
        session.is_hairpin = is_hairpin
        return session

    def _mapping_for(self, protocol: int, internal: Endpoint, remote: Endpoint, now: int) -> Mapping | Drop:
        key = mapping_key(self.config.mapping, protocol, internal, remote)
        mapping = self._table.mappings.get(key)
        if mapping is not None and mapping.expires > now:
            return mapping
        return self._table.forward_of(protocol, internal, now) or self._make_mapping(key, now)

    def _make_mapping(self, key: MappingKey, now: int) -> Mapping | Drop:
        protocol, internal = key[:2]
        if self._table.is_full_for(internal.ip, now):
            return Drop(f"limit: {internal.ip} already has {self.config.mappings_per_host} mappings (RFC 6888 REQ-4)")
        if not self.config.translates:
            return self._table.add(key, internal, now)
        share = self._pool.share_of(internal.ip)
        if self.config.port_allocation is PortAllocation.OVERLAPPING:
            external = self._overlapping(key, share, now)
        else:
            external = self._ports.allocate(internal, share, lambda external: self._taken(protocol, external, now))
        if external is None:
            return Drop(f"ports: {share.ip} has none left for {internal} ({self.config.port_allocation})")
        return self._table.add(key, external, now)

    def _taken(self, protocol: int, external: Endpoint, now: int) -> Endpoint | None:
        """Who has an external endpoint; itself, if it rests; None if it is free."""
        holder = self.holder(protocol, external, now)
        return external if holder is None and self._table.rest.has(protocol, external, now) else holder

    def _overlapping(self, key: MappingKey, share: Share, now: int) -> Endpoint | None:
        """An external endpoint that is free towards the one remote of the key."""
        protocol, internal, ip, port = key
        remote = Endpoint(ip, port)
        latest = self._table.latest.get((protocol, internal))

        def holder(external: Endpoint) -> Endpoint | None:
            pair = protocol, remote, external
            session = self._inward.get(pair)
            if session is not None and session.expires > now:
                return session.mapping.internal
            return remote if self._strays.holds(pair, now) else None

        return self._ports.allocate(internal, share, holder, latest.external if latest else None)

    def _turn_back(self, sent: Packet, internal: Endpoint, now: int) -> Hairpinned | Drop:
        """A packet that has just left arrives at the same box, from outside."""
        arrived = self.inbound(sent, now)
        if isinstance(arrived, Drop):
            return Drop(
                f"hairpinning: {arrived.reason}", self._reply_inside(arrived.reply, internal, now), arrived.wait
            )
        if self.config.hairpinning is Hairpinning.INTERNAL_SOURCE:
            arrived = arrived._replace(source=internal)
        return Hairpinned(arrived)

    def _reply_inside(self, reply: Packet | None, internal: Endpoint, now: int) -> Packet | None:
        """The answer to a packet that was turned back and refused, as its sender gets it."""
        if reply is None or reply.quoted is None:
            return reply and reply._replace(destination=internal)
        translated = self._errors.inbound(reply, now)
        return translated if isinstance(translated, Packet) else None

    # An inbound packet that belongs to no session

    def _admit(self, packet: Packet, now: int) -> Session | Drop:
        protocol, remote, external = packet[:3]
        if protocol == _ICMP and (answer := self._answers.to_ping(packet, self.external_ips)):
            return answer
        forward = self._table.forward_at(protocol, external, now)
        if forward is not None and forward.admits(remote):
            mapping, until = forward, min(forward.open_until, now + self._timers.first(protocol))
        elif (sponsor := self._table.admitting(protocol, external, remote, now)) is not None:
            mapping, until = sponsor.mapping, sponsor.expires  # as long as for whose sake it is admitted, and no longer
        else:
            return self._refuse(packet, self._refusal(packet, now), now)
        if not self._table.has_room(now):
            return Drop(f"no room: the box already has {self.config.session_limit} sessions")
        session = self._table.begin(mapping, remote, self._seen_inside(mapping, remote, now), now)
        session.is_hairpin = self.config.translates and remote.ip in self.external_ips
        session.answered = True
        session.expires = until
        return session

    def _refusal(self, packet: Packet, now: int) -> str:
        """Why nothing admits a packet, as a sentence."""
        protocol, remote, external = packet[:3]
        if self.config.translates and self._table.holder(protocol, external, now) is None:
            return f"no mapping: nothing inside uses {end_of(packet, external)} for {IPProtocol(protocol).name}"
        return refusal(self.config.filtering, remote, external)

    def _seen_inside(self, mapping: Mapping, remote: Endpoint, now: int) -> Endpoint:
        """`remote`, or after a clash (see the top of this file) its address with another port."""

        def free(port: int) -> bool:
            session = self._outward.get((mapping.protocol, mapping.internal, Endpoint(remote.ip, port)))
            return session is None or session.expires <= now

        return remote if free(remote.port) else Endpoint(remote.ip, random_free_port(free, self._rng))

    def _refuse(self, packet: Packet, reason: str, now: int) -> Drop:
        if packet.source.ip not in self.external_ips:  # else a host inside would shut out its neighbours
            self._quarantine.add(packet.source.ip, now)
        if packet.protocol == _UDP:
            self._strays.add(packet[:3], now)
        return self._answers.to_stranger(packet, reason, now)

    def _track_inbound(self, session: Session, flags: int, now: int) -> None:
        session.state = next_state(session.state, flags, outbound=False)
        expires = now + self._tcp_timeouts[session.state]
        if session.state in LONG_LIVED or expires < session.expires:
            self._set_expiry(session, expires, now)


def _outside_window(packet: Packet) -> Drop:
    return Drop(f"sequence check: {packet.flag_names} with number {packet.seq} does not belong to the connection")
