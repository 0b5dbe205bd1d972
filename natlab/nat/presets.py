"""NAT boxes by the names people use for them.

    name        mapping               filtering                    ports       timers    stranger's SYN
    home        endpoint-independent  address-and-port-dependent   preserving  RFC       silence
    office      endpoint-independent  address-dependent            random      RFC       silence
    linux       endpoint-independent  address-and-port-dependent   preserving  shorter   RST
    full-cone   endpoint-independent  endpoint-independent         preserving  RFC       silence
    symmetric   address-and-port-dep. address-and-port-dependent   random      RFC       silence

"home", "office" are typical, not the measure of any product. "full-cone" and "symmetric" are words of RFC 3489 that
RFC 4787 gave up, since each fixes both axes at once. "linux" is `nft masquerade` with Linux's default timers as
measured on Linux 6.18: it gives an unanswered UDP mapping 30 s where RFC 4787 REQ-5 demands 120, a TCP connection
that opens 120 s where RFC 5382 REQ-5 demands 240, and a stranger's SYN an RST at once where REQ-4 wants silence.
Its rule for UDP conversations is in `timers.py`. Of its TCP timers not modelled: that for a SYN received (60 s), the
last ACK (30 s) and the time from a FIN to its acknowledgement (120 s).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType

from natlab.errors import LabError
from natlab.nat.config import Behaviour, NatConfig, PortAllocation, UdpRefresh, UnsolicitedSyn

__all__ = ["PRESETS", "configure"]

PRESETS: Mapping[str, NatConfig] = MappingProxyType(
    {
        "home": NatConfig(filtering=Behaviour.ADDRESS_AND_PORT_DEPENDENT),
        "office": NatConfig(filtering=Behaviour.ADDRESS_DEPENDENT, port_allocation=PortAllocation.RANDOM),
        "linux": NatConfig(
            filtering=Behaviour.ADDRESS_AND_PORT_DEPENDENT,
            udp_timeout=120.0,
            udp_unanswered_timeout=30.0,
            udp_stream_after=2.0,
            udp_refresh=UdpRefresh.BOTH,
            tcp_established_timeout=432_000.0,
            tcp_transitory_timeout=120.0,
            tcp_closing_timeout=60.0,
            tcp_reset_timeout=10.0,
            unsolicited_syn=UnsolicitedSyn.RST,
        ),
        "full-cone": NatConfig(filtering=Behaviour.ENDPOINT_INDEPENDENT),
        "symmetric": NatConfig(
            mapping=Behaviour.ADDRESS_AND_PORT_DEPENDENT,
            filtering=Behaviour.ADDRESS_AND_PORT_DEPENDENT,
            port_allocation=PortAllocation.RANDOM,
        ),
    }
)


def configure(preset: str = "home", **axes: str | float | None) -> NatConfig:
    """A preset with some axes changed: `configure("office", filtering="address-and-port-dependent")`.

    Raises:
        LabError: no such preset or axis, or a value the axis does not have; the message names what there is.
    """
    if preset not in PRESETS:
        raise LabError(_unknown("preset", preset, PRESETS))
    names = [field.name for field in fields(NatConfig)]
    for axis in axes:
        if axis not in names:
            raise LabError(_unknown("axis of a NAT", axis, names))
    try:
        return replace(PRESETS[preset], **axes)  # type: ignore[arg-type]
    except ValueError as error:
        raise LabError(str(error)) from error


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no {what} {name!r}{hint} (there are: {', '.join(known)})"
