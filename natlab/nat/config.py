"""What a NAT box is asked to be: one value, one field for each axis of behaviour.

    axis                     question                                        read more in
    mapping                  is a mapping used again for another remote?     RFC 4787 section 4.1, RFC 5382 section 4.1
    filtering                who may send to a mapping from outside?         RFC 4787 section 5, RFC 5382 section 4.3
    port_...                 which external port does a new mapping get?     RFC 4787 section 4.2, RFC 7422,
                                                                             RFC 6888 REQ-8
    external_addresses,      on which of its addresses?                      RFC 4787 section 4.1, RFC 6888 REQ-2
      pooling
    udp_..., tcp_..._timeout how long does a mapping live without traffic,   RFC 4787 section 4.3, RFC 5382 section 5,
                             and which packets keep it alive?                RFC 7857 section 2
    checks_sequence_numbers  does it look at TCP's numbers, not only flags?  `tcp_window.py`
    unsolicited_syn          what is a stranger's SYN answered with?         RFC 5382 section 4.3
    icmp_..., answers_ping   do pings and ICMP errors pass, how, and what    RFC 5508, RFC 4787 REQ-12, RFC 5382
                             does the box itself say?                        REQ-9, REQ-10
    fragments                do pieces of packets pass?                      RFC 4787 section 11
    confuses_addresses       may a host have the box's own address?          RFC 4787 section 4.4
    hairpinning              how do two hosts inside meet outside?           RFC 4787 section 6, RFC 5382 section 7.2
    strays_take_ports        does what came too early stand in the way?      `unsolicited.py`
    quarantine               is an unexpected packet held against anybody?   `unsolicited.py`
    ..._limit, ..._per_host  how much is too much?                           RFC 6888 REQ-4
    translates               is it a NAT at all, or a firewall?              RFC 4787 section 5, RFC 6092

Mapping and filtering are independent: any goes with any, and that pair is what decides a hole punch. What contradicts
itself is refused with a sentence that says what to change.
The defaults keep what the RFCs demand; timers are as short as they allow, but for UDP's, which is the one RFC 4787
REQ-5c recommends.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

__all__ = [
    "OF_TRANSLATION",
    "Behaviour",
    "Fragments",
    "Hairpinning",
    "IcmpErrors",
    "IcmpWhenFull",
    "NatConfig",
    "Pooling",
    "PortAllocation",
    "UdpRefresh",
    "UnsolicitedSyn",
]


class Behaviour(StrEnum):
    """How much of the remote endpoint a decision looks at: nothing, its address, or its address and port."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class PortAllocation(StrEnum):
    """Which external port a new mapping gets; the table in `ports.py` explains each."""

    PRESERVING = "preserving"
    PRESERVING_OR_DROP = "preserving-or-drop"
    SEQUENTIAL = "sequential"
    RANDOM = "random"
    OVERLAPPING = "overlapping"
    OVERLOADING = "overloading"


class Pooling(StrEnum):
    """Whether all mappings of a host lie on one external address (RFC 4787 REQ-2 recommends it) or on any."""

    PAIRED = "paired"
    ARBITRARY = "arbitrary"


class Hairpinning(StrEnum):
    """What happens to a packet from inside to one of the box's own addresses, behind which another host is.

    NONE drops it. EXTERNAL_SOURCE delivers it from the sender's external endpoint, as RFC 4787 REQ-9 demands.
    INTERNAL_SOURCE delivers it from the sender's internal endpoint: the answer goes there straight, and the sender,
    which waits for one from outside, does not know it.
    """

    NONE = "none"
    INTERNAL_SOURCE = "internal-source"
    EXTERNAL_SOURCE = "external-source"


class UdpRefresh(StrEnum):
    """Which datagrams start a UDP mapping's timer again (RFC 4787 section 4.3; REQ-6 demands outbound or both)."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    BOTH = "both"


class Fragments(StrEnum):
    """What happens to the pieces of a packet; the table in `fragments.py` explains each."""

    OUT_OF_ORDER = "out-of-order"
    FIRST_COME = "first-come"
    IN_ORDER = "in-order"
    NONE = "none"


class UnsolicitedSyn(StrEnum):
    """What happens to a SYN from outside that no mapping admits.

    RFC 5382 REQ-4 wants silence for 6 s at least: an answer kills the sender's half of a simultaneous open. WAIT keeps
    to it: it says "port unreachable" after 6 s, unless the host inside has sent a SYN to the sender by then.
    """

    DROP = "drop"
    RST = "rst"
    ICMP = "icmp"
    WAIT = "wait"


class IcmpErrors(StrEnum):
    """Which ICMP errors pass: those about a packet of a session (RFC 5508 REQ-4, REQ-5); of these only the ones that
    come from whom that packet was sent to, so none from a router on the way (violates RFC 4787 REQ-12a); or none."""

    TRANSLATED = "translated"
    FROM_REMOTE = "from-remote"
    DROPPED = "dropped"


class IcmpWhenFull(StrEnum):
    """What a host is told for which there is no room, or no port. RFC 5508 REQ-8 wants "administratively prohibited",
    and RFC 6888 REQ-11 wants "host unreachable" of a carrier's NAT: no box can please both."""

    SILENCE = "silence"
    PROHIBITED = "prohibited"
    HOST_UNREACHABLE = "host-unreachable"


Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatConfig:
    """The behaviour of one NAT box. Plain text is accepted for the choices: `filtering="address-dependent"`.

    Attributes:
        mapping: RFC 4787 REQ-1 demands endpoint-independent.
        filtering: RFC 4787 REQ-8 recommends endpoint-independent or address-dependent.
        port_allocation: see `PortAllocation`.
        port_stride: sequential allocation only: how far apart; 2 or more is hard to guess only at first.
        port_parity: whether even ports stay even and odd ones odd (RFC 4787 REQ-4).
        port_range: first and last external port; None: 1024 to 65535, and any port that is preserved.
        port_block: ports for each internal address, a block of its own (RFC 7422); None: all share all ports.
        port_reuse_delay: seconds for which a port that a mapping had goes to no other one (RFC 6888 REQ-8: 120); ports
            that hosts share, "overlapping" and "overloading", have no such rest.
        external_addresses: how many the box has.
        pooling: see `Pooling`.
        udp_timeout: seconds a mapping outlives the last outbound datagram to a remote that has answered
            (RFC 4787 REQ-5: 120 or more, 300 recommended).
        udp_unanswered_timeout: the same while the remote has not answered; the RFC makes no difference, Linux does.
        udp_stream_after: seconds after its first datagram from which an answered conversation has `udp_timeout`; 0:
            from the first answer on.
        udp_refresh: see `UdpRefresh`.
        tcp_established_timeout: seconds an open connection may be idle (RFC 5382 REQ-5: 7440 or more).
        tcp_transitory_timeout: the same while a connection opens or closes (RFC 5382 REQ-5: 240 or more).
        tcp_closing_timeout: the same after a FIN of one side; None: `tcp_established_timeout`, as in RFC 6146.
        tcp_last_ack_timeout: the same after a FIN of each, of which the last is not acknowledged; None:
            `tcp_time_wait_timeout`.
        tcp_time_wait_timeout: the same after a FIN of each and an ACK; None: `tcp_transitory_timeout`.
        tcp_reset_timeout: the same after an RST (RFC 7857 section 2: 240); None: `tcp_transitory_timeout`.
        checks_sequence_numbers: whether TCP segments outside the window are dropped.
        unsolicited_syn: see `UnsolicitedSyn`.
        icmp_queries: whether hosts inside may ping (RFC 5508 REQ-1: they must).
        icmp_query_timeout: seconds a ping's mapping outlives the last request (RFC 5508 REQ-2: 60 or more).
        icmp_errors: see `IcmpErrors`.
        icmp_errors_end_mappings: whether an ICMP error ends the mapping it is about; RFC 4787 REQ-12 forbids it.
        icmp_errors_leak: whether an ICMP error from inside about nothing that came in leaves as it is, from the
            internal address (RFC 5508 REQ-5 wants it dropped).
        icmp_when_full: see `IcmpWhenFull`.
        fragments: see `Fragments`.
        confuses_addresses: whether a host inside whose address the box has outside is taken for the box itself, and
            gets nothing out; RFC 4787 REQ-7 forbids it.
        answers_ping: whether the box answers pings to its own external addresses (RFC 1122 section 3.2.2.6).
        hairpinning: see `Hairpinning`; None is "none". A firewall has none: a host inside is known by its own address.
        strays_take_ports: whether an unsolicited datagram makes its port unusable towards its sender for
            `udp_unanswered_timeout`.
        quarantine: seconds for which the sender of an unexpected packet is shut out; 0 for none.
        mappings_per_host: how many an internal address may have at a time (RFC 6888 REQ-4); None for no limit.
        session_limit: how many sessions the box remembers at a time.
        translates: False for a firewall: it filters, and the external endpoint is the internal one.

    Raises:
        ValueError: a choice that does not exist, a number out of its range, or axes that contradict each other.
    """

    mapping: Behaviour = Behaviour.ENDPOINT_INDEPENDENT
    filtering: Behaviour = Behaviour.ADDRESS_DEPENDENT
    port_allocation: PortAllocation = PortAllocation.PRESERVING
    port_stride: int = 1
    port_parity: bool = False
    port_range: tuple[int, int] | None = None
    port_block: int | None = None
    port_reuse_delay: float = 0.0
    external_addresses: int = 1
    pooling: Pooling = Pooling.PAIRED
    udp_timeout: float = 300.0
    udp_unanswered_timeout: float = 300.0
    udp_stream_after: float = 0.0
    udp_refresh: UdpRefresh = UdpRefresh.OUTBOUND
    tcp_established_timeout: float = 7440.0
    tcp_transitory_timeout: float = 240.0
    tcp_closing_timeout: float | None = None
    tcp_last_ack_timeout: float | None = None
    tcp_time_wait_timeout: float | None = None
    tcp_reset_timeout: float | None = None
    checks_sequence_numbers: bool = False
    unsolicited_syn: UnsolicitedSyn = UnsolicitedSyn.DROP
    icmp_queries: bool = True
    icmp_query_timeout: float = 60.0
    icmp_errors: IcmpErrors = IcmpErrors.TRANSLATED
    icmp_errors_end_mappings: bool = False
    icmp_errors_leak: bool = False
    icmp_when_full: IcmpWhenFull = IcmpWhenFull.PROHIBITED
    answers_ping: bool = True
    fragments: Fragments = Fragments.OUT_OF_ORDER
    confuses_addresses: bool = False
    hairpinning: Hairpinning | None = Hairpinning.EXTERNAL_SOURCE
    strays_take_ports: bool = False
    quarantine: float = 0.0
    mappings_per_host: int | None = None
    session_limit: int = 32_768
    translates: bool = True

    def __post_init__(self) -> None:
        if self.hairpinning is None:
            object.__setattr__(self, "hairpinning", Hairpinning.NONE)
        for axis, kind in _CHOICES.items():
            object.__setattr__(self, axis, _choice(axis, kind, getattr(self, axis)))
        for timer, least in _TIMERS.items():
            _check_seconds(timer, getattr(self, timer), least)
        for axis, numbers in _NUMBERS.items():
            _check_number(axis, getattr(self, axis), numbers)
        for axis in _SWITCHES:
            if not isinstance(getattr(self, axis), bool):
                raise ValueError(f"{axis} is True or False, not {getattr(self, axis)!r}")
        _check_ports(self)
        _check_firewall(self)


_CHOICES: dict[str, type[StrEnum]] = {
    "mapping": Behaviour,
    "filtering": Behaviour,
    "port_allocation": PortAllocation,
    "pooling": Pooling,
    "udp_refresh": UdpRefresh,
    "unsolicited_syn": UnsolicitedSyn,
    "icmp_errors": IcmpErrors,
    "icmp_when_full": IcmpWhenFull,
    "fragments": Fragments,
    "hairpinning": Hairpinning,
}
_TIMERS = {
    "udp_timeout": "greater than 0",
    "udp_unanswered_timeout": "greater than 0",
    "tcp_established_timeout": "greater than 0",
    "tcp_transitory_timeout": "greater than 0",
    "tcp_closing_timeout": "greater than 0, or None",
    "tcp_last_ack_timeout": "greater than 0, or None",
    "tcp_time_wait_timeout": "greater than 0, or None",
    "tcp_reset_timeout": "greater than 0, or None",
    "icmp_query_timeout": "greater than 0",
    "udp_stream_after": "0 or more",
    "quarantine": "0 or more",
    "port_reuse_delay": "0 or more",
}
_NUMBERS = {
    "port_stride": range(1, 65536),
    "port_block": range(1, 64513),
    "external_addresses": range(1, 257),
    "mappings_per_host": range(1, 65536),
    "session_limit": range(1, 60_001),  # fewer than there are ports
}
_MAY_BE_NONE = ("port_block", "mappings_per_host")
_SWITCHES = (
    "port_parity",
    "checks_sequence_numbers",
    "icmp_queries",
    "icmp_errors_end_mappings",
    "icmp_errors_leak",
    "answers_ping",
    "confuses_addresses",
    "strays_take_ports",
    "translates",
)


def _check_ports(config: NatConfig) -> None:
    first, last = _port_range(config)
    if config.port_block is not None and config.port_block > last - first + 1:
        raise ValueError(
            f"a block of {config.port_block} ports does not fit into ports {first} to {last}: "
            "make port_block smaller or port_range wider"
        )
    if config.port_stride > 1 and config.port_allocation is not PortAllocation.SEQUENTIAL:
        raise ValueError(f"port_stride needs port_allocation='sequential', not '{config.port_allocation}'")
    if config.port_allocation is PortAllocation.OVERLAPPING:
        if config.mapping is not Behaviour.ADDRESS_AND_PORT_DEPENDENT:
            raise ValueError(
                "overlapping ports are told apart by the remote, so each remote has a mapping of its own: "
                f"take mapping='address-and-port-dependent', not '{config.mapping}', or another port_allocation"
            )
    elif config.strays_take_ports:
        raise ValueError(
            "strays_take_ports is about ports that hosts share, port_allocation='overlapping', "
            f"not '{config.port_allocation}'"
        )
    if config.port_block is not None and config.pooling is Pooling.ARBITRARY:
        raise ValueError("a port block lies on one address: pooling='arbitrary' contradicts port_block, leave one out")


def _port_range(config: NatConfig) -> tuple[int, int]:
    match config.port_range:
        case None:
            return 1024, 65535
        case (int(first), int(last)) if 1 <= first <= last <= 65535:
            return first, last
    raise ValueError(f"port_range is (first, last) within 1 to 65535, not {config.port_range!r}")


def _check_firewall(config: NatConfig) -> None:
    """A box that does not translate has no mapping, ports or addresses to choose."""
    if config.translates:
        return
    for axis in OF_TRANSLATION:
        default = NatConfig.__dataclass_fields__[axis].default
        if getattr(config, axis) != default:
            raise ValueError(
                f"a firewall (translates=False) keeps every endpoint as it is, so {axis} must stay {default!s}, "
                f"not {getattr(config, axis)!s}: leave it out, or let the box translate"
            )
    if config.hairpinning is Hairpinning.INTERNAL_SOURCE:
        raise ValueError("a firewall (translates=False) has no address to hairpin at: leave hairpinning out")
    object.__setattr__(config, "hairpinning", Hairpinning.NONE)


OF_TRANSLATION = (
    "mapping",
    "port_allocation",
    "port_parity",
    "port_range",
    "port_block",
    "port_reuse_delay",
    "external_addresses",
    "pooling",
    "strays_take_ports",
)


def _choice(axis: str, kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        near = difflib.get_close_matches(str(value), list(kind), n=1)
        hint = f"; did you mean {near[0]!s}?" if near else ""
        raise ValueError(f"{axis} is one of {', '.join(kind)}, not {value!r}{hint}") from None


def _check_seconds(name: str, seconds: float | None, least: str) -> None:
    if seconds is None and "None" in least:
        return
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < math.inf
    if not number or (seconds == 0 and least != "0 or more"):
        raise ValueError(f"{name} is a number of seconds {least}, not {seconds!r}")


def _check_number(name: str, value: int | None, numbers: range) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value not in numbers:
        raise ValueError(f"{name} is a whole number from {numbers[0]} to {numbers[-1]}, not {value!r}")
