"""What a NAT box is asked to be: one value, one field for each axis of behaviour.

    axis                 values                                              read more in
    mapping              when is a mapping used again for another remote     RFC 4787 section 4.1, RFC 5382 section 4.1
    filtering            who may send to a mapping from outside              RFC 4787 section 5, RFC 5382 section 4.3
    port_allocation      which external port a new mapping gets              RFC 4787 section 4.2.1
    udp_..., tcp_...     how long a mapping lives without traffic            RFC 4787 section 4.3, RFC 5382 section 5
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

__all__ = ["Behaviour", "NatConfig", "PortAllocation", "UnsolicitedSyn"]


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
        tcp_established_timeout: seconds an open connection may be idle (RFC 5382 REQ-5: 7440 or more).
        tcp_transitory_timeout: the same while a connection opens or closes (RFC 5382 REQ-5: 240 or more).
        unsolicited_syn: see `UnsolicitedSyn`.

    Raises:
        ValueError: a choice that does not exist, or a timer that is not a positive, finite number of seconds.
    """

    mapping: Behaviour = Behaviour.ENDPOINT_INDEPENDENT
    filtering: Behaviour = Behaviour.ADDRESS_DEPENDENT
    port_allocation: PortAllocation = PortAllocation.PRESERVING
    udp_timeout: float = 300.0
    udp_unanswered_timeout: float = 300.0
    tcp_established_timeout: float = 7440.0
    tcp_transitory_timeout: float = 240.0
    unsolicited_syn: UnsolicitedSyn = UnsolicitedSyn.DROP

    def __post_init__(self) -> None:
        object.__setattr__(self, "mapping", _choice("mapping", Behaviour, self.mapping))
        object.__setattr__(self, "filtering", _choice("filtering", Behaviour, self.filtering))
        object.__setattr__(self, "port_allocation", _choice("port_allocation", PortAllocation, self.port_allocation))
        object.__setattr__(self, "unsolicited_syn", _choice("unsolicited_syn", UnsolicitedSyn, self.unsolicited_syn))
        for timer in ("udp_timeout", "udp_unanswered_timeout", "tcp_established_timeout", "tcp_transitory_timeout"):
            _check_timer(timer, getattr(self, timer))


def _choice(axis: str, kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        near = difflib.get_close_matches(str(value), list(kind), n=1)
        hint = f"; did you mean {near[0]!s}?" if near else ""
        raise ValueError(f"{axis} is one of {', '.join(kind)}, not {value!r}{hint}") from None


def _check_timer(name: str, seconds: float) -> None:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (number and math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{name} is a number of seconds greater than 0, not {seconds!r}")
