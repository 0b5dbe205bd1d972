"""From a name to a configuration: `configure("home", filtering="address-dependent")`.

The names, their axes and their sources are in `catalogue.py`. Whoever types another word for one of them, or mistypes a
name, is told which one to take.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType

from natlab.errors import LabError
from natlab.nat.catalogue import CATALOGUE
from natlab.nat.config import OF_TRANSLATION, NatConfig, PortAllocation

__all__ = ["PRESETS", "configure"]

PRESETS: Mapping[str, NatConfig] = MappingProxyType({name: preset.config for name, preset in CATALOGUE.items()})


def configure(preset: str = "home", **axes: str | float | None) -> NatConfig:
    """A preset with some axes changed: `configure("office", filtering="address-and-port-dependent")`.

    `configure("linux", translates=False)` is Linux's firewall: its filtering and its timers are left.

    Raises:
        LabError: no such preset or axis, or a value the axis does not have; the message names what there is.
    """
    if not isinstance(preset, str) or preset not in PRESETS:
        raise LabError(_unknown_preset(preset))
    names = [field.name for field in fields(NatConfig)]
    for axis in axes:
        if axis not in names:
            raise LabError(_unknown("axis of a NAT", axis, names))
    try:
        return replace(PRESETS[preset], **(_settled(axes) | axes))  # type: ignore[arg-type]
    except ValueError as error:
        raise LabError(str(error)) from error


def _settled(axes: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    """What the change of an axis settles for others of the preset, so that they do not contradict it."""
    if axes.get("translates", True) is False:
        return {axis: getattr(NatConfig(), axis) for axis in OF_TRANSLATION}
    if axes.get("port_allocation", PortAllocation.OVERLAPPING) != PortAllocation.OVERLAPPING:
        return {"strays_take_ports": False}
    return {}


def _unknown_preset(name: str) -> str:
    """Near names first, then other words for a preset: "Full Cone NAT", "masquerade", "CGN"."""
    word = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-").removesuffix("-nat").removesuffix("-router")
    words = {name: name for name in CATALOGUE}
    for preset, entry in CATALOGUE.items():
        words |= dict.fromkeys(entry.also_called, preset)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.75)
    if not near:
        return _unknown("preset", name, CATALOGUE)
    preset = words[near[0]]
    return (
        f"there is no preset {name!r}; did you mean {preset!r}, {CATALOGUE[preset].stands_for}? "
        f"(there are: {', '.join(CATALOGUE)})"
    )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no {what} {name!r}{hint} (there are: {', '.join(known)})"
