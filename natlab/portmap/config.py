"""What the gateway services of a router are asked to be.

Routers differ less in the protocols than in what they do with them: turned off, turned off but answering, limited,
forgetful, or telling an address that is not theirs on the internet.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

__all__ = ["GatewayConfig", "Service"]


class Service(StrEnum):
    """The protocols by which a host asks its gateway for a port."""

    NAT_PMP = "nat-pmp"
    PCP = "pcp"
    UPNP = "upnp"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The services of one router. Plain text is accepted: `services=("nat-pmp", "pcp")`.

    Attributes:
        services: which protocols it speaks.
        refuses: it speaks them to say no: its owner has turned port mapping off.
        longest: seconds a lease lasts at most, with NAT-PMP and PCP. RFC 6886 section 3.3 recommends two hours.
        shortest: seconds a lease lasts at least, with PCP, whose section 15 (RFC 6887) recommends two minutes.
        first_port: ports below are given to nobody.
        leases_per_host, leases: how many one host may have, and all together.
        reports: another address than its own, which it tells its clients: a lying router. A router behind another NAT
            needs no such lie: it reports its own external address, which is of no use on the internet.
        permanent_only: UPnP: refuses leases that end (error 725), as some IGD 1 do.
        igd: UPnP: version of its Internet Gateway Device, 1 or 2.

    Raises:
        ValueError: a service that does not exist, or a number out of its range.
    """

    services: tuple[Service, ...] = tuple(Service)
    refuses: bool = False
    longest: int = 7200
    shortest: int = 120
    first_port: int = 1024
    leases_per_host: int = 64
    leases: int = 1024
    reports: str | None = None
    permanent_only: bool = False
    igd: int = 2

    def __post_init__(self) -> None:
        names = (self.services,) if isinstance(self.services, str) else self.services
        if not isinstance(names, Iterable):
            raise ValueError(f"services names protocols, such as ('nat-pmp', 'pcp'), not {names!r}")
        object.__setattr__(self, "services", tuple(_service(name) for name in names))
        for name, least, most in _NUMBERS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise ValueError(f"{name} is a whole number from {least} to {most}, not {value!r}")
        for name in ("refuses", "permanent_only"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is True or False, not {getattr(self, name)!r}")
        if self.shortest > self.longest:
            raise ValueError(f"a lease cannot last {self.shortest} s at least and {self.longest} s at most")
        if self.reports is not None:
            object.__setattr__(self, "reports", _ipv4(self.reports))
        if self.permanent_only and self.igd == 2:
            raise ValueError("an IGD 2 has leases that end: permanent_only=True takes igd=1")


_NUMBERS = (
    ("longest", 1, 2**31),
    ("shortest", 1, 2**31),
    ("first_port", 1, 65535),
    ("leases_per_host", 1, 4096),
    ("leases", 1, 16384),
    ("igd", 1, 2),
)


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(str(text)))
    except ValueError:
        raise ValueError(f"reports is an IPv4 address, such as '192.168.1.1', not {text!r}") from None


def _service(name: str) -> Service:
    try:
        return Service(name)
    except ValueError:
        near = difflib.get_close_matches(str(name), list(Service), n=1)
        hint = f"; did you mean {near[0]!s}?" if near else ""
        raise ValueError(f"a gateway service is one of {', '.join(Service)}, not {name!r}{hint}") from None
