"""An endpoint: an IP address and a port, the thing a NAT translates.

The address is kept as its canonical text. `ipaddress` objects hash and compare in Python code; a tuple of `str` and
`int` does so in C, and every packet at every hop looks one up. `Endpoint.address` is the `ipaddress` object.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_TEXT = 80  # characters of an endpoint; more than an IPv6 address with its zone and a port have


class Endpoint(NamedTuple):
    """One end of a conversation.

    Attributes:
        ip: canonical text of an IPv4 or IPv6 address. From outside, build it with `Endpoint.of` or `parse`.
        port: 0 to 65535; 0 means "any".
    """

    ip: str
    port: int

    @classmethod
    def of(cls, ip: str | IPAddress, port: int) -> Endpoint:
        """Checks and canonicalises both parts.

        Raises:
            ValueError: not an IP address, or no port number.
        """
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {port!r}")
        return cls(_canonical(ip), port)

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Reads `11.0.0.1:4001` or `[2600::1]:4001`.

        Raises:
            ValueError: the text is not of that form.
        """
        ip, colon, port = text.rpartition(":")
        if not colon or len(text) > LONGEST_TEXT or not (port.isascii() and port.isdecimal()):
            raise ValueError(f"an endpoint is written IP:PORT, e.g. 11.0.0.1:4001, not {text[:LONGEST_TEXT]!r}")
        return cls.of(ip.removeprefix("[").removesuffix("]"), int(port))

    @property
    def address(self) -> IPAddress:
        return parse_ip(self.ip)

    @property
    def version(self) -> int:
        return 6 if ":" in self.ip else 4

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@lru_cache(maxsize=4096)
def _canonical(ip: str | IPAddress) -> str:
    return str(ipaddress.ip_address(ip))


@lru_cache(maxsize=4096)
def parse_ip(ip: str) -> IPAddress:
    """The `ipaddress` object of a canonical text, made once."""
    return ipaddress.ip_address(ip)
