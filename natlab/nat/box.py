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

Not modelled: see the package. A box has one external address and at most `SESSION_LIMIT` sessions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded, MappingRefreshed
from natlab.nat.config import NatConfig, UnsolicitedSyn
from natlab.nat.filtering import admitting_session, filter_key, refusal
from natlab.nat.mapping import Mapping, MappingKey, Session, mapping_key
from natlab.nat.ports import allocate, random_free_port
from natlab.nat.tcp_session import LONG_LIVED, next_state
from natlab.nat.timers import Timers
from natlab.packet import Flag, IPProtocol, Packet

__all__ = ["SESSION_LIMIT", "Drop", "NatBox"]

SESSION_LIMIT = 32_768  # fewer than there are ports, so a free port can always be found

_UDP, _TCP = int(IPProtocol.UDP), int(IPProtocol.TCP)
_SYN, _ACK, _RST = int(Flag.SYN), int(Flag.ACK), int(Flag.RST)
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Drop:
    """A packet that went no further.

    Attributes:
        reason: a sentence that names the rule.
        reply: what the box sends back to the sender, or None for silence.
    """

    reason: str
    reply: Packet | None = None


class NatBox:
    """A NAT box between one external address and the hosts inside. Times are virtual, in integer nanoseconds.

    Args:
        name: the `place` of its events.
        config: how it behaves.
        external_ip: its address on the outside, canonical text.
        rng: where its random ports come from.
        journal: where its mapping events go; what that does not want is not made.
    """

    def __init__(self, name: str, config: NatConfig, external_ip: str, rng: random.Random, journal: Journal) -> None:
        self.name = name
        self.config = config
        self.external_ip = external_ip
        self._rng = rng
        self._journal = journal
        self._tells_refreshes = journal.wants(MappingRefreshed)
        self._timers = Timers(config)
        self._udp_timeout = self._timers.udp
        self._tcp_timeouts = self._timers.tcp
        self._mappings: dict[MappingKey, Mapping] = {}
        self._holders: dict[tuple[int, Endpoint], list[Mapping]] = {}  # protocol, external endpoint
        self._outward: dict[tuple[int, Endpoint, Endpoint], Session] = {}  # protocol, internal, remote as seen inside
        self._inward: dict[tuple[int, Endpoint, Endpoint], Session] = {}  # protocol, remote, external
        self._made = 0
        self._sweep_at = 1024

    def outbound(self, packet: Packet, now_ns: int) -> Packet | Drop:
        """A packet from inside: as it leaves, or why it does not."""
        session = self._outward.get(packet[:3])
        if session is None or session.expires <= now_ns:
            opened = self._open(packet, now_ns)
            if isinstance(opened, Drop):
                return opened
            session = opened
        if packet.protocol == _UDP:
            expires = now_ns + self._udp_timeout if session.steady else self._timers.after_outbound(session, now_ns)
        else:
            session.state = next_state(session.state, packet.flags, outbound=True)
            expires = now_ns + self._tcp_timeouts[session.state]
        self._set_expiry(session, expires, now_ns)
        return Packet(packet.protocol, session.mapping.external, session.remote, *packet[3:])

    def inbound(self, packet: Packet, now_ns: int) -> Packet | Drop:
        """A packet from outside: as the internal host gets it, or why it does not."""
        session = self._inward.get(packet[:3])
        if session is None or session.expires <= now_ns:
            admitted = self._admit(packet, now_ns)
            if isinstance(admitted, Drop):
                return admitted
            session = admitted
        if packet.protocol == _TCP:
            self._track_inbound(session, packet.flags, now_ns)
        elif not session.steady:
            self._set_expiry(session, self._timers.after_inbound(session, now_ns), now_ns)
        return Packet(packet.protocol, session.seen, session.mapping.internal, *packet[3:])

    def expire(self, now_ns: int) -> None:
        """Ends all whose time is over. Never needed for correctness: it saves memory and completes the journal."""
        for mapping in [mapping for mapping in self._mappings.values() if mapping.expires <= now_ns]:
            self._end(mapping)
        for session in [session for session in self._outward.values() if session.expires <= now_ns]:
            self._forget(session)

    # An outbound packet that belongs to no session

    def _open(self, packet: Packet, now: int) -> Session | Drop:
        protocol, internal, remote = packet[:3]
        if remote.ip == self.external_ip:
            return Drop(f"hairpinning: {remote} is this box's own address, and it does not hairpin (RFC 4787 REQ-9)")
        if protocol == _TCP and packet.flags & (_SYN | _ACK | _RST) != _SYN:
            return Drop(f"no mapping: there is no TCP session from {internal} to {remote}, and only a SYN opens one")
        if not self._has_room(now):
            return Drop(f"no room: the box already has {SESSION_LIMIT} sessions")
        key = mapping_key(self.config.mapping, protocol, internal, remote)
        mapping = self._mappings.get(key)
        if mapping is None or mapping.expires <= now:
            mapping = self._make_mapping(key, now)
        return self._begin(mapping, remote, remote, now)

    def _make_mapping(self, key: MappingKey, now: int) -> Mapping:
        if key in self._mappings:
            self._end(self._mappings[key])
        protocol, internal = key[:2]
        port = allocate(
            self.config.port_allocation, internal, lambda port: self._holder(protocol, port, now), self._rng
        )
        self._made += 1
        mapping = Mapping(self._made, key, Endpoint(self.external_ip, port))
        mapping.expires = now + self._timers.first(protocol)
        self._mappings[key] = mapping
        self._holders.setdefault((protocol, mapping.external), []).append(mapping)
        if self._journal.wants(MappingCreated):
            self._journal.emit(_created(self.name, mapping, now))
        return mapping

    # An inbound packet that belongs to no session

    def _admit(self, packet: Packet, now: int) -> Session | Drop:
        protocol, remote, external = packet[:3]
        holders = self._live_holders(protocol, external, now)
        if not holders:
            return self._refuse(packet, f"no mapping: nothing inside uses {external} for {IPProtocol(protocol).name}")
        for mapping in holders:
            admitting = admitting_session(self.config.filtering, mapping, remote, now)
            if admitting is not None:
                break
        else:
            return self._refuse(packet, refusal(self.config.filtering, remote, external))
        if not self._has_room(now):
            return Drop(f"no room: the box already has {SESSION_LIMIT} sessions")
        session = self._begin(mapping, remote, self._seen_inside(mapping, remote, now), now)
        session.answered = True
        session.expires = admitting.expires  # it is admitted as long as that, and no longer
        return session

    def _seen_inside(self, mapping: Mapping, remote: Endpoint, now: int) -> Endpoint:
        """`remote`, or after a clash (see the top of this file) its address with another port."""

        def free(port: int) -> bool:
            session = self._outward.get((mapping.protocol, mapping.internal, Endpoint(remote.ip, port)))
            return session is None or session.expires <= now

        return remote if free(remote.port) else Endpoint(remote.ip, random_free_port(free, self._rng))

    def _refuse(self, packet: Packet, reason: str) -> Drop:
        is_syn = packet.protocol == _TCP and packet.flags & (_SYN | _ACK | _RST) == _SYN
        answers = is_syn and self.config.unsolicited_syn is UnsolicitedSyn.RST
        return Drop(reason, _reset_for(packet) if answers else None)

    # Sessions and their timers

    def _begin(self, mapping: Mapping, remote: Endpoint, seen: Endpoint, now: int) -> Session:
        session = Session(mapping, remote, seen, now)
        outward = (mapping.protocol, mapping.internal, seen)
        inward = (mapping.protocol, remote, mapping.external)
        for table, key in ((self._outward, outward), (self._inward, inward)):
            if key in table:
                self._forget(table[key])
        self._outward[outward] = self._inward[inward] = session
        mapping.sessions.setdefault(filter_key(self.config.filtering, remote), []).append(session)
        return session

    def _forget(self, session: Session) -> None:
        mapping = session.mapping
        del self._outward[mapping.protocol, mapping.internal, session.seen]
        del self._inward[mapping.protocol, session.remote, mapping.external]
        key = filter_key(self.config.filtering, session.remote)
        mapping.sessions[key].remove(session)
        if not mapping.sessions[key]:
            del mapping.sessions[key]

    def _track_inbound(self, session: Session, flags: int, now: int) -> None:
        session.state = next_state(session.state, flags, outbound=False)
        expires = now + self._tcp_timeouts[session.state]
        if session.state in LONG_LIVED or expires < session.expires:
            self._set_expiry(session, expires, now)

    def _set_expiry(self, session: Session, expires: int, now: int) -> None:
        """Sets a session's end, and its mapping's: the latest end of its sessions."""
        mapping = session.mapping
        was_latest = expires < session.expires == mapping.expires
        session.expires = expires
        if was_latest:
            expires = max(each.expires for group in mapping.sessions.values() for each in group)
        elif expires <= mapping.expires:
            return
        mapping.expires = expires
        if self._tells_refreshes:
            self._journal.emit(MappingRefreshed(now / _SECOND, self.name, mapping.number, expires / _SECOND))

    # Mappings

    def _live_holders(self, protocol: int, external: Endpoint, now: int) -> list[Mapping]:
        """The mappings of an external endpoint, all of one internal endpoint; ends those whose time is over."""
        holders = self._holders.get((protocol, external), [])
        for mapping in [mapping for mapping in holders if mapping.expires <= now]:
            self._end(mapping)
        return holders

    def _holder(self, protocol: int, port: int, now: int) -> Endpoint | None:
        holders = self._live_holders(protocol, Endpoint(self.external_ip, port), now)
        return holders[0].internal if holders else None

    def _end(self, mapping: Mapping) -> None:
        reason = self._timers.reason(mapping)
        for session in [session for group in mapping.sessions.values() for session in group]:
            self._forget(session)
        del self._mappings[mapping.key]
        holders = self._holders[mapping.protocol, mapping.external]
        holders.remove(mapping)
        if not holders:
            del self._holders[mapping.protocol, mapping.external]
        if self._journal.wants(MappingEnded):
            self._journal.emit(MappingEnded(mapping.expires / _SECOND, self.name, mapping.number, reason))

    def _has_room(self, now: int) -> bool:
        if len(self._outward) >= self._sweep_at:
            self.expire(now)
            self._sweep_at = min(max(1024, 2 * len(self._outward)), SESSION_LIMIT)
        return len(self._outward) < SESSION_LIMIT


def _created(place: str, mapping: Mapping, now: int) -> MappingCreated:
    return MappingCreated(
        now / _SECOND,
        place,
        mapping.number,
        IPProtocol(mapping.protocol).name,
        mapping.internal,
        mapping.external,
        mapping.remote,
        mapping.expires / _SECOND,
    )


def _reset_for(syn: Packet) -> Packet:
    """The RST that answers a SYN nobody listens for (RFC 9293 section 3.10.7.1)."""
    after = (syn.seq + len(syn.payload) + 1) % 2**32
    return Packet(syn.protocol, syn.destination, syn.source, flags=_RST | _ACK, ack=after)
