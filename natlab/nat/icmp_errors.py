"""ICMP errors through a NAT box (RFC 5508 section 4): translated by the session that the quoted packet belongs to.

    alice 192.168.1.2            box 11.0.0.1                         bob 12.0.0.1
      │ ── UDP :5000 to bob:9 ────> │ ── UDP 11.0.0.1:5000 to bob:9 ─────> │ nobody has port 9
      │                             │ <─ ICMP to 11.0.0.1 ──────────────── │
      │                             │      quoting 11.0.0.1:5000 to bob:9  │
      │ <─ ICMP to 192.168.1.2 ──── │
      │      quoting 192.168.1.2:5000 to bob:9, which is what alice sent

An error comes from anywhere: a router on the way makes it, with an address of its own that nobody inside has ever sent
to. So filtering does not apply to it (RFC 4787 REQ-12a). What counts is what it quotes, and that has to be a packet of
a session that lives:

    error from outside    quotes a packet that went out:    external -> remote      becomes internal -> remote as seen
                          goes to the internal host (REQ-4)
    error from inside     quotes a packet that came in:     remote as seen -> internal     becomes remote -> external
                          comes from the external address (REQ-5), goes to the remote

An error about a packet between two hosts inside, which hairpins, is translated outward and then inward (REQ-7). Type
and code stay (REQ-4b, REQ-5b). An error about no packet of a session is dropped; but Linux lets one from inside out as
it is, from the internal address (`icmp_errors_leak`). An error opens no mapping, refreshes none and ends none (RFC 4787
REQ-12, RFC 5382 REQ-10, RFC 5508 REQ-6): anybody on the way can forge one. A box that ends a mapping for it can be had
too.

Not modelled: a rate limit; errors that a box makes of its own accord, other than for a stranger's SYN and for want of
room (`box.py`).
"""

from __future__ import annotations

from natlab.endpoint import Endpoint
from natlab.nat.config import IcmpErrors, NatConfig
from natlab.nat.mapping import Session
from natlab.nat.outcome import Drop, Hairpinned
from natlab.nat.table import Table
from natlab.packet import Icmp, Packet, describe

__all__ = ["ErrorTranslation"]


class ErrorTranslation:
    """The errors of one box. Times are virtual, in integer nanoseconds."""

    def __init__(self, config: NatConfig, table: Table) -> None:
        self._policy = config.icmp_errors
        self._ends_mappings = config.icmp_errors_end_mappings
        self._leaks = config.icmp_errors_leak and config.icmp_errors is not IcmpErrors.DROPPED
        self._translates = config.translates
        self._table = table

    def outbound(self, error: Packet, now: int) -> Packet | Hairpinned | Drop:
        """An error from inside, about a packet that came in (REQ-5)."""
        quoted, icmp = _parts(error)
        session = self._table.outward.get((quoted.protocol, quoted.destination, quoted.source))
        if refused := self._refusal(error, quoted, session, now):
            return error if self._leaks else refused
        assert session is not None
        external = session.mapping.external
        translated = error._replace(
            source=Endpoint(external.ip, 0) if self._translates else error.source,
            destination=Endpoint(session.remote.ip, 0),
            icmp=icmp._replace(quoted=quoted._replace(source=session.remote, destination=external)),
        )
        self._punish(session, now)
        if not session.is_hairpin:
            return translated
        arrived = self.inbound(translated, now)
        return arrived if isinstance(arrived, Drop) else Hairpinned(arrived)

    def inbound(self, error: Packet, now: int) -> Packet | Drop:
        """An error from outside, about a packet that went out (REQ-4)."""
        quoted, icmp = _parts(error)
        session = self._table.inward.get((quoted.protocol, quoted.destination, quoted.source))
        if refused := self._refusal(error, quoted, session, now):
            return refused
        assert session is not None
        if self._policy is IcmpErrors.FROM_REMOTE and error.source.ip != quoted.destination.ip:
            return Drop(f"ICMP errors ({self._policy}): {error.source.ip} is not whom the quoted packet was sent to")
        internal = session.mapping.internal
        translated = error._replace(
            destination=Endpoint(internal.ip, 0),
            icmp=icmp._replace(quoted=quoted._replace(source=internal, destination=session.seen)),
        )
        self._punish(session, now)
        return translated

    def _refusal(self, error: Packet, quoted: Packet, session: Session | None, now: int) -> Drop | None:
        if self._policy is IcmpErrors.DROPPED:
            return Drop(f"ICMP errors ({self._policy}): {error.icmp}")
        if session is None or session.expires <= now:
            return Drop(f"ICMP error: no session has sent what it quotes, {describe(quoted)} (RFC 5508 REQ-4, REQ-5)")
        return None

    def _punish(self, session: Session, now: int) -> None:
        if self._ends_mappings and session.mapping.open_until <= now:  # what its owner has forwarded stays
            self._table.end(session.mapping, "ICMP error: this box ends mappings for it", now)


def _parts(error: Packet) -> tuple[Packet, Icmp]:
    assert error.icmp is not None and error.icmp.quoted is not None
    return error.icmp.quoted, error.icmp
