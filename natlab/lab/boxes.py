"""What `lab.nat(...)` asks for, as configurations."""

from __future__ import annotations

from collections.abc import Mapping

from natlab.errors import LabError
from natlab.nat import PRESETS, NatConfig, configure
from natlab.sim import NatRouter

__all__ = ["carrier_lan", "ipv6_firewall"]

CARRIERS = ("cgnat", "mobile")
"""Presets whose LAN is by default the shared address space of RFC 6598."""


def carrier_lan(preset: str, behind: NatRouter | None) -> str | None:
    """The network between a carrier's NAT and its subscribers'; None for a box of another kind, or behind another."""
    return "100.64.0.0/10" if preset in CARRIERS and behind is None else None


def ipv6_firewall(asked: bool | str | Mapping[str, str | float]) -> NatConfig | None:
    """What a router is to IPv6: nothing, or a stateful firewall (RFC 6092).

    Args:
        asked: False; True for the preset "firewall"; the name of a preset; axes in which it differs from "firewall".

    Raises:
        LabError: no such preset or axis, or one that translates.
    """
    if not isinstance(asked, bool | str | Mapping):
        raise LabError(f"ipv6= is True, False, a preset or a dictionary of axes, not {asked!r}")
    if not asked:
        return None
    preset = asked if isinstance(asked, str) else "firewall"
    config = configure(preset, **(asked if isinstance(asked, Mapping) else {}))
    if config.translates:
        fitting = ", ".join(repr(name) for name, known in PRESETS.items() if not known.translates)
        raise LabError(f"ipv6={asked!r} translates, and IPv6 is not translated: it may be True or one of {fitting}")
    return config
