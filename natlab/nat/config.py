"""What a NAT box is asked to be: one value, one field for each axis of behaviour.

    axis                 values                                              read more in
    mapping              when is a mapping used again for another remote     RFC 4787 section 4.1, RFC 5382 section 4.1
    filtering            who may send to a mapping from outside              RFC 4787 section 5, RFC 5382 section 4.3
    port_allocation      which external port a new mapping gets              RFC 4787 section 4.2.1
    udp_..., tcp_...     how long a mapping lives without traffic, and       RFC 4787 section 4.3, RFC 5382 section 5,
                         which packets keep it alive (`timers.py`)           RFC 7857 section 2
    unsolicited_syn      what a stranger's SYN is answered with              RFC 5382 section 4.3

The axes are independent: any mapping goes with any filtering, and that pair is what decides a hole punch.
The defaults are what the two RFCs ask for, at the least value they allow.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

__all__ = ["Behaviour", "NatConfig", "PortAllocation", "UdpRefresh", "UnsolicitedSyn"]


class Behaviour(StrEnum):
    """How much of the remote endpoint a decision looks at: nothing, its address, or its address and port."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class PortAllocation(StrEnum):
    """Which external port a new mapping gets.

    PRESERVING takes the internal port if no other internal endpoint holds it, else a random free one. RANDOM takes a
    random free one each time.
    """

    PRESERVING = "preserving"
    RANDOM = "random"


class UdpRefresh(StrEnum):
    """Which datagrams start a UDP mapping's timer again (RFC 4787 section 4.3; REQ-6 demands outbound or both)."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    BOTH = "both"


class UnsolicitedSyn(StrEnum):
    """What happens to a SYN from outside that no mapping admits.

    RFC 5382 REQ-4 wants silence for 6 s at least: an RST kills the sender's half of a simultaneous open.
    """

    DROP = "drop"
    RST = "rst"


Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatConfig:
    """The behaviour of one NAT box. Plain text is accepted for the three choices: `filtering="address-dependent"`.

    Attributes:
        mapping: RFC 4787 REQ-1 demands endpoint-independent.
        filtering: RFC 4787 REQ-8 recommends endpoint-independent or address-dependent.
        port_allocation: see `PortAllocation`.
        udp_timeout: seconds a mapping outlives the last outbound datagram to a remote that has answered
            (RFC 4787 REQ-5: 120 or more, 300 recommended).
        udp_unanswered_timeout: the same while the remote has not answered; the RFC makes no difference, Linux does.
        udp_stream_after: seconds after its first datagram from which an answered conversation has `udp_timeout`; 0:
            from the first answer on.
        udp_refresh: see `UdpRefresh`.
        tcp_established_timeout: seconds an open connection may be idle (RFC 5382 REQ-5: 7440 or more).
        tcp_transitory_timeout: the same while a connection opens or closes (RFC 5382 REQ-5: 240 or more).
        tcp_closing_timeout: the same after a FIN of one side; None: `tcp_established_timeout`, as in RFC 6146.
        tcp_time_wait_timeout: the same after a FIN of each; None: `tcp_transitory_timeout`.
        tcp_reset_timeout: the same after an RST (RFC 7857 section 2: 240); None: `tcp_transitory_timeout`.
        unsolicited_syn: see `UnsolicitedSyn`.

    Raises:
        ValueError: a choice that does not exist, or a timer that is not a positive, finite number of seconds.
    """

    mapping: Behaviour = Behaviour.ENDPOINT_INDEPENDENT
    filtering: Behaviour = Behaviour.ADDRESS_DEPENDENT
    port_allocation: PortAllocation = PortAllocation.PRESERVING
    udp_timeout: float = 300.0
    udp_unanswered_timeout: float = 300.0
    udp_stream_after: float = 0.0
    udp_refresh: UdpRefresh = UdpRefresh.OUTBOUND
    tcp_established_timeout: float = 7440.0
    tcp_transitory_timeout: float = 240.0
    tcp_closing_timeout: float | None = None
    tcp_time_wait_timeout: float | None = None
    tcp_reset_timeout: float | None = None
    unsolicited_syn: UnsolicitedSyn = UnsolicitedSyn.DROP

    def __post_init__(self) -> None:
        for axis, kind in _CHOICES.items():
            object.__setattr__(self, axis, _choice(axis, kind, getattr(self, axis)))
        for timer in _TIMERS:
            _check_timer(timer, getattr(self, timer))
        for timer in _OPTIONAL_TIMERS:
            if getattr(self, timer) is not None:
                _check_timer(timer, getattr(self, timer))
        _check_seconds("udp_stream_after", self.udp_stream_after)


_CHOICES: dict[str, type[StrEnum]] = {
    "mapping": Behaviour,
    "filtering": Behaviour,
    "port_allocation": PortAllocation,
    "udp_refresh": UdpRefresh,
    "unsolicited_syn": UnsolicitedSyn,
}
_TIMERS = ("udp_timeout", "udp_unanswered_timeout", "tcp_established_timeout", "tcp_transitory_timeout")
_OPTIONAL_TIMERS = ("tcp_closing_timeout", "tcp_time_wait_timeout", "tcp_reset_timeout")


def _choice(axis: str, kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        near = difflib.get_close_matches(str(value), list(kind), n=1)
        hint = f"; did you mean {near[0]!s}?" if near else ""
        raise ValueError(f"{axis} is one of {', '.join(kind)}, not {value!r}{hint}") from None


def _check_timer(name: str, seconds: float) -> None:
    if not (_is_number(seconds) and seconds > 0):
        raise ValueError(f"{name} is a number of seconds greater than 0, not {seconds!r}")


def _check_seconds(name: str, seconds: float) -> None:
    if not (_is_number(seconds) and seconds >= 0):
        raise ValueError(f"{name} is a number of seconds, 0 or more, not {seconds!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
