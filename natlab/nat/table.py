"""All mappings and sessions of one box, under every key that somebody looks them up by.

    looked up by                                      finds                          by whom
    what the mapping depends on (`mapping_key`)       a mapping                      an outbound packet
    protocol, internal, remote as seen inside         a session                      an outbound packet, first
    protocol, remote, external                        a session                      an inbound packet, first
    protocol, external, filter key                    sessions                       filtering
    protocol, external                                a port forward; mappings       an inbound packet; port allocation
                                                      (several if they share it)
    protocol, internal                                port forwards; the latest      an outbound packet; port
                                                      mapping                        allocation, if ports overlap
    internal address                                  mappings                       limits

Mappings expire lazily: there are no timer events, an entry is over when its time has come, and whoever looks next
notices. Sweeps save memory, and they are rare: a full table is swept again only when its first entry can be over. No
look-up walks through what lives, so a flood costs no more than the look-ups; only of a host that is at its limit all
mappings are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TypeVar

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded, MappingRefreshed
from natlab.nat.config import NatConfig, PortAllocation
from natlab.nat.filtering import filter_key
from natlab.nat.mapping import Mapping, MappingKey, Session
from natlab.nat.rest import Rest
from natlab.nat.tcp_window import TcpWindow
from natlab.nat.timers import Timers
from natlab.packet import IPProtocol

__all__ = ["Table"]

_TCP = int(IPProtocol.TCP)
_SECOND = 1_000_000_000

Key = TypeVar("Key")
Value = TypeVar("Value", Mapping, Session)
Use = tuple[int, Endpoint]  # protocol and endpoint


class Table:
    """See above; times are virtual, in integer nanoseconds.

    Attributes:
        mappings, outward, inward: the first three rows of the table above.
        latest: the last mapping of each internal endpoint; empty unless ports overlap.
        timers: how long they live.
        numbers: of mappings to come.
        rest: which external endpoints are not to be given out again yet.
    """

    def __init__(self, place: str, config: NatConfig, journal: Journal, numbers: Iterator[int] | None = None) -> None:
        self._place = place
        self._config = config
        self._journal = journal
        self._tells_refreshes = journal.wants(MappingRefreshed)
        self._strict = config.checks_sequence_numbers
        self.timers = Timers(config)
        self.mappings: dict[MappingKey, Mapping] = {}
        self.outward: dict[tuple[int, Endpoint, Endpoint], Session] = {}
        self.inward: dict[tuple[int, Endpoint, Endpoint], Session] = {}
        self.latest: dict[Use, Mapping] = {}
        self._overlaps = config.port_allocation is PortAllocation.OVERLAPPING
        # groups: dictionaries as sets that keep their order, oldest first
        self._spoken_to: dict[tuple[int, Endpoint, str | Endpoint], dict[Session, None]] = {}
        self._holders: dict[Use, dict[Mapping, None]] = {}
        self._forwards: dict[Use, dict[Mapping, None]] = {}
        self._forwards_at: dict[Use, dict[Mapping, None]] = {}
        self._by_host: dict[str, dict[Mapping, None]] = {}
        self.numbers = numbers or count(1)
        self.rest = Rest(round(config.port_reuse_delay * _SECOND))
        self._sweep_at = min(1024, config.session_limit)
        self._sweep_after = 0

    # Mappings

    def add(self, key: MappingKey, external: Endpoint, now: int) -> Mapping:
        """A new mapping; it ends as if one packet had passed, unless sessions begin."""
        if key in self.mappings:
            self.end(self.mappings[key])
        mapping = Mapping(next(self.numbers), key, external)
        mapping.expires = now + self.timers.first(mapping.protocol)
        self.mappings[key] = mapping
        if self._overlaps:
            self.latest[mapping.protocol, mapping.internal] = mapping
        for groups, place in self._groups_of(mapping):
            groups.setdefault(place, {})[mapping] = None
        self._by_host.setdefault(mapping.internal.ip, {})[mapping] = None
        if self._journal.wants(MappingCreated):
            self._journal.emit(_created(self._place, mapping, now))
        return mapping

    def _groups_of(self, mapping: Mapping) -> Iterator[tuple[dict[Use, dict[Mapping, None]], Use]]:
        """Where a mapping is found by one of its endpoints."""
        yield self._holders, (mapping.protocol, mapping.external)
        if mapping.is_forward:
            yield self._forwards, (mapping.protocol, mapping.internal)
            yield self._forwards_at, (mapping.protocol, mapping.external)

    def end(self, mapping: Mapping, reason: str = "", at: int | None = None) -> None:
        """Takes a mapping out, with its sessions: because its time was over, or for another reason, at another time."""
        reason = reason or self.timers.reason(mapping)
        for session in list(mapping.sessions):
            self.forget(session)
        del self.mappings[mapping.key]
        if self._overlaps and self.latest.get((mapping.protocol, mapping.internal)) is mapping:
            del self.latest[mapping.protocol, mapping.internal]
        for groups, place in self._groups_of(mapping):
            _remove(groups, place, mapping)
        _remove(self._by_host, mapping.internal.ip, mapping)
        time = mapping.expires if at is None else at
        self.rest.begin(mapping.protocol, mapping.external, time)
        if self._journal.wants(MappingEnded):
            self._journal.emit(MappingEnded(time / _SECOND, self._place, mapping.number, reason))

    def holder(self, protocol: int, external: Endpoint, now: int) -> Mapping | None:
        """The oldest living mapping of an external endpoint; ends older ones, whose time is over."""
        holders = self._holders.get((protocol, external))
        while holders:
            mapping = next(iter(holders))
            if mapping.expires > now:
                return mapping
            self.end(mapping)
        return None

    def holders(self, protocol: int, external: Endpoint, now: int) -> list[Mapping]:
        """All living mappings of an external endpoint. There may be many: not for every packet."""
        return [mapping for mapping in self._holders.get((protocol, external), ()) if mapping.expires > now]

    def forward_of(self, protocol: int, internal: Endpoint, now: int) -> Mapping | None:
        """The latest port forward to an internal endpoint that is open yet."""
        return _open_forward(self._forwards.get((protocol, internal)), now)

    def forward_at(self, protocol: int, external: Endpoint, now: int) -> Mapping | None:
        """The port forward at an external endpoint, if it is open yet."""
        return _open_forward(self._forwards_at.get((protocol, external)), now)

    def is_full_for(self, host: str, now: int) -> bool:
        """Whether a host has as many mappings as one may have (RFC 6888 REQ-4)."""
        limit = self._config.mappings_per_host
        if limit is None or len(self._by_host.get(host, ())) < limit:
            return False
        for mapping in [mapping for mapping in self._by_host[host] if mapping.expires <= now]:
            self.end(mapping)
        return len(self._by_host.get(host, ())) >= limit

    # Sessions

    def begin(self, mapping: Mapping, remote: Endpoint, seen: Endpoint, now: int) -> Session:
        """A new session; where one with the same endpoints is left, it takes its place."""
        session = Session(mapping, remote, seen, now)
        if self._strict and mapping.protocol == _TCP:
            session.window = TcpWindow()
        outward = (mapping.protocol, mapping.internal, seen)
        inward = (mapping.protocol, remote, mapping.external)
        for old in (self.outward.get(outward), self.inward.get(inward)):
            if old is not None and old in old.mapping.sessions:
                self._give_way(old, session, now)
        self.outward[outward] = self.inward[inward] = session
        mapping.sessions[session] = None
        self._spoken_to.setdefault(self._filter_place(session), {})[session] = None
        return session

    def _give_way(self, old: Session, new: Session, now: int) -> None:
        """A session whose endpoints another one takes. A mapping ends with the last of its sessions."""
        mapping = old.mapping
        has_more = len(mapping.sessions) > 1 or mapping.open_until > now or mapping is new.mapping
        if old.expires > now and not has_more:
            host, remote = new.mapping.internal, old.remote
            self.end(mapping, f"overloading: {host} talks to {remote} from the same external port now", now)
        else:
            self._bury(old, now)

    def _bury(self, session: Session, now: int) -> None:
        """Takes a session out, with its mapping if the time of that is over too."""
        if session.mapping.expires <= now:
            self.end(session.mapping)
        else:
            self.forget(session)

    def forget(self, session: Session) -> None:
        mapping = session.mapping
        del self.outward[mapping.protocol, mapping.internal, session.seen]
        del self.inward[mapping.protocol, session.remote, mapping.external]
        del mapping.sessions[session]
        _remove(self._spoken_to, self._filter_place(session), session)

    def admitting(self, protocol: int, external: Endpoint, remote: Endpoint, now: int) -> Session | None:
        """The oldest living session for whose sake filtering admits `remote`, or None; takes out those before it."""
        group = self._spoken_to.get((protocol, external, filter_key(self._config.filtering, remote)))
        while group:
            session = next(iter(group))
            if session.expires > now:
                return session
            self._bury(session, now)
        return None

    def _filter_place(self, session: Session) -> tuple[int, Endpoint, str | Endpoint]:
        mapping = session.mapping
        return mapping.protocol, mapping.external, filter_key(self._config.filtering, session.remote)

    def set_expiry(self, session: Session, expires: int, now: int) -> None:
        """Sets a session's end, and its mapping's."""
        mapping = session.mapping
        was_latest = expires < session.expires == mapping.expires
        session.expires = expires
        if was_latest:
            self.set_mapping_expiry(mapping, now)
        elif expires > mapping.expires:
            mapping.expires = expires
            if self._tells_refreshes:
                self._tell_refresh(mapping, now)

    def set_mapping_expiry(self, mapping: Mapping, now: int) -> None:
        """A mapping ends with the last of its sessions, or with its port forward."""
        mapping.expires = max([mapping.open_until, *(session.expires for session in mapping.sessions)])
        if self._tells_refreshes:
            self._tell_refresh(mapping, now)

    def _tell_refresh(self, mapping: Mapping, now: int) -> None:
        self._journal.emit(MappingRefreshed(now / _SECOND, self._place, mapping.number, mapping.expires / _SECOND))

    # Room

    def expire(self, now: int) -> None:
        """Ends all whose time is over."""
        for mapping in [mapping for mapping in self.mappings.values() if mapping.expires <= now]:
            self.end(mapping)
        for session in [session for session in self.outward.values() if session.expires <= now]:
            self.forget(session)
        self.rest.expire(now)

    def has_room(self, now: int) -> bool:
        """Whether one more session may begin."""
        limit = self._config.session_limit
        if len(self.outward) >= self._sweep_at and now >= self._sweep_after:
            self.expire(now)
            self._sweep_at = min(max(1024, 2 * len(self.outward)), limit)
            if len(self.outward) >= limit:
                self._sweep_after = min(session.expires for session in self.outward.values())
        return len(self.outward) < limit


def _remove(groups: dict[Key, dict[Value, None]], key: Key, value: Value) -> None:
    """Takes a value out of its group, and the group away if that was the last one."""
    del groups[key][value]
    if not groups[key]:
        del groups[key]


def _open_forward(forwards: dict[Mapping, None] | None, now: int) -> Mapping | None:
    """The latest of several port forwards that is open yet."""
    return next((mapping for mapping in reversed(forwards or {}) if mapping.open_until > now), None)


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
